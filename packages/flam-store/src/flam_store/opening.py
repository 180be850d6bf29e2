"""Opening a store by its URL; only that URL's engine is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flam_store.clock import Clock, system_clock
from flam_store.config import Config
from flam_store.errors import StoreUrlError

if TYPE_CHECKING:
    from flam_store.copies import Restored
    from flam_store.store import Store, StoreReader
    from flam_store.worker import WorkerRecord

_SQLITE = "sqlite:///"
_BARE = r"[A-Za-z0-9]+://[\w.-]*(/[\w./-]*)?"


def open_store(
    url: str,
    *,
    config: Config | None = None,
    create: bool = True,
    clock: Clock = system_clock,
    patience: timedelta | None = None,
) -> Store:
    """The store at ``url``: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    ``config`` gives the retry, backoff and timeout values of jobs whose spec has none; its
    defaults when left out. With ``create`` a missing database is made (mode 0600; its folder
    must exist); without, it is an empty queue that is kept nowhere. ``clock`` is the store's
    one clock. ``patience`` is how long a verb waits for other writers before StoreBusy,
    half a minute unless told.

    Raises StoreUrlError; UnsafeError for a file that others can write; and every StoreError.
    """
    _check_engine(url)
    from flam_store.sqlite.engine import SqliteStore
    from flam_store.sqlite.place import make_file, path_of
    from flam_store.sqlite.session import PATIENCE_SECONDS, Session

    path = path_of(url)
    if create:
        make_file(path)
    elif not os.path.lexists(path):
        return SqliteStore(Session(None), config or Config(), clock)
    seconds = PATIENCE_SECONDS if patience is None else patience.total_seconds()
    return SqliteStore(Session(path, patience_seconds=seconds), config or Config(), clock)


def load_engine(url: str) -> None:
    """Import what claims and finishes jobs in the store at ``url``, without opening it.

    For a program that is about to fork: the memory is then its children's too. StoreUrlError.
    """
    _check_engine(url)
    from flam_store.sqlite import claiming, engine  # noqa: F401


@contextmanager
def looking_at(url: str, *, clock: Clock = system_clock) -> Iterator[StoreReader]:
    """The store at ``url`` for looking only: nothing is made, migrated or written.

    A missing one is an empty queue. Of one at an older schema is told what it has; StoreError for
    what came later. Other errors as :func:`open_store`.
    """
    _check_engine(url)
    from flam_store.sqlite.engine import SqliteStore
    from flam_store.sqlite.place import path_of
    from flam_store.sqlite.session import Session

    path = path_of(url)
    there = os.path.lexists(path)
    session = Session(path if there else None, only_looks=there)
    with SqliteStore(session, Config(), clock) as store:
        yield store


def restore_store(
    url: str, backup: Path, *, refuse: Callable[[tuple[WorkerRecord, ...] | None], None]
) -> Restored:
    """Put what ``Store.backup`` made in the place of the store at ``url``, at once or not at all.

    What is there is kept in a folder of its own beside it. Jobs that were processing are
    recovered by the next pool, as those of a worker that nobody knows. ``refuse`` is called
    while no writer can come in, with all who are registered or, when that cannot be read, None;
    what it raises (StoreInUse, say) ends the restore with nothing changed.

    FileTaken when the backup is the store itself; UnsafeError when others could have written
    it; StoreDamaged, StoreForeign and StoreNewer of the backup; any StoreError.
    """
    from flam_store.sqlite.restoring import restore

    return restore(str(database_path(url)), os.path.abspath(backup), refuse=refuse)


def _check_engine(url: str) -> None:
    if not url.startswith(_SQLITE):
        raise StoreUrlError(without_password(url), f"names no engine; it begins with {_SQLITE}")
    if "?" in url:
        raise StoreUrlError(url, "has a query, which means nothing here; in a name write %3F")


def without_password(url: str) -> str:
    """The URL as it may be shown: a path whole, a server's if there is no room for a password.

    It may stand before the host, in a query, or where a URL should have none. Of such a one
    the scheme alone is shown.
    """
    import re

    if url.startswith(_SQLITE) or re.fullmatch(_BARE, url):
        return url
    scheme = url.partition(":")[0]
    return f"{scheme if scheme.isalnum() else ''}:***"


def database_exists(url: str) -> bool:
    """Whether there is something where the URL points, so that opening would make nothing."""
    return os.path.lexists(database_path(url))


def database_path(url: str) -> Path:
    """The file that the URL names. StoreUrlError."""
    _check_engine(url)
    from flam_store.sqlite.place import path_of

    return Path(path_of(url))
