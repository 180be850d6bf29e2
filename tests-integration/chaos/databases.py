"""A queue's database, looked at and harmed from outside."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command has ended as it should without a store: one line, 5, no traceback."""
    assert done.returncode == 5, (done.args, done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def is_sound(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as db:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def change(database: Path, statement: str, *values: object) -> int:
    """Do what Flam has no verb for; how many rows it has changed."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=20)) as db:
        return db.execute(statement, values).rowcount


def schema(database: Path) -> int:
    """The version that it says it is at."""
    with closing(sqlite3.connect(database)) as db:
        ((version,),) = db.execute("PRAGMA user_version").fetchall()
        return int(version)


def checkpoint(database: Path) -> None:
    """Bring everything into the file itself."""
    change(database, "PRAGMA wal_checkpoint(TRUNCATE)")


def digests(database: Path) -> dict[str, str]:
    """Of what holds data: an empty -wal, and the index beside it, come and go with a look."""
    names = (database, Path(f"{database}-wal"), Path(f"{database}-journal"))
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest()
            for each in names if each.exists() and each.stat().st_size}  # fmt: skip


def files(database: Path) -> list[Path]:
    """The database and what SQLite keeps beside it, as far as they exist."""
    return [path for end in ("", "-wal", "-shm") if (path := Path(f"{database}{end}")).exists()]


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)
