"""The smallest hand-written queue in SQLite: what Flam's own costs are measured against."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TABLE = """
CREATE TABLE jobs (id INTEGER PRIMARY KEY, state INTEGER NOT NULL DEFAULT 0, command TEXT NOT NULL);
CREATE INDEX ready ON jobs (id) WHERE state = 0;
"""


class Loop:
    """One table, WAL, ``synchronous=FULL``, and SQLite's own wait for other writers."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL").fetchall()
        self._db.execute("PRAGMA synchronous = FULL")
        if new:
            self._db.executescript(_TABLE)

    def fill(self, jobs: int) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO jobs (command) VALUES (?)", [("true",)] * jobs)
        self._db.execute("COMMIT")

    def enqueue(self) -> None:
        """Insert one row, durable on return."""
        self._db.execute("INSERT INTO jobs (command) VALUES ('true')")

    def turn(self) -> bool:
        """Claim a job and complete it, in two commits; False when there is none."""
        self._db.execute("BEGIN IMMEDIATE")
        claimed = self._db.execute(
            "UPDATE jobs SET state = 1"
            " WHERE id = (SELECT id FROM jobs WHERE state = 0 ORDER BY id LIMIT 1)"
            " RETURNING id, command"
        ).fetchall()
        self._db.execute("COMMIT")
        if not claimed:
            return False
        self._db.execute("UPDATE jobs SET state = 2 WHERE id = ? AND state = 1", claimed[0][:1])
        return True

    def close(self) -> None:
        self._db.close()


@contextmanager
def loop_at(path: Path) -> Iterator[Loop]:
    """The loop's queue, made if it is not there."""
    loop = Loop(path)
    try:
        yield loop
    finally:
        loop.close()
