"""Whether a database is whole, and ours: asked of the queue itself and of every copy of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from flam_store.sqlite.connection import memory_database
from flam_store.sqlite.schema import objects

_MOST_FAULTS = 5

WalReset = tuple[int, int, int]
_FIRST_WITH_RESET_FAULT: WalReset = (3, 7, 0)
_MENDED_SINCE: WalReset = (3, 51, 3)
_MENDED_BEFORE = ((3, 44, 6), (3, 50, 7))
"""Versions within their line of releases; https://www.sqlite.org/wal.html#walresetbug."""


def has_wal_reset_fault(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can lose a commit that resets the WAL while another one checkpoints."""
    mended = any(version[:2] == each[:2] and version >= each for each in _MENDED_BEFORE)
    return _FIRST_WITH_RESET_FAULT <= version < _MENDED_SINCE and not mended


def damage(db: sqlite3.Connection) -> tuple[str, ...]:
    """What SQLite finds wrong with pages, indexes, rules and references; empty when it is whole.

    sqlite3.Error where the damage keeps it from looking.
    """
    return (*_broken_pages(db), *_broken_references(db))[:_MOST_FAULTS]


def _broken_pages(db: sqlite3.Connection) -> Iterator[str]:
    found = db.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
    return (str(fault) for (fault,) in found if fault != "ok")


def _broken_references(db: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"a row {row or ''} of {table} belongs to none of {parent}"


def strange_objects(db: sqlite3.Connection) -> tuple[str, ...]:
    """Tables, indexes and triggers that are missing, other than Flam's, or not Flam's at all."""
    with closing(memory_database()) as model:
        ours, theirs = objects(model), objects(db)
    return tuple(sorted(name for name in ours.keys() | theirs.keys()
                        if ours.get(name) != theirs.get(name)))  # fmt: skip
