"""A pool that waits for jobs: how fast it picks one up, and what it costs while there is none."""

from __future__ import annotations

import os
import random
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Line, Note, Row, Spread, paired, percentile
from benchmarks.processes import Unmeasured, running
from benchmarks.setting import Setting, made_home, program, queue_of
from flam_store import JobSpec, State, Store
from flam_store.home import Home
from flam_store.worker import Role

PICK_UP, IDLE = "pick-up by an idle pool of 4", "an idle pool of 4"
_WORKERS = 4
_PATIENCE_SECONDS = 30.0
_SETTLING_SECONDS = 2.0
"""After this a new pool has made its first sweep and does nothing but wait."""

_PSS = "Pss:"


def measure_pick_up(setting: Setting) -> Iterator[Line]:
    """From the return of ``enqueue`` to a sign of life from the job, which writes to a FIFO.

    Beside each job the same command is spawned without a queue.
    """
    setting.say(PICK_UP)
    jobs: list[float] = []
    spawns: list[float] = []
    with setting.fresh() as folder:
        home = made_home(folder / "home")
        words = ("sh", "-c", f"echo > '{folder / 'fifo'}'")
        with _pool(home), queue_of(home) as store, _fifo(folder / "fifo") as fifo:
            time.sleep(_SETTLING_SECONDS)
            for _ in range(setting.sizes.singles):
                store.enqueue(JobSpec(args=words))
                jobs.append(_until_heard(fifo))
                _until(lambda: not _busy(store))
                started = time.perf_counter()
                with running(words) as process:
                    heard = time.perf_counter()
                    spawns.append(_until_heard(fifo) + heard - started)
                    process.wait()
                # Long enough for the worker to fall asleep, and never in step with its looks.
                time.sleep(random.uniform(0.01, 0.04))
    yield paired(
        jobs, spawns, part=PICK_UP, what=f"commit to start, {len(jobs)} single jobs", unit="s",
        against_what="the spawn alone", goal="p50 3 ms",
    )  # fmt: skip
    yield Row(
        part=PICK_UP, what="commit to start, p99", unit="s",
        flam=Spread.of([percentile(jobs, 0.99)]), against=Spread.of([percentile(spawns, 0.99)]),
        against_what="the spawn alone, p99", goal="p99 15 ms",
    )  # fmt: skip


def measure_idle(setting: Setting) -> Iterator[Line]:
    """CPU of the whole tree over some seconds in which nothing is to be done, and its memory."""
    setting.say(IDLE)
    if not Path("/proc/self/smaps_rollup").exists():
        yield Note(part=IDLE, what="CPU and memory", why="needs /proc")
        return
    seconds = setting.sizes.seconds
    with setting.fresh() as folder:
        home = made_home(folder / "home")
        with _pool(home) as pool:
            time.sleep(_SETTLING_SECONDS)
            pids = tree(pool.pid)
            before = sum(map(cpu_seconds, pids))
            time.sleep(seconds)
            share = (sum(map(cpu_seconds, pids)) - before) / seconds
            memory = sum(map(proportional_bytes, pids))
            if tree(pool.pid) != pids:
                raise Unmeasured("the pool changed while it was to be idle")
    yield Row(
        part=IDLE, what=f"CPU over {seconds:g} s", unit="%", flam=Spread.of([share * 100]),
        against_what="one core", goal="at most 0.2 % of a core",
    )  # fmt: skip
    yield Row(
        part=IDLE, what=f"proportional memory, {len(pids)} processes", unit="B",
        flam=Spread.of([float(memory)]), goal="at most 35 MB (33.4 MiB)",
    )  # fmt: skip


@contextmanager
def _pool(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A pool whose workers are registered."""
    with queue_of(home) as store:
        words = program("flam-worker", home.path, "--count", str(_WORKERS))
        with running(words) as pool:
            _until(lambda: sum(each.role is Role.WORKER for each in store.workers()) == _WORKERS)
            yield pool


def _busy(store: Store) -> bool:
    counts = store.overview().counts
    return bool(counts[State.PENDING] or counts[State.PROCESSING])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise Unmeasured("the pool did not do in time what was waited for")
        time.sleep(0.002)


@contextmanager
def _fifo(path: Path) -> Iterator[int]:
    """A FIFO that can be read, and never has an end, as this process also writes to it."""
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def _until_heard(fifo: int) -> float:
    """Seconds until somebody has written a byte."""
    started = time.perf_counter()
    if not select.select([fifo], [], [], _PATIENCE_SECONDS)[0]:
        raise Unmeasured("a job did not start")
    seconds = time.perf_counter() - started
    os.read(fifo, 1)
    return seconds


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += sorted(children.get(pid, ()))
    return found


def cpu_seconds(pid: int) -> float:
    """What a process has used: by the scheduler's clock, or by ticks where that is not there."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional_bytes(pid: int) -> int:
    """A process's memory, with its part of what it shares with others."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_PSS))
