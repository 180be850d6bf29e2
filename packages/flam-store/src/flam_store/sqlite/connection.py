"""Opening and closing a connection so that nothing else in the file is disturbed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from flam_store.errors import StoreError
from flam_store.sqlite import place
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.schema import KNOWN, found_schema, migrate_one
from flam_store.sqlite.troubles import is_busy, translated

T = TypeVar("T")

_SETTINGS = (
    "PRAGMA synchronous = FULL",  # an acknowledged job survives a power cut
    "PRAGMA fullfsync = ON",  # also on macOS, whose fsync stops at the disk's cache
    "PRAGMA wal_autocheckpoint = 0",  # Flam checkpoints under the gate
    "PRAGMA journal_size_limit = 33554432",
    "PRAGMA mmap_size = 0",  # an I/O error is an error, not a SIGBUS
    "PRAGMA secure_delete = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cell_size_check = ON",
)


def patiently(action: Callable[[], T], where: str, patience_seconds: float) -> T:
    """Do it, again while another connection is in the way. Any trouble as a StoreError."""
    started, pause = time.monotonic(), 0.001
    while True:
        try:
            return action()
        except sqlite3.Error as error:
            waited = time.monotonic() - started
            if not is_busy(error) or waited > patience_seconds:
                raise translated(error, where, waited) from error
        # Few meet anybody; the module is half a millisecond of each start.
        from random import uniform

        time.sleep(uniform(0, pause))
        pause = min(pause * 2, 0.05)


def open_database(path: str, patience_seconds: float) -> tuple[sqlite3.Connection, Gate]:
    """A connection to Flam's database at ``path``, at this version's schema, and its gate.

    What is no database of Flam's is left bit for bit as it was.
    """
    place.check_file_system(path)
    place.check_file(path)
    db = connect(path, "mode=rw")
    gate = None
    try:
        version = patiently(lambda: _look(db, path), path, patience_seconds)
        gate = Gate(path)
        if version < KNOWN or not patiently(lambda: _is_wal(db), path, patience_seconds):
            with gate.held(patience_seconds):
                patiently(lambda: _make(db, path), path, patience_seconds)
        patiently(lambda: _configure(db), path, patience_seconds)
    except BaseException:
        _close_untouched(db, path)
        if gate is not None:
            gate.close()
        raise
    return db, gate


def look_into_database(path: str, patience_seconds: float) -> sqlite3.Connection:
    """A connection for looking only: nothing is made, brought to a newer schema, or written."""
    place.check_file_system(path)
    place.check_file(path)
    db = connect(path, "mode=rw")
    try:
        patiently(lambda: _look(db, path), path, patience_seconds)
        _configure(db)
        db.execute("PRAGMA query_only = ON").fetchall()
    except BaseException:
        _close_untouched(db, path)
        raise
    return db


def close_after_look(db: sqlite3.Connection, path: str, *, had_log: bool) -> None:
    """Close without a checkpoint of what was there; a WAL that was not there is taken away.

    Without one, others have written what is in it now: Flam's own have made the gate then.
    """
    if had_log:
        _close_untouched(db, path)
    elif os.path.lexists(f"{path}-gate"):
        close_database(db, Gate(path))
    else:
        db.close()


def memory_database() -> sqlite3.Connection:
    """An empty queue that only this connection sees and nothing keeps."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    while migrate_one(db, "memory"):
        pass
    return db


def close_database(db: sqlite3.Connection, gate: Gate) -> None:
    """Close, under the gate if nobody is inside: the last connection makes a checkpoint.

    Whoever is inside is connected, so that this one is not the last; waiting would hold up
    one that only looked.
    """
    try:
        with gate.held(0):
            db.close()
    except StoreError:
        db.close()
    gate.close()


def connect(path: str, how: str) -> sqlite3.Connection:
    """A bare connection; ``how`` are parameters of an SQLite URI, such as ``mode=ro``."""
    try:
        return sqlite3.connect(
            f"file:{quote(path)}?{how}",
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _look(db: sqlite3.Connection, path: str) -> int:
    """The schema, in one consistent state: another process may be making it now."""
    db.execute("BEGIN")
    try:
        return found_schema(db, path)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _configure(db: sqlite3.Connection) -> None:
    for setting in _SETTINGS:
        db.execute(setting).fetchall()


def _is_wal(db: sqlite3.Connection) -> bool:
    return db.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def _make(db: sqlite3.Connection, path: str) -> None:
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    _configure(db)
    try:
        while migrate_one(db, path):
            pass
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _close_untouched(db: sqlite3.Connection, path: str) -> None:
    """Close without a checkpoint: a reader stays until after, so that we are not the last."""
    with (
        contextlib.suppress(sqlite3.Error, StoreError),
        contextlib.closing(connect(path, "mode=ro")) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        db.close()
    db.close()
