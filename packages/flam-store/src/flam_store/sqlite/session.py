"""One handle on the database: transactions, turns between threads, and what may go wrong."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from flam_store import faults
from flam_store.errors import StoreError, StoreLost, StoreMisused
from flam_store.sqlite.connection import (
    close_after_look,
    close_database,
    look_into_database,
    memory_database,
    open_database,
    patiently,
)
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.schema import KNOWN, found_schema
from flam_store.sqlite.troubles import primary_code, translated

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long a verb waits for other writers before StoreBusy."""

CHANGES_A_CHECKPOINT = 1_500
"""Rows changed between checkpoints, by all processes: some thousand frames of the WAL."""

_LOOK_SECONDS = 1.0
"""How often a handle looks whether the file at its path is still the one it opened."""

_open_files: list[tuple[int, object]] = []
"""The process that opened a database, and which file it is; also what a fork inherited."""

_left_by_fork: list[sqlite3.Connection] = []
"""Connections inherited by a forked child: never used, and never closed, which would write."""


class Session:
    """A connection with its gate. ``path`` None: an empty queue in memory.

    One that ``only_looks`` has no gate, and changes nothing.
    """

    def __init__(
        self,
        path: str | None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        only_looks: bool = False,
    ) -> None:
        self.place = path or "memory"
        self._patience = patience_seconds
        self._pid = os.getpid()
        self._turn = threading.RLock()
        self._inside = False
        self._lost = False
        self._gate: Gate | None = None
        self._only_looks = only_looks
        if path is None:
            self._db: sqlite3.Connection | None = memory_database()
            return
        refuse_inherited(path)
        self._had_log = _size(f"{path}-wal") > 0
        if only_looks:
            self._db = look_into_database(path, patience_seconds)
        else:
            self._db, self._gate = open_database(path, patience_seconds)
        self._file = _identity(path)
        self._wal = _identity(f"{path}-wal")
        _open_files.append((self._pid, self._file))
        self._looked = time.monotonic()

    @property
    def lasting(self) -> bool:
        """Whether the database is a file, which others may write too."""
        return self._gate is not None

    @property
    def in_memory(self) -> bool:
        """Whether the queue is kept nowhere."""
        return self._gate is None and not self._only_looks

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run the query in one consistent state of the database."""
        with self._verb() as db:
            return patiently(lambda: _snapshot(db, self._told(query)), self.place, self._patience)

    def write(self, change: Callable[[sqlite3.Connection], T], *, keeps: bool = True) -> T:
        """Run the change as one transaction, durable on return, or not at all.

        With ``keeps`` False it is undone, for what it found.
        """
        if self._only_looks:
            raise StoreMisused(self.place, "was opened for looking only.")
        with self._verb() as db, self._held():
            before = db.total_changes
            answer = self._commit(db, change, keeps=keeps)
            self._checkpoint_when_due(db, db.total_changes - before)
            return answer

    def _told(self, query: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The query, which says so when it asks for what an older schema does not have.

        Only who looks meets one: everybody else has brought it to this version's.
        """
        if not self._only_looks:
            return query

        def told(db: sqlite3.Connection) -> T:
            try:
                return query(db)
            except sqlite3.OperationalError as error:
                found = found_schema(db, self.place)
                if primary_code(error) != sqlite3.SQLITE_ERROR or found == KNOWN:
                    raise
                problem = f"is at schema {found}, and this is known from schema {KNOWN} on"
                mend = "Open it for writing once, as every pool does."
                raise StoreError(self.place, f"{problem}. {mend}") from error

        return told

    def data_version(self) -> int:
        """A number that changes when another connection has committed."""
        with self._verb() as db:
            return patiently(lambda: version_of(db), self.place, self._patience)

    def truncate_log(self) -> None:
        """Empty the WAL, so that deleted text is gone from it; skipped while others read."""
        with self._verb() as db, self._held():
            patiently(
                lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(),
                self.place,
                self._patience,
            )

    def close(self) -> None:
        if self._pid != os.getpid():
            if self._db is not None:
                _left_by_fork.append(self._db)
            self._db = None
            return
        with self._turn:
            if self._inside:
                raise StoreMisused(self.place, "was to be closed from inside a verb.")
            db, self._db = self._db, None
            if db is not None:
                self._let_go(db)

    def _let_go(self, db: sqlite3.Connection) -> None:
        if self._gate is not None:
            close_database(db, self._gate)
        elif self._only_looks:
            close_after_look(db, self.place, had_log=self._had_log)
        else:
            db.close()
            return
        _open_files.remove((self._pid, self._file))

    @contextmanager
    def _verb(self) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            raise StoreMisused(
                self.place, "was opened before this process was forked; open it anew."
            )
        with self._turn:
            if self._inside:
                raise StoreMisused(self.place, "was asked for something from inside another verb.")
            db = self._usable()
            self._inside = True
            try:
                yield db
            except StoreLost as error:
                # What a connection believes of the file after an I/O error may be wrong. One of
                # another file, to which this one is copied, is of no consequence here.
                self._lost = self._lost or error.place == self.place
                raise
            finally:
                self._inside = False

    def _usable(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreMisused(self.place, "has been closed; open it anew.")
        if self._gate is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._lost = self._lost or self._was_replaced()
            self._looked = time.monotonic()
        if self._lost:
            raise StoreLost(
                self.place, "was replaced, or failed before; close it and open it anew."
            )
        return self._db

    def _was_replaced(self) -> bool:
        """Whether the database or its WAL, which stays while it is open, is another file now."""
        wal = _identity(f"{self.place}-wal")
        self._wal = self._wal or wal
        return (_identity(self.place), wal) != (self._file, self._wal)

    def _held(self) -> AbstractContextManager[None]:
        return nullcontext() if self._gate is None else self._gate.held(self._patience)

    def _commit(
        self, db: sqlite3.Connection, change: Callable[[sqlite3.Connection], T], *, keeps: bool
    ) -> T:
        try:
            patiently(lambda: db.execute("BEGIN IMMEDIATE"), self.place, self._patience)
            answer = change(db)
            faults.reach("committing")
            db.execute("COMMIT" if keeps else "ROLLBACK")
            faults.reach("committed")
        except sqlite3.Error as error:
            self._lost = primary_code(error) == sqlite3.SQLITE_IOERR
            raise translated(error, self.place) from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        return answer

    def _checkpoint_when_due(self, db: sqlite3.Connection, changes: int) -> None:
        """Move the WAL into the database now and then; what was committed stands in any case."""
        if self._gate is None or self._gate.count(changes) < CHANGES_A_CHECKPOINT:
            return
        self._gate.reset_count()
        try:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            self._lost = primary_code(error) == sqlite3.SQLITE_IOERR


def _snapshot(db: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    db.execute("BEGIN")
    try:
        return query(db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def refuse_inherited(path: str) -> None:
    """SQLite takes the locks of an inherited connection for its own, and nobody holds them."""
    file = _identity(path)
    if any(pid != os.getpid() and inherited == file for pid, inherited in _open_files):
        raise StoreMisused(
            path, "was open in the process that this one was forked from; close it before the fork."
        )


def version_of(db: sqlite3.Connection) -> int:
    ((version,),) = db.execute("PRAGMA data_version").fetchall()
    return int(version)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
