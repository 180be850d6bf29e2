"""The driver's troubles, as Flam's errors."""

from __future__ import annotations

import sqlite3

from flam_store.errors import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLost,
)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html), 0 when unknown."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection was in the way, so that the same may be tried again."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: sqlite3.Error, place: str, waited_seconds: float = 0.0) -> StoreError:
    """The error of Flam that says what the driver's error means for a caller."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if name == "SQLITE_IOERR_SHMSIZE":  # the index beside the WAL has no room
        return StoreFull(place)
    match primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(place, waited_seconds)
        case sqlite3.SQLITE_FULL:
            return StoreFull(place)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreDamaged(place, f"{name}: {error}")
        case sqlite3.SQLITE_IOERR:
            return StoreLost(place, f"could not be read or written ({name}). Check the disk.")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreError(place, "is read-only here. Check its mode and file system.")
        case sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                place,
                "cannot be opened. Check that it and its folder exist and may be written, "
                "and that there is room.",
            )
        case _:
            return StoreError(place, f"gave an unexpected answer: {name}: {error}")
