"""One transaction for a program's own rows and its jobs: both are stored, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from flam_store.clock import Clock, system_clock
from flam_store.config import Config
from flam_store.job import Job, JobSpec

if TYPE_CHECKING:
    from flam_store.sqlite.joining import Connection, Joined


@contextmanager
def transaction(
    connection: Connection,
    *,
    config: Config | None = None,
    clock: Clock = system_clock,
    patience: timedelta = timedelta(seconds=30),
) -> Iterator[Joined]:
    """A write transaction on the caller's own ``sqlite3`` connection to the queue's database.

    Inside, the caller writes to tables of its own, which lie in the same file, and enqueues.
    The end of the block commits all of it, durable, and wakes the workers; an error that
    leaves the block rolls all of it back. A refused job (IdTaken, KeyTaken, SpecError) that is
    caught inside leaves the transaction as it was before.

    Others wait meanwhile, also the workers: no verb of a store, no other transaction and
    nothing slow belongs inside, and no commit or rollback (StoreMisused). The connection is not in
    a transaction before, and was not opened with ``autocommit=False``; ``synchronous=FULL`` and
    ``wal_autocheckpoint=0`` are set on it and stay. ``open_store`` must have made the queue.
    ``config``, ``clock`` and ``patience`` as there.

    StoreMisused, StoreForeign, StoreNewer, UnsafeError for what is no queue that may be used;
    StoreBusy, StoreFull, StoreLost as any verb. SQLite's errors on the caller's own
    statements are the caller's.

    >>> import sqlite3, tempfile
    >>> from flam_store import JobSpec, open_store
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/queue.db"
    >>> open_store(f"sqlite:///{path}").close()
    >>> connection = sqlite3.connect(path, isolation_level=None)
    >>> _ = connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, job TEXT)")
    >>> with transaction(connection) as queue:
    ...     job = queue.enqueue(JobSpec(command="./pack"))
    ...     _ = connection.execute("INSERT INTO orders (job) VALUES (?)", (job.id,))
    >>> connection.execute("SELECT count(*) FROM orders").fetchone()
    (1,)
    >>> connection.close()
    >>> folder.cleanup()
    """
    from flam_store.sqlite import joining

    seconds = patience.total_seconds()
    with joining.transaction(connection, config or Config(), clock, seconds) as queue:
        yield queue


def enqueue_in(
    connection: Connection,
    spec: JobSpec,
    *,
    config: Config | None = None,
    clock: Clock = system_clock,
) -> Job:
    """Store a job in the transaction that the caller has begun on a connection of its own.

    The job is there when the caller commits, and was never there when it rolls back. The
    caller's tables lie in the queue's file. Where sqlite3 begins transactions by itself (its
    default), it has begun one by the end of this call; with ``isolation_level=None`` the caller
    has said ``BEGIN IMMEDIATE`` before. ``wal_autocheckpoint=0`` is set on the connection. A
    refused job leaves the transaction as it was, and ends one that this call began.

    Only Flam moves the WAL into the database, and never within the caller's transaction. A pool
    does, and so does this call where it comes first and begins the transaction. A program that
    always begins its own, beside no pool, calls ``Store.tidy`` now and then: the WAL grows until
    then, or until the last connection closes.

    ``transaction`` does more: it holds the gate and wakes the workers, who otherwise look within
    half a second. With an SQLite that has the WAL-reset fault (``queuectl doctor`` tells) use that
    one, as here a checkpoint may run beside the caller's commit.

    IdTaken; KeyTaken; SpecError; StoreMisused outside of a transaction, in one that has read
    before another wrote, or where the connection's ``synchronous`` is less than FULL; otherwise
    as ``transaction``.

    >>> import sqlite3, tempfile
    >>> from flam_store import JobSpec, enqueue_in, open_store
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/queue.db"
    >>> open_store(f"sqlite:///{path}").close()
    >>> connection = sqlite3.connect(path)
    >>> _ = connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, job TEXT)")
    >>> with connection:  # commits, or rolls back on an error
    ...     job = enqueue_in(connection, JobSpec(command="./pack"))
    ...     _ = connection.execute("INSERT INTO orders (job) VALUES (?)", (job.id,))
    >>> connection.execute("SELECT count(*) FROM orders JOIN jobs ON jobs.id = job").fetchone()
    (1,)
    >>> connection.close()
    >>> folder.cleanup()
    """
    from flam_store.sqlite import joining

    return joining.enqueue(connection, spec, config or Config(), clock)
