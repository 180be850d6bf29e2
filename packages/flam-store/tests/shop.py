"""A program that keeps orders in the queue's file, and what it and its queue then hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from flam_store import Store

MADE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, job TEXT UNIQUE)"


def ids(store: Store) -> list[str]:
    return [job.id for job in reversed(store.jobs().jobs)]


def orders(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [job for (job,) in db.execute("SELECT job FROM orders ORDER BY id").fetchall()]


def place_order(db: sqlite3.Connection, job_id: str) -> None:
    db.execute("INSERT INTO orders (job) VALUES (?)", (job_id,))
