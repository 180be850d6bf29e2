"""One transaction for a program's own rows and its jobs: both are stored, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from flam_store.clock import Clock, system_clock
from flam_store.config import Config

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
