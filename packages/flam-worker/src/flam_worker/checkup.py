"""Everything that can be found out about a data directory, its queue and its processes.

It goes on as far as it can: what keeps one look from being had is a finding, and the next
one is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from flam_store import Store, StoreReader, open_store
from flam_store.directory import (
    config_as_far_as_readable,
    examine_config,
    examine_directory,
    mend_directory,
)
from flam_store.errors import FlamError, StoreDamaged
from flam_store.finding import Finding, Repair, counted, failed, passed
from flam_store.home import Home
from flam_store.opening import database_exists, looking_at, without_password
from flam_store.output import Logs
from flam_store.strays import examine_output, mend_output
from flam_worker import leftovers, muster, watchers
from flam_worker.pool import recovery

_TROUBLES = (FlamError, OSError, ValueError, TypeError, OverflowError)
"""What a look or a step may meet in a queue that others have spoilt."""

_RESTORE = "queuectl restore FILE puts a backup back and keeps the damaged queue aside"


def examine(home: Home, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything and change nothing; findings come as they are made."""
    yield from examine_directory(home)
    yield from examine_config(home, environ)
    try:
        url = _store_url(home, environ)
        if not database_exists(url):
            place = without_password(url)
            yield passed("queue", f"{place} is not there yet; the first job makes it")
            return
        with looking_at(url) as store:
            yield from store.examine()
            for subject, look in _looks(home, store):
                yield from _looked(subject, look)
    except (FlamError, OSError) as error:
        mend = _RESTORE if isinstance(error, StoreDamaged) else getattr(error, "mend", None)
        yield failed("queue", str(error).removesuffix(f" {mend}"), mend)


def repair(home: Home, environ: Mapping[str, str]) -> Iterator[Repair]:
    """Put right what is safe to put right; what is left is for ``examine`` to tell.

    No job is ever deleted. The dead workers' jobs are put back as a pool would do it.
    """
    yield from mend_directory(home)
    try:
        url = _store_url(home, environ)
        if not database_exists(url):
            return
        with open_store(url, config=config_as_far_as_readable(home), create=False) as store:
            logs = Logs(home.logs_path)
            for step in (store.mend, lambda: _recover(home, store),
                         lambda: leftovers.end(logs, store),
                         lambda: mend_output(logs, store)):  # fmt: skip
                with suppress(*_TROUBLES):
                    yield from step()
    except (FlamError, OSError):
        return


def _store_url(home: Home, environ: Mapping[str, str]) -> str:
    return home.resolve_store_url(config_as_far_as_readable(home), environ)


def _looks(
    home: Home, store: StoreReader
) -> tuple[tuple[str, Callable[[], Iterable[Finding]]], ...]:
    return (
        ("output", lambda: examine_output(Logs(home.logs_path), store)),
        ("workers", lambda: muster.examine(store)),
        ("schedules", lambda: watchers.examine(store)),
        ("processes", lambda: leftovers.examine(store)),
    )


def _looked(subject: str, look: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    """Also rows that cannot be read are a finding: ``rows`` tells which they are."""
    try:
        return tuple(look())
    except _TROUBLES as error:
        return (failed(subject, f"cannot be looked at: {error}", _RESTORE),)


def _recover(home: Home, store: Store) -> Iterator[Repair]:
    """What the next pool would do first."""
    logging.getLogger("flam_worker").addHandler(logging.NullHandler())
    before = {record.id for record in store.workers()}
    put_back = recovery(home).sweep(store)
    gone = before - {record.id for record in store.workers()}
    if put_back:
        text = f"{counted(put_back, 'job')} of dead workers recorded as crashed, and put back"
        yield Repair(subject="workers", text=text)
    if gone:
        text = f"{counted(len(gone), 'record')} of dead workers and supervisors taken out"
        yield Repair(subject="workers", text=text)
