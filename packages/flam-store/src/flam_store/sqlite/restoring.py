"""Putting a backup back in the place of a queue.

A database that can still be opened is overwritten through SQLite, in one transaction under the
gate: whoever has it open, and whatever is in its WAL, the one state or the other is seen.
One that cannot is exchanged for the new file, and what lies beside it goes with it, as a WAL
left behind would be written into its successor.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from flam_store.copies import Restored
from flam_store.errors import (
    FileTaken,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreNewer,
    UnsafeError,
)
from flam_store.sqlite import bells, place, registry, soundness
from flam_store.sqlite.connection import close_database, connect, open_database, patiently
from flam_store.sqlite.copying import (
    BESIDE,
    copy_pages,
    is_same,
    new_file_beside,
    place_new,
    sync,
    sync_folder,
)
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.schema import found_schema, migrate_one
from flam_store.sqlite.session import PATIENCE_SECONDS
from flam_store.sqlite.troubles import translated
from flam_store.worker import WorkerRecord

Refuse = Callable[[tuple[WorkerRecord, ...] | None], None]


def restore(path: str, source: str, *, refuse: Refuse) -> Restored:
    """Put the backup ``source`` at ``path``; see ``flam_store.opening.restore_store``."""
    place.check_folder(path)
    _check_source(path, source)
    with new_file_beside(path) as candidate:
        jobs, processing = _prepare(source, candidate)
        kept = _put_in(path, candidate, refuse)
    bells.ring(f"{path}-bells")
    return Restored(jobs=jobs, processing=processing, kept=kept)


def _check_source(path: str, source: str) -> None:
    """Who could write the backup could have the queue run commands.

    A log or a journal beside it SQLite would take for a part of it, whoever put it there.
    """
    if is_same(path, source):
        raise FileTaken(source, "is the queue itself", "Name a backup of it.")
    try:
        found = os.stat(source)
    except OSError as error:
        raise StoreError(source, f"cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(source, "is no regular file. Name a backup.")
    mend = "If you trust what is in it, copy it, chmod 600 the copy, and restore that."
    if found.st_uid not in (0, os.geteuid()):
        raise UnsafeError(Path(source), f"belongs to another user (uid {found.st_uid})", mend)
    if found.st_mode & 0o022:
        raise UnsafeError(Path(source), "can be written by others", mend)
    for ending in ("-wal", "-journal"):
        if os.path.lexists(f"{source}{ending}"):
            problem = f"is no backup: a backup is one file, and beside it lies its {ending}."
            raise StoreError(source, f"{problem} Make a backup of that queue.")


def _prepare(source: str, candidate: str) -> tuple[int, int]:
    """Make a checked copy of the backup, at this version's schema, with nobody registered.

    Returns how many jobs it has, and how many of them are processing. The processes that were
    at work when it was made are no longer, or work on what they have: the next pool recovers
    their jobs at once, as those of unknown workers.
    """
    try:
        # It may lie where nothing can be written beside it, and what is put there now is ignored.
        with closing(connect(source, "mode=ro&immutable=1")) as backup:
            _check_whose(backup, source)
            backup.execute("BEGIN")
            copy_pages(backup, candidate)
        with closing(connect(candidate, "mode=rw")) as copy:
            _check_whole(copy, source)
            while migrate_one(copy, source):
                pass
            _check_made_by_flam(copy, source)
            copy.execute(SQL["forget_all"])
            ((jobs, processing),) = copy.execute(SQL["count_jobs"]).fetchall()
    except sqlite3.Error as error:
        raise translated(error, source) from error
    sync(candidate)
    return jobs, processing


def _check_whose(backup: sqlite3.Connection, source: str) -> None:
    if found_schema(backup, source) == 0:
        raise StoreForeign(source, "it is empty")


def _check_whole(copy: sqlite3.Connection, source: str) -> None:
    if faults := soundness.damage(copy):
        raise StoreDamaged(source, faults[0])


def _check_made_by_flam(copy: sqlite3.Connection, source: str) -> None:
    """Another's trigger would run with every verb."""
    if strange := soundness.strange_objects(copy):
        raise StoreForeign(source, f"not as Flam made it: {strange[0]}")


def _put_in(path: str, candidate: str, refuse: Refuse) -> str | None:
    if os.path.lexists(path):
        try:
            db, gate = open_database(path, PATIENCE_SECONDS)
        except (StoreDamaged, StoreNewer):
            return _exchange(path, candidate, refuse)
        try:
            return _overwrite(db, gate, path, candidate, refuse)
        finally:
            close_database(db, gate)
    return _exchange(path, candidate, refuse)


def _overwrite(
    db: sqlite3.Connection, gate: Gate, path: str, candidate: str, refuse: Refuse
) -> str:
    with gate.held(PATIENCE_SECONDS):
        refuse(_registered(db))
        kept = _new_folder(path)
        try:
            _keep_copy(db, path, os.path.join(kept, os.path.basename(path)))
            _write_over(db, path, candidate)
        except BaseException:
            _remove(kept, path)
            raise
    return kept


def _registered(db: sqlite3.Connection) -> tuple[WorkerRecord, ...] | None:
    """None where the register cannot be read any more."""
    try:
        return registry.workers(db)
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return None


def _keep_copy(db: sqlite3.Connection, path: str, copy: str) -> None:
    with new_file_beside(copy) as part:

        def copied() -> None:
            db.execute("BEGIN")
            try:
                copy_pages(db, part)
            finally:
                db.execute("ROLLBACK")

        patiently(copied, path, PATIENCE_SECONDS)
        sync(part)
        place_new(part, copy)
    sync_folder(copy)
    sync_folder(os.path.dirname(copy))


def _write_over(db: sqlite3.Connection, path: str, candidate: str) -> None:
    """One transaction of the write-ahead log, synced before it counts."""
    with closing(connect(candidate, "mode=rw")) as source:
        ((pages_of,),) = db.execute("PRAGMA page_size").fetchall()
        source.execute(f"PRAGMA page_size = {int(pages_of)}").fetchall()
        if source.execute("PRAGMA page_size").fetchall() != [(pages_of,)]:
            source.execute("VACUUM")
        source.backup(db, sleep=0.05, progress=_while_patient(path))
    with suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _while_patient(path: str) -> Callable[[int, int, int], None]:
    """Another program's lock would be waited for without an end."""
    end = time.monotonic() + PATIENCE_SECONDS

    def told(status: int, _left: int, _pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > end:
            raise StoreBusy(path, PATIENCE_SECONDS)

    return told


def _exchange(path: str, candidate: str, refuse: Refuse) -> str | None:
    """The new file for the old one and all beside it; with the old name never free meanwhile."""
    gate = Gate(path)
    with closing(gate), gate.held(PATIENCE_SECONDS):
        refuse(None)
        try:
            kept = _set_aside(path)
            if os.path.lexists(path):
                os.replace(candidate, path)
            else:
                place_new(candidate, path)
        except FileExistsError:
            raise StoreError(path, "was made by another process meanwhile. Try again.") from None
        except OSError as error:
            raise StoreError(path, f"cannot be replaced: {error.strerror}.") from error
        sync_folder(path)
    return kept


def _set_aside(path: str) -> str | None:
    beside = [f"{path}{ending}" for ending in BESIDE if os.path.lexists(f"{path}{ending}")]
    if not beside and not os.path.lexists(path):
        return None
    kept = _new_folder(path)
    with suppress(FileNotFoundError):
        os.link(path, os.path.join(kept, os.path.basename(path)), follow_symlinks=False)
    for each in beside:
        os.rename(each, os.path.join(kept, os.path.basename(each)))
    sync_folder(os.path.join(kept, "x"))
    sync_folder(path)
    return kept


def _new_folder(path: str) -> str:
    """A private folder beside the database, named by the time."""
    stem = (
        f"{os.path.dirname(path)}/before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    )
    number = 1
    while True:
        folder = stem if number == 1 else f"{stem}-{number}"
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise StoreError(folder, f"cannot be made: {error.strerror}.") from error
        else:
            os.chmod(folder, 0o700)
            return folder


def _remove(kept: str, path: str) -> None:
    with suppress(OSError):
        os.unlink(os.path.join(kept, os.path.basename(path)))
    with suppress(OSError):
        os.rmdir(kept)
