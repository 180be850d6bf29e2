"""Whose database it is, at which schema; and the way from there to this version's schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flam_store.errors import StoreForeign, StoreNewer
from flam_store.sqlite.queries import SQL, packaged_text

if TYPE_CHECKING:
    from flam_store.migrations import Migration

APPLICATION_ID: Final = 0x464C414D
"""``FLAM`` in the header of every database of ours (``PRAGMA application_id``)."""

_FILES: Final = ("0001_queue.sql", "0002_schedules.sql")
KNOWN: Final = len(_FILES)


def found_schema(db: sqlite3.Connection, place: str) -> int:
    """The schema's version, 0 for an empty database. StoreForeign; StoreNewer. Changes nothing."""
    ((application,),) = db.execute("PRAGMA application_id").fetchall()
    ((version,),) = db.execute("PRAGMA user_version").fetchall()
    ((objects,),) = db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    if application == APPLICATION_ID:
        if version > KNOWN:
            raise StoreNewer(place, version, KNOWN)
        return int(version)
    if application or version or objects:
        raise StoreForeign(place, f"application id {application:#x}, {objects} tables and indexes")
    return 0


def migrations() -> tuple[Migration, ...]:
    from flam_store.migrations import ordered, parse_migration

    return ordered(parse_migration(name, packaged_text(f"migrations/{name}")) for name in _FILES)


def objects(db: sqlite3.Connection) -> dict[str, str]:
    """The statement that made each table, index, trigger and view."""
    found = db.execute(SQL["schema_objects"]).fetchall()
    return {f"{kind} {name}": sql for kind, name, sql in found}


def migrate_one(db: sqlite3.Connection, place: str) -> bool:
    """Take the next step under the write lock; return whether there was one to take."""
    db.execute("BEGIN IMMEDIATE")
    version = found_schema(db, place)
    if version == KNOWN:
        db.execute("ROLLBACK")
        return False
    from flam_store.migrations import Kind

    step = migrations()[version]
    if step.kind is Kind.PLAIN:
        db.execute("ROLLBACK")
    for statement in statements(step.sql):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {step.number}")
    if db.in_transaction:
        db.execute("COMMIT")
    return True


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one; a trigger's body stays whole."""
    pending = ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
