"""Enqueueing in a transaction of the caller's own, on the caller's own connection.

The caller's tables lie in the queue's file: that is what makes it one transaction. With the
queue attached to another database SQLite commits file by file, and a crash of the machine in
between would leave the one without the other.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

import attrs

from flam_store import faults
from flam_store.clock import Clock
from flam_store.config import Config
from flam_store.errors import StoreError, StoreForeign, StoreMisused
from flam_store.job import Job, JobSpec
from flam_store.sqlite import bells, enqueueing, place, reading
from flam_store.sqlite.connection import patiently
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.schema import KNOWN, found_schema
from flam_store.sqlite.session import CHANGES_A_CHECKPOINT, refuse_inherited
from flam_store.sqlite.soundness import own_names
from flam_store.sqlite.troubles import primary_code, translated

T = TypeVar("T")

Connection = sqlite3.Connection
"""What a caller has: of the standard library, which is the only SQLite in the process."""

_FULL = 2
_PATIENCE_SECONDS = 30.0

_CHANGES_OF_A_TRANSACTION = 5
"""What one that is not under the gate counts as: a job, and some rows of the caller's."""

_SETTINGS = (
    "PRAGMA synchronous = FULL",  # an acknowledged job survives a power cut
    "PRAGMA fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 0",  # only under the gate
    "PRAGMA mmap_size = 0",
)


@attrs.define
class Joined:
    """The queue within an open transaction of the caller's; of no use after it."""

    _db: sqlite3.Connection
    _place: str
    _config: Config
    _clock: Clock
    is_open: bool = attrs.field(default=True, init=False)

    def enqueue(self, spec: JobSpec) -> Job:
        """As ``Store.enqueue``. After an error the transaction is as it was, and goes on."""
        named = spec.named()

        def change() -> Job:
            enqueueing.insert(self._db, (named,), self._config, self._clock())
            return reading.job(self._db, str(named.id))

        return self._undone_on_error(change)

    def enqueue_many(self, specs: Iterable[JobSpec]) -> int:
        """As ``Store.enqueue_many``: all of them, or none and the transaction as it was."""
        named = (spec.named() for spec in specs)
        return self._undone_on_error(
            lambda: enqueueing.insert(self._db, named, self._config, self._clock())
        )

    def _undone_on_error(self, change: Callable[[], T]) -> T:
        if not self.is_open:
            raise StoreMisused(self._place, "was asked after the end of the transaction.")
        _check_open(self._db, self._place)
        with _plain(self._db):
            self._db.execute("SAVEPOINT flam")
            try:
                answer = change()
            except BaseException as error:
                if self._db.in_transaction:  # a full disk ends all of it
                    self._db.execute("ROLLBACK TO flam")
                    self._db.execute("RELEASE flam")
                if isinstance(error, sqlite3.Error):
                    raise _told(error, self._place) from error
                raise
            self._db.execute("RELEASE flam")
        return answer


def enqueue(db: sqlite3.Connection, spec: JobSpec, config: Config, clock: Clock) -> Job:
    """In the caller's open transaction; see ``flam_store.joining.enqueue_in``."""
    with _plain(db):
        path = _path_of(db)
        place.check_file_system(path)
        place.check_file(path)
        refuse_inherited(path)
        patiently(lambda: _check_schema(db, path), path, _PATIENCE_SECONDS)
        _check_durable(db)
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        _count_one(db, path)
        with _begun(db, path):
            _check_schema(db, path)
            return Joined(db, path, config, clock).enqueue(spec)


def _check_durable(db: sqlite3.Connection) -> None:
    ((level,),) = db.execute("PRAGMA synchronous").fetchall()
    if level < _FULL:
        problem = "has a synchronous level at which a power cut could take the job. Set FULL."
        raise StoreMisused("The connection", problem)


def _count_one(db: sqlite3.Connection, path: str) -> None:
    """One more transaction for the next checkpoint, which is made now if it is due.

    Nobody is waited for: whoever holds the gate counts and makes checkpoints as well.
    """
    with suppress(StoreError, OSError), closing(Gate(path)) as gate, gate.held(0):
        _checkpoint_when_due(db, gate, _CHANGES_OF_A_TRANSACTION)


@contextmanager
def _begun(db: sqlite3.Connection, path: str) -> Iterator[None]:
    """An error ends what was begun here: nobody else knows of it, and it keeps every writer out."""
    begins = not db.in_transaction
    if begins:
        _begin(db, path)
    try:
        yield
    except BaseException:
        if begins and db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _begin(db: sqlite3.Connection, path: str) -> None:
    """What sqlite3 would do before an INSERT: begin, unless that is left to the caller."""
    if db.isolation_level is None or getattr(db, "autocommit", None) is True:
        problem = "is in no transaction. Say BEGIN IMMEDIATE first, or use flam_store.transaction."
        raise StoreMisused("The connection", problem)
    patiently(lambda: db.execute("BEGIN IMMEDIATE"), path, _PATIENCE_SECONDS)


@contextmanager
def transaction(
    db: sqlite3.Connection, config: Config, clock: Clock, patience_seconds: float
) -> Iterator[Joined]:
    """A transaction of ``db`` under the gate; see ``flam_store.joining.transaction``."""
    path = _checked(db, patience_seconds)
    with closing(Gate(path)) as gate, gate.held(patience_seconds):
        patiently(lambda: db.execute("BEGIN IMMEDIATE"), path, patience_seconds)
        before = db.total_changes
        joined = Joined(db, path, config, clock)
        try:
            with _plain(db):
                _check_schema(db, path)
            yield joined
            _check_open(db, path)
            _commit(db, path)
        finally:
            joined.is_open = False
            if db.in_transaction:
                db.execute("ROLLBACK")
        _checkpoint_when_due(db, gate, db.total_changes - before)
    bells.ring(f"{path}-bells")


def _checked(db: sqlite3.Connection, patience_seconds: float) -> str:
    """The path of the connection's database, which may be used, with all that has to be set."""
    if getattr(db, "autocommit", None) is False:
        problem = "was opened with autocommit=False, which never leaves a transaction. "
        raise StoreMisused("The connection", f"{problem}Open it with isolation_level=None.")
    if db.in_transaction:
        raise StoreMisused(
            "The connection", "is in a transaction already. Commit it, and begin with this one."
        )
    with _plain(db):
        path = _path_of(db)
        place.check_file_system(path)
        place.check_file(path)
        refuse_inherited(path)
        patiently(lambda: _check_schema(db, path), path, patience_seconds)
        for setting in _SETTINGS:
            db.execute(setting).fetchall()
    return path


def _path_of(db: sqlite3.Connection) -> str:
    (path,) = (path for _, name, path in db.execute("PRAGMA database_list").fetchall()
               if name == "main")  # fmt: skip
    if not path:
        raise StoreMisused("The connection", "is to no file. Open the queue's database with it.")
    return os.path.realpath(str(path))


def _check_schema(db: sqlite3.Connection, path: str) -> None:
    """Only a queue at this version's schema, whose tables are what their names say."""
    version = found_schema(db, path)
    if version == 0:
        raise StoreForeign(path, "it is empty; open_store makes a queue of it")
    if version < KNOWN:
        problem = f"is at schema {version}, and this Flam at {KNOWN}. open_store brings it there."
        raise StoreMisused(path, problem)
    hiding = {name for (name,) in db.execute(SQL["temporary_objects"]).fetchall()}
    if hiding and (hidden := hiding & own_names()):
        raise StoreMisused(path, f"is hidden by a temporary table named {min(hidden)}.")


def _check_open(db: sqlite3.Connection, path: str) -> None:
    if not db.in_transaction:
        raise StoreMisused(
            path, "has lost its transaction: nothing inside may commit, roll back or run a script."
        )


def _told(error: sqlite3.Error, path: str) -> StoreError:
    """One that has read an older state than the latest can never write: to wait is no help."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY_SNAPSHOT:
        problem = "began with a read, and another has written since. Begin with BEGIN IMMEDIATE."
        return StoreMisused("The transaction", problem)
    return translated(error, path)


def _commit(db: sqlite3.Connection, path: str) -> None:
    faults.reach("committing")
    try:
        db.execute("COMMIT")
    except sqlite3.Error as error:
        if primary_code(error) == sqlite3.SQLITE_CONSTRAINT:
            raise  # a reference between the caller's own rows
        raise translated(error, path) from error
    faults.reach("committed")


def _checkpoint_when_due(db: sqlite3.Connection, gate: Gate, changes: int) -> None:
    """As the queue's own writers do; what was committed stands in any case.

    Within a transaction of the caller's there is none: the next writer makes it.
    """
    if gate.count(changes) < CHANGES_A_CHECKPOINT or db.in_transaction:
        return
    gate.reset_count()
    try:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error:
        return


@contextmanager
def _plain(db: sqlite3.Connection) -> Iterator[None]:
    """The connection gives tuples of text, whatever the caller has it give."""
    before: tuple[Any, Any] = (db.row_factory, db.text_factory)
    db.row_factory, db.text_factory = None, str
    try:
        yield
    finally:
        db.row_factory, db.text_factory = before
