"""Enqueue a file with many jobs: the speed of the whole process, and its memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Line, paired
from benchmarks.processes import peak_bytes, timed
from benchmarks.setting import Setting, program, rotated

PART = "enqueue from a file"
_MOST_ROUNDS = 3

_LOOP = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state INTEGER DEFAULT 0, command TEXT)")
db.execute("CREATE INDEX ready ON jobs (id) WHERE state = 0")
db.execute("BEGIN IMMEDIATE")
with open(sys.argv[2], "rb") as lines:
    specs = map(json.loads, lines)
    db.executemany("INSERT INTO jobs (command) VALUES (?)", ((spec["command"],) for spec in specs))
db.execute("COMMIT")
"""


def measure(setting: Setting) -> Iterator[Line]:
    """``queuectl enqueue --file`` and the smallest script that does the same, in turns."""
    setting.say(PART)
    jobs = setting.sizes.bulk
    few = max(1, jobs // 10)
    seconds: dict[str, list[float]] = {"flam": [], "loop": []}
    with setting.fresh() as folder:
        many_specs, few_specs = _written(folder, jobs), _written(folder, few)
        for number in range(min(setting.sizes.rounds, _MOST_ROUNDS)):
            for name in rotated(list(seconds), number):
                with setting.fresh() as home:
                    seconds[name].append(timed(_words(name, home, many_specs)))
        peaks = []
        for specs in (many_specs, few_specs):
            with setting.fresh() as home:
                peaks.append(float(peak_bytes(_words("flam", home, specs))))
    yield paired(
        [jobs / each for each in seconds["flam"]],
        [jobs / each for each in seconds["loop"]],
        part=PART,
        what=f"{jobs:,} jobs, whole process",
        unit="/s",
        against_what="json.loads and executemany",
        goal="100,000 /s",
    )
    yield paired(
        peaks[:1],
        peaks[1:],
        part=PART,
        what="peak memory",
        unit="B",
        against_what=f"with {few:,} jobs",
        goal="bounded",
    )


def _written(folder: Path, count: int) -> Path:
    path = folder / f"{count}.ndjson"
    with path.open("w", encoding="ascii") as lines:
        lines.writelines('{"command": "true"}\n' for _ in range(count))
    return path


def _words(name: str, folder: Path, specs: Path) -> list[str | Path]:
    if name == "loop":
        return [sys.executable, "-c", _LOOP, folder / "db", specs]
    return program("queuectl", folder, "enqueue", "--file", specs)
