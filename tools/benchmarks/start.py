"""Starting ``queuectl``: whole processes, against an interpreter that does the bare minimum."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Line, paired
from benchmarks.processes import Words, timed
from benchmarks.setting import Setting, made_home, program, queue_of, rotated
from flam_store import JobSpec

PART = "start of queuectl, whole process"
_ROUNDS = 5

_INSERT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA synchronous = FULL")
db.execute("INSERT INTO jobs (command) VALUES ('true')")
"""
_PREPARE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, command TEXT)")
"""
_COUNT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
print(db.execute("SELECT count(*) FROM jobs").fetchall())
"""
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S+)")


@dataclass(frozen=True, kw_only=True)
class Import:
    """A module, the time of its own code and that with everything it imports."""

    name: str
    own_us: int
    whole_us: int
    depth: int


def measure(setting: Setting) -> Iterator[Line]:
    """Each command beside its baseline, in turns."""
    setting.say(PART)
    rounds = setting.sizes.rounds * _ROUNDS
    with setting.fresh() as folder:
        home = made_home(folder / "home")
        with queue_of(home) as store:
            store.enqueue(JobSpec(command="true"))
        minimal = folder / "minimal.db"
        timed([sys.executable, "-c", _PREPARE, minimal])
        for arguments, script, against_what, goal in (
            ("enqueue -- true", _INSERT, "python -c, one row", "at most 4, then less"),
            ("status", _COUNT, "python -c, a count", ""),
            ("--help", "pass", "python -c pass", ""),
        ):
            words = program("queuectl", home.path, *arguments.split())
            flam, against = _pairs(words, [sys.executable, "-c", script, minimal], rounds)
            yield paired(
                flam,
                against,
                part=PART,
                what=f"queuectl {arguments}",
                unit="s",
                against_what=against_what,
                goal=goal,
            )


def _pairs(words: Words, baseline: Words, rounds: int) -> tuple[list[float], list[float]]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which, program_words in rotated([(0, words), (1, baseline)], number):
            seconds[which].append(timed(program_words))
    return seconds


def profile(setting: Setting) -> str:
    """Where the imports of ``queuectl enqueue`` take their time, the dearest first."""
    with setting.fresh() as folder:
        home = made_home(folder / "home")
        words = ["-m", "flam_cli", "--home", str(home.path), "enqueue", "--", "true"]
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", *words],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = imports(ran.stderr)
    whole = sum(each.own_us for each in found)
    dearest = sorted(found, key=lambda each: -each.own_us)[:15]
    widest = sorted(found, key=lambda each: -each.whole_us)[:15]
    lines = [f"imports of queuectl enqueue: {len(found)} modules, {whole / 1000:.1f} ms", ""]
    lines += [
        "  OWN ms  MODULE",
        *(f"{each.own_us / 1000:8.1f}  {each.name}" for each in dearest),
        "",
    ]
    lines += ["WITH ALL  MODULE", *(f"{each.whole_us / 1000:8.1f}  {each.name}" for each in widest)]
    return "\n".join(lines) + "\n"


def imports(report: str) -> list[Import]:
    r"""The modules in a report of ``python -X importtime``.

    >>> imports("import time:   120 |    450 |   json.decoder\n")
    [Import(name='json.decoder', own_us=120, whole_us=450, depth=1)]
    """
    return [
        Import(name=name, own_us=int(own), whole_us=int(whole), depth=len(indent) // 2)
        for own, whole, indent, name in _IMPORT.findall(report)
    ]
