"""Copies of the database: page by page, out of one consistent state, while others write.

SQLite's backup interface, and not ``VACUUM INTO``: it copies pages and builds nothing anew,
which takes half the time and so holds up the WAL for half as long; it says how far it is, and can
be interrupted. All steps run inside one read transaction: otherwise a commit of another process
would make it begin again, for ever on a busy queue.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from flam_store.copies import Backup, Progress
from flam_store.errors import FileTaken, StoreDamaged, StoreError, StoreFull
from flam_store.names import new_id
from flam_store.sqlite import soundness
from flam_store.sqlite.connection import connect
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.session import Session
from flam_store.sqlite.troubles import primary_code, translated

_PAGES_A_STEP = 1024
_ABANDONED_SECONDS = 3600.0
BESIDE = ("-wal", "-shm", "-journal")
"""The endings of the files in which SQLite keeps what belongs to a database."""

_OF_THE_TARGET = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
)  # fmt: skip


def back_up(session: Session, target: str, *, replace: bool, progress: Progress | None) -> Backup:
    """Copy the database to a plain file, check the copy, and only then give it its name."""
    _check_target(session.place, target, replace=replace)
    with new_file_beside(target) as part:
        session.read(lambda db: copy_pages(db, part, progress=progress, named=target))
        with _told_of(target), closing(connect(part, "mode=rw")) as copy:
            if faults := soundness.damage(copy):
                raise StoreDamaged(session.place, faults[0])
            ((jobs, _),) = copy.execute(SQL["count_jobs"]).fetchall()
        with _told_of(target):
            size = sync(part)
            _give_name(part, target, replace=replace)
    return Backup(jobs=jobs, size_bytes=size)


def copy_pages(
    db: sqlite3.Connection,
    target: str,
    *,
    progress: Progress | None = None,
    named: str | None = None,
) -> None:
    """Copy the open transaction's state of ``db`` into the empty file ``target``.

    The copy is no WAL database, so that it is one file, and is not synced yet. Errors call
    the file ``named``.
    """
    db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # from here on the state is fixed
    try:
        with closing(connect(target, "mode=rw")) as copy:
            copy.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()  # needs no -shm
            copy.execute("PRAGMA synchronous = OFF").fetchall()
            copy.execute("PRAGMA journal_mode = MEMORY").fetchall()
            db.backup(copy, pages=_PAGES_A_STEP, progress=_told(progress))
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        if primary_code(error) in _OF_THE_TARGET:
            raise translated(error, named or target) from error
        raise


def _told(progress: Progress | None) -> Callable[[int, int, int], object] | None:
    if progress is None:
        return None
    return lambda _status, left, pages: progress(pages - left, pages)


@contextmanager
def new_file_beside(target: str) -> Iterator[str]:
    """A new, empty file of mode 0600 in the folder of ``target``, gone afterwards."""
    folder, name = os.path.split(target)
    part = os.path.join(folder, f".{name}.{new_id()}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _told_of(target):
        fd = os.open(part, flags, 0o600)
        os.fchmod(fd, 0o600)  # a tight umask may have taken away our own rights
        os.close(fd)
    try:
        yield part
    finally:
        for ending in ("", *BESIDE):
            with suppress(OSError):
                os.unlink(f"{part}{ending}")


def abandoned(target: str) -> tuple[str, ...]:
    """What killed copies have left beside the file that they were to become.

    Whoever is still at it has written within the hour.
    """
    folder, name = os.path.split(target)
    found = []
    for entry in os.scandir(folder):
        if entry.name.startswith(f".{name}.") and entry.name.endswith(".part"):
            with suppress(FileNotFoundError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS:
                    found.append(entry.path)
    return tuple(found)


def sync(path: str) -> int:
    """Bring a file that nobody has open to the disk; its size in bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def sync_folder(of: str) -> None:
    """Make the names in the folder of a file durable, where the folder may be read."""
    with suppress(PermissionError):
        fd = os.open(os.path.dirname(of), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def place_new(part: str, target: str) -> None:
    """Give the file its name, unless something has it. FileExistsError."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as FAT
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(part, target)


def _give_name(part: str, target: str, *, replace: bool) -> None:
    if replace:
        os.replace(part, target)
    else:
        try:
            place_new(part, target)
        except FileExistsError:
            raise _taken(target) from None
    sync_folder(target)


def _check_target(source: str, target: str, *, replace: bool) -> None:
    if is_same(source, target) or any(
        is_same(f"{source}{ending}", target) for ending in (*BESIDE, "-gate", "-bells")
    ):
        raise FileTaken(target, "belongs to the queue itself", "Name another file.")
    if os.path.lexists(target) and not replace:
        raise _taken(target)
    for ending in ("-wal", "-journal"):
        if os.path.lexists(f"{target}{ending}"):
            problem = "lies there: SQLite would take it for a part of the backup"
            raise FileTaken(f"{target}{ending}", problem, "Name another file.")


def _taken(target: str) -> FileTaken:
    return FileTaken(target, "is there already", "Name another file, or overwrite it: --force.")


def is_same(one: str, other: str) -> bool:
    """Whether two paths name one file, or would when it is made."""
    with suppress(OSError):
        if os.path.samefile(one, other):
            return True
    return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def _told_of(target: str) -> Iterator[None]:
    """Troubles with the target as errors that name it."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, target) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFull(target) from error
        raise StoreError(target, f"cannot be written: {error.strerror}.") from error
