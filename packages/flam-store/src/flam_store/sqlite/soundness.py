"""Whether a database is whole, and ours: asked of the queue itself and of every copy of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from flam_store.sqlite import rows
from flam_store.sqlite.connection import memory_database
from flam_store.sqlite.queries import SQL
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
    """Of Flam's own tables: what another program makes of its references is its own affair."""
    ours = own_names()
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check").fetchall():
        if table in ours:
            yield f"a row {row or ''} of {table} belongs to none of {parent}"


def own_names() -> frozenset[str]:
    """The names of Flam's tables and views."""
    return frozenset(name for kind, _, name in map(_split, _made_by_flam())
                     if kind in ("table", "view"))  # fmt: skip


def strange_objects(db: sqlite3.Connection) -> tuple[str, ...]:
    """What Flam made and is missing or changed, and what others made that touches it.

    A trigger or an index on one of Flam's tables works with every verb, and a reference to one
    can refuse a purge.
    """
    ours, found = _made_by_flam(), objects(db)
    tables = rows.packed(sorted(own_names()))
    touching = {name for (name,) in db.execute(SQL["objects_that_touch"], {"tables": tables})}
    changed = {name for name, sql in ours.items() if found.get(name) != sql}
    return tuple(sorted(changed | (touching - ours.keys())))


def others_tables(db: sqlite3.Connection) -> tuple[str, ...]:
    """The tables of other programs, which may lie in the queue's file."""
    kept = (name for name in objects(db).keys() - _made_by_flam().keys())
    return tuple(sorted(name for kind, _, name in map(_split, kept) if kind == "table"))


def _made_by_flam() -> dict[str, str]:
    with closing(memory_database()) as model:
        return objects(model)


def _split(named: str) -> tuple[str, str, str]:
    return named.partition(" ")
