"""What the database says about itself: one look after the other, whatever the last one met."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from flam_store.durations import format_duration
from flam_store.errors import StoreDamaged, StoreError, StoreMisused
from flam_store.finding import Finding, counted, failed, passed, warned
from flam_store.room import room
from flam_store.sqlite import bells, place, registry, rows, scheduling, soundness
from flam_store.sqlite.copying import abandoned
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.schema import KNOWN, found_schema
from flam_store.sqlite.session import Session

Look = Callable[[sqlite3.Connection], Iterator[Finding]]

LARGE_WAL_BYTES = 128 * 1024 * 1024
"""Four times the size to which it is cut after a checkpoint."""

_LEAD_MS = 60_000
"""How far ahead of the clock a time may be before the clock was set back, and not just adjusted."""

_MOST_NAMED = 3

RESTORE = (
    "Stop the workers, keep a copy of the data directory, and put a backup back: "
    "queuectl restore FILE"
)
REPAIR = "queuectl doctor --repair"
_WRITABLE = "chmod u+w, and look at how the file system is mounted"


def examine(session: Session, now: int) -> tuple[Finding, ...]:
    """A finding at least for each look; one that cannot be had is a fault."""
    found = [_sqlite(), *(() if session.in_memory else _files(session.place))]
    older = session.read(lambda db: found_schema(db, session.place)) < KNOWN
    for subject, look in _IN_ANY_SCHEMA if older else (*_IN_ANY_SCHEMA, *_IN_THIS_SCHEMA):
        found += _looked(session, subject, partial(look, now=now))
    return tuple(found)


def _looked(session: Session, subject: str, look: Look) -> tuple[Finding, ...]:
    try:
        return session.read(lambda db: tuple(look(db)))
    except StoreMisused:
        raise
    except StoreDamaged as error:
        return (failed(subject, f"is damaged: {error.detail}", RESTORE),)
    except (StoreError, ValueError, TypeError, AttributeError, OverflowError) as error:
        return (failed(subject, f"cannot be read: {error}", RESTORE),)


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    if not soundness.has_wal_reset_fault(sqlite3.sqlite_version_info):
        return passed("sqlite", f"{version}, without the WAL-reset fault of 3.7.0 to 3.51.2")
    text = (
        f"{version} can lose a commit that meets a checkpoint (mended in 3.51.3). Flam's gate "
        "keeps its own apart; other programs that write here must hold the flock on -gate"
    )
    return passed("sqlite", text)


def _files(where: str) -> Iterator[Finding]:
    unwritable = [path for path in (where, os.path.dirname(where)) if not _is_writable(path)]
    if unwritable:
        problem = f"{unwritable[0]} cannot be written: no job can be enqueued or run"
        yield failed("file", problem, _WRITABLE)
    if kind := place.file_system(where):
        yield passed("file system", f"{kind}, on which SQLite's locks hold")
    else:
        yield passed("file system", "not told by this system; it must be no network's")
    with suppress(OSError):
        yield room("room", Path(where).parent)
    size = _size(f"{where}-wal")
    if size > LARGE_WAL_BYTES:
        problem = f"has grown to {size >> 20:,} MiB: something has been reading for long"
        yield warned("wal", problem, f"End what reads the database, then: {REPAIR}")
    else:
        yield passed("wal", f"{size:,} bytes that wait for a checkpoint")
    with suppress(OSError):
        if parts := abandoned(where):
            yield warned("copies", f"{parts[0]} was left by a restore that was killed", REPAIR)
    if silent := bells.silent(f"{where}-bells"):
        yield warned("bells", f"{counted(len(silent), 'bell')} of processes that died", REPAIR)


def _is_writable(path: str) -> bool:
    """By this process: the file system may be read-only, or the mode."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _integrity(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    faults = soundness.damage(db)
    for fault in faults:
        mend = f"{REPAIR}; if that does not: {RESTORE}" if "CHECK" in fault else RESTORE
        yield failed("integrity", fault.removeprefix("*** in database main ***\n"), mend)
    if not faults:
        yield passed("integrity", "pages, indexes, rules and references are whole")


def _schema(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    version = found_schema(db, "it")
    if version == 0:
        yield passed("schema", "the database is empty; the next command makes a queue of it")
    elif version < KNOWN:
        yield passed("schema", f"{version}; the next command brings it to {KNOWN}")
    elif strange := soundness.strange_objects(db):
        named = ", ".join(strange[:_MOST_NAMED])
        yield failed("schema", f"{version}, but not as Flam made it: {named}", RESTORE)
    else:
        yield passed("schema", f"{version}, as Flam made it{_beside(soundness.others_tables(db))}")


def _beside(tables: tuple[str, ...]) -> str:
    named = ", ".join(tables[:_MOST_NAMED]) + (", …" if len(tables) > _MOST_NAMED else "")
    return (
        f"; beside it {counted(len(tables), 'table')} of other programs: {named}" if named else ""
    )


def _counters(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    wrong = db.execute(SQL["miscounted"]).fetchall()
    for queue, state, kept, found in wrong:
        yield failed("counters", f"{queue} has {found} jobs {state} and counts {kept}", REPAIR)
    if not wrong:
        yield passed("counters", "agree with the jobs")


def _holds(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    unheld, stray = _names(db, SQL["unheld_jobs"]), _names(db, SQL["stray_attempts"])
    if unheld:
        yield failed("attempts", f"{_told(unheld)} processing without a running attempt", RESTORE)
    if stray:
        yield failed("attempts", f"{_told(stray, 'attempt')} running without its job", RESTORE)
    if not unheld and not stray:
        yield passed("attempts", "every running one holds its job, and no job is held otherwise")


def _waiting(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    misflagged = _names(db, SQL["misflagged_jobs"])
    blocked = _names(db, SQL["needlessly_blocked_jobs"])
    hopeless = _names(db, SQL["hopelessly_blocked_jobs"])
    if misflagged:
        yield failed("waiting", f"{_told(misflagged)} with a wrong ready flag", REPAIR)
    if blocked:
        yield failed("waiting", f"{_told(blocked)} blocked by nothing", REPAIR)
    if hopeless:
        problem = f"{_told(hopeless)} blocked by a job that is dead, cancelled or gone"
        mend = 'Retry that one ("queuectl show ID" names it), or cancel those that wait'
        yield warned("waiting", problem, mend)
    if not misflagged and not blocked and not hopeless:
        yield passed("waiting", "every job that waits will be looked at")


def _schedules(db: sqlite3.Connection, now: int) -> Iterator[Finding]:
    found = scheduling.schedules(db)
    for each in found:
        if each.problem is not None:
            mend = f"queuectl schedule remove {_for_a_shell(each.name)}, then add it anew"
            yield failed("schedules", f"{each.name} cannot be read: {each.problem}", mend)
    if astray := [name for name, _ in scheduling.astray(db, now)]:
        problem = f"{_told(astray, 'schedule')} waiting for none of the next ticks"
        yield warned("schedules", problem, REPAIR)
    elif found and all(each.problem is None for each in found):
        yield passed("schedules", f"{counted(len(found), 'schedule')}, each can be read")


def _for_a_shell(name: str) -> str:
    r"""The word that gives it; where it is no text, as bash, zsh and others take bytes: $'\xff'."""
    if name.isprintable():
        return shlex.quote(name)
    raw = name.encode("utf-8", "surrogateescape")
    return "$'" + "".join(map(_escaped, raw)) + "'"


def _escaped(byte: int) -> str:
    return chr(byte) if chr(byte).isalnum() and byte < 0x80 else f"\\x{byte:02x}"


def _readable(db: sqlite3.Connection, now: int) -> Iterator[Finding]:  # noqa: ARG001
    spoilt = {id_ for (id_,) in db.execute(
        SQL["jobs_beyond_the_calendar"],
        {"first": rows.BEGINNING_OF_TIME, "last": rows.END_OF_TIME},
    ).fetchall()}  # fmt: skip
    spoilt |= {id_ for id_, *row in db.execute(SQL["jobs_with_options"]) if not _is_readable(*row)}
    registry.workers(db)
    if spoilt:
        problem = f"{_told(sorted(spoilt))} in part unreadable: another program has written there"
        yield failed("rows", problem, "A claim makes it a dead letter: queuectl dlq purge")
    else:
        yield passed("rows", "every one can be read")


def _is_readable(command: str | None, options: str) -> bool:
    try:
        rare = rows.rare_options(options)
    except (ValueError, TypeError, AttributeError):
        return False
    return command is not None or bool(rare.get("args"))


def _clock(db: sqlite3.Connection, now: int) -> Iterator[Finding]:
    latest = [(at, what) for what, at in db.execute(SQL["latest_times"]).fetchall() if at]
    at, what = max(latest, default=(0, ""))
    if at <= now + _LEAD_MS:
        yield passed("clock", "nothing is dated ahead of it")
        return
    ahead = format_duration(timedelta(milliseconds=min(at, rows.END_OF_TIME) - now))
    yield warned(
        "clock",
        f"{what} is dated {ahead} ahead of it: it has been set back, or was ahead once",
        "Let the host keep time (NTP); jobs that wait for a time wait by this clock",
    )


def _names(db: sqlite3.Connection, statement: str) -> list[str]:
    return [name for (name,) in db.execute(statement).fetchall()]


def _told(names: list[str], noun: str = "job") -> str:
    """How many, and which, as far as they fit: ``2 jobs (a, b) are``."""
    more = ", …" if len(names) > _MOST_NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{counted(len(names), noun)} ({', '.join(names[:_MOST_NAMED])}{more}) {verb}"


_IN_ANY_SCHEMA = (("integrity", _integrity), ("schema", _schema))
_IN_THIS_SCHEMA = (
    ("counters", _counters),
    ("attempts", _holds),
    ("waiting", _waiting),
    ("schedules", _schedules),
    ("rows", _readable),
    ("clock", _clock),
)
