"""Output without its attempt, and attempts without their output."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from flam_store.finding import Finding, Repair, counted, passed, warned
from flam_store.job import Start
from flam_store.output import Logs
from flam_store.state import AttemptState
from flam_store.store import StoreReader

_REPAIR = "queuectl doctor --repair"


@attrs.define
class Strays:
    """Outputs of purged jobs, and of attempts that this store never made; attempts without theirs.

    The last are named as ``seq-attempt``.
    """

    purged: list[Path] = attrs.field(factory=list)
    unknown: list[Path] = attrs.field(factory=list)
    missing: list[str] = attrs.field(factory=list)


def find_strays(logs: Logs, store: StoreReader) -> Strays:
    """Compare the files with the rows, a thousand jobs at a time."""
    strays = Strays()
    last = logs.folder_of(store.ledger(0, 0).given)
    for folder in sorted({*logs.folders(), *range(last + 1)}):
        _compare(folder, logs, store, strays)
    return strays


def examine_output(logs: Logs, store: StoreReader) -> Iterator[Finding]:
    strays = find_strays(logs, store)
    if strays.purged:
        text = f"{_named(strays.purged)} left of jobs that were purged"
        yield warned("output", text, _REPAIR)
    if strays.unknown:
        text = f"{_named(strays.unknown)} of attempts that this queue has not made"
        yield warned("output", text, "Another queue was here: delete what you do not need")
    if strays.missing:
        text = f"the output of {counted(len(strays.missing), 'attempt')} is gone: seq-attempt "
        yield warned("output", text + ", ".join(strays.missing[:3]), "It cannot be had again")
    if not strays.purged and not strays.unknown and not strays.missing:
        yield passed("output", "every file has its attempt, and every attempt its file")


def mend_output(logs: Logs, store: StoreReader) -> tuple[Repair, ...]:
    """Delete what was left of purged jobs: nobody can ask for it any more."""
    purged = find_strays(logs, store).purged
    for path in purged:
        path.unlink(missing_ok=True)
    text = f"{counted(len(purged), 'file')} of purged jobs deleted"
    return (Repair(subject="output", text=text),) if purged else ()


def _compare(folder: int, logs: Logs, store: StoreReader, strays: Strays) -> None:
    # The files first: an attempt has its row before it has its file.
    files = logs.files(folder)
    ledger = store.ledger(*logs.range_of(folder))
    known = {(start.seq, start.attempt) for start in ledger.starts}
    for (seq, attempt), path in files.items():
        if (seq, attempt) not in known:
            was_purged = seq not in ledger.jobs and seq <= ledger.given
            (strays.purged if was_purged else strays.unknown).append(path)
    strays.missing += [f"{start.seq}-{start.attempt}" for start in ledger.starts
                       if _is_missing(start, logs, files, store)]  # fmt: skip


def _is_missing(
    start: Start, logs: Logs, files: dict[tuple[int, int], Path], store: StoreReader
) -> bool:
    """Whether there was output, and there is none now, and the job has not been purged since."""
    return (
        bool(start.output_bytes)
        and start.state is not AttemptState.RUNNING
        and (start.seq, start.attempt) not in files
        and not logs.path_of(start.seq, start.attempt).exists()
        and start.seq in store.ledger(start.seq, start.seq).jobs
    )


def _named(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"
