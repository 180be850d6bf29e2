"""Inserting many rows with few statements.

A statement that fires a trigger keeps a journal of its own, a copy of every page that it changes,
in case it fails. In a transaction of many statements that journal soon is a file, and for a row of
``jobs`` writing it takes twice as long as the row itself; so a block of rows is one statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain

from flam_store.sqlite.rows import Row

BLOCK = 100

Refusal = Callable[[int, sqlite3.IntegrityError], Exception]
"""What to raise for the row at a place (from 0) that the database refused."""


def insert(
    db: sqlite3.Connection, statement: str, rows: Sequence[Row], refused: Refusal | None = None
) -> None:
    """Insert the rows, in their order, by a statement that inserts one."""
    whole = len(rows) - len(rows) % BLOCK
    for first in range(0, whole, BLOCK):
        block = rows[first : first + BLOCK]
        try:
            db.execute(_for_a_block(statement), list(chain.from_iterable(block)))
        except sqlite3.IntegrityError:  # nothing of the block is there: one by one, to say which
            _one_by_one(db, statement, enumerate(block, first), refused)
    _one_by_one(db, statement, enumerate(rows[whole:], whole), refused)


def _one_by_one(
    db: sqlite3.Connection,
    statement: str,
    numbered: Iterable[tuple[int, Row]],
    refused: Refusal | None,
) -> None:
    for place, row in numbered:
        try:
            db.execute(statement, row)
        except sqlite3.IntegrityError as error:
            if refused is None:
                raise
            raise refused(place, error) from error


@cache
def _for_a_block(statement: str) -> str:
    """The statement with its row of parameters a hundred times over."""
    head, values, row = statement.rstrip(";").partition("VALUES ")
    return head + values + ", ".join([row] * BLOCK)
