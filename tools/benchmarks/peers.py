"""Others that run commands from a queue, each with two at once and as its users run it.

What a peer does not promise: task-spooler and nq keep nothing over a restart of the machine;
huey forgets what it was running; litequeue syncs at checkpoints only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import Words, timed, timed_together

_MOST_PROCESSES = 400
"""task-spooler and nq keep a process for each waiting job."""

_HUEY = """
import logging, subprocess, sys
from huey import SqliteHuey
logging.disable()
queue = SqliteHuey(filename=sys.argv[1], fsync=True, results=False)
@queue.task()
def run():
    subprocess.run(["sh", "-c", "true"])
if len(sys.argv) > 2:
    for _ in range(int(sys.argv[2])):
        run()
while len(sys.argv) == 2 and (task := queue.dequeue()):
    queue.execute(task)
"""
_LITEQUEUE = """
import subprocess, sys
from litequeue import LiteQueue
queue = LiteQueue(sys.argv[1])
if len(sys.argv) > 2:
    for _ in range(int(sys.argv[2])):
        queue.put("true")
while len(sys.argv) == 2 and (job := queue.pop()):
    subprocess.run(["sh", "-c", job.data])
    queue.done(job.message_id)
"""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """``rate`` drains that many jobs in an empty folder and gives the jobs a second."""

    name: str
    there: bool
    rate: Callable[[Path, int], float]


def peers() -> list[Peer]:
    """All of them, also those that are absent."""
    return [
        Peer(name="task-spooler, 2 slots", there=bool(shutil.which("tsp")), rate=task_spooler),
        Peer(name="nq, 2 queues", there=bool(shutil.which("nq")), rate=nq),
        Peer(name="huey, 2 processes", there=_importable("huey"), rate=_library(_HUEY)),
        Peer(
            name="litequeue, 2 processes", there=_importable("litequeue"), rate=_library(_LITEQUEUE)
        ),
    ]


def _importable(name: str) -> bool:
    return find_spec(name) is not None


def _library(script: str) -> Callable[[Path, int], float]:
    def rate(folder: Path, jobs: int) -> float:
        words: Words = [sys.executable, "-c", script, folder / "queue.db"]
        timed([*words, str(jobs)])
        return jobs / timed_together([words, words])

    return rate


def task_spooler(folder: Path, jobs: int) -> float:
    """Its server is its own: a socket in the folder, ended by ``-K``."""
    count = min(jobs, _MOST_PROCESSES)
    environ = os.environ | {
        "TS_SOCKET": str(folder / "socket"), "TMPDIR": str(folder), "TS_SLOTS": "2",
        "TS_MAXFINISHED": str(count + 1), "TS_MAXCONN": str(count + 50),
    }  # fmt: skip
    try:
        with _gate(folder) as gate:
            # Two slots for the job that holds the others back until the gate is closed.
            hold = ["tsp", "-N", "2", "sh", "-c", f"read line < {gate}; true"]
            subprocess.run(hold, env=environ, stdout=subprocess.DEVNULL, check=True)
            for _ in range(count):
                words = ["tsp", "sh", "-c", "true"]
                subprocess.run(words, env=environ, stdout=subprocess.DEVNULL, check=True)
        started = time.perf_counter()
        subprocess.run(["tsp", "-w"], env=environ, stdout=subprocess.DEVNULL, check=True)
        return count / (time.perf_counter() - started)
    finally:
        subprocess.run(["tsp", "-K"], env=environ, stdout=subprocess.DEVNULL, check=False)


def nq(folder: Path, jobs: int) -> float:
    """Two queues, as one runs one job at a time."""
    count = min(jobs, _MOST_PROCESSES)
    queues = [os.environ | {"NQDIR": str(folder / name)} for name in "ab"]
    waits: list[subprocess.Popen[bytes]] = []
    try:
        with _gate(folder) as gate:
            for environ in queues:
                hold = ["nq", "-q", "sh", "-c", f"read line < {gate}; true"]
                subprocess.run(hold, env=environ, check=True)
            for number in range(count):
                words = ["nq", "-q", "sh", "-c", "true"]
                subprocess.run(words, env=queues[number % 2], check=True)
            waits = [subprocess.Popen(["nq", "-w"], env=environ) for environ in queues]
        started = time.perf_counter()
        for wait in waits:
            wait.wait()
        return count / (time.perf_counter() - started)
    finally:
        # Once the gate is closed nothing holds the jobs back, and they end by themselves.
        for environ in queues:
            subprocess.run(["nq", "-w"], env=environ, check=False)
        for wait in waits:
            wait.wait()


@contextmanager
def _gate(folder: Path) -> Iterator[Path]:
    """A FIFO whose reader waits until this is over, however it ends."""
    path = folder / "gate"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    try:
        yield path
    finally:
        os.close(fd)
