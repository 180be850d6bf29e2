"""What a measurement depends on: machine, versions, disk, and how durable a commit is."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from flam_store import __version__

_LEVELS = ("OFF", "NORMAL", "FULL", "EXTRA")


def facts(folder: Path) -> Mapping[str, object]:
    """The facts, of which the last are those of ``folder``, where the measuring is done."""
    return {
        "flam": __version__,
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "file_system": file_system(folder),
        "synchronous": synchronous(folder),
    }


def synchronous(folder: Path) -> str:
    """How the store's connections sync, as one of them says itself."""
    from flam_store.sqlite.connection import close_database, open_database
    from flam_store.sqlite.place import make_file

    path = str(folder / "level.db")
    make_file(path)
    db, gate = open_database(path, 30.0)
    ((level,),) = db.execute("PRAGMA synchronous").fetchall()
    close_database(db, gate)
    return _LEVELS[level]


def file_system(folder: Path) -> str:
    """The type of the file system, ``unknown`` where the kernel does not tell it this way."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return "unknown"
    best, found = "", "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        inside = folder.resolve().is_relative_to(point)
        if inside and len(point) >= len(best):
            best, found = point, after.split()[0]
    return found
