"""No commit of Flam overlaps a checkpoint of Flam.

SQLite from 3.7.0 to 3.51.2 can lose or damage data when a commit resets the WAL while another
connection begins a checkpoint. Here one process stands still in the middle of the one, and
another is seen to wait with the other: not for SQLite, which would let both in, but at the gate.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import MARK, SCRIPTS, Flam

from chaos.databases import is_sound
from chaos.harness import until
from chaos.processes import Process, marked
from chaos.tracing import has_stopped, need_strace, stopped_at
from flam_store import JobSpec, Store, open_store

UNGUARDED = """
import sys
from contextlib import nullcontext
from flam_store import JobSpec, open_store
from flam_store.sqlite.gate import Gate
Gate.held = lambda self, patience: nullcontext()
with open_store(sys.argv[1]) as store:
    store.enqueue(JobSpec(id="other", command="true"))
"""
TIDY = """
import sys
from flam_store import open_store
with open_store(sys.argv[1]) as store:
    store.tidy()
"""


@pytest.fixture
def database(flam: Flam) -> Path:
    need_strace()
    flam.ok("enqueue", "--id", "first", "--", "true")
    return flam.home / "queue.db"


@pytest.fixture
def keeper(database: Path) -> Iterator[Store]:
    """Somebody else who has the database open, so that closing it makes no checkpoint."""
    with open_store(f"sqlite:///{database}") as store:
        yield store


def start(flam: Flam, *words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, env=flam.environ, stdout=subprocess.DEVNULL)


def enqueue(flam: Flam, id: str) -> list[str | Path]:
    return [SCRIPTS / "queuectl", "--home", flam.home, "enqueue", "--id", id, "--", "true"]


def python(code: str, database: Path) -> list[str | Path]:
    return [sys.executable, "-c", code, f"sqlite:///{database}"]


@contextmanager
def standing_still(flam: Flam, place: Path, call: str) -> Iterator[None]:
    """Somebody who enqueues the job ``still`` stands still there; in the end he goes on."""
    told = flam.home.parent / "told"
    one = start(flam, *stopped_at(place, call, told), *enqueue(flam, "still"))
    try:
        until(lambda: has_stopped(told) or one.poll() is not None, "it stands still")
        assert one.poll() is None, "it never came there"
        yield
    finally:
        for each in enqueuers(flam):
            each.send(signal.SIGCONT)
    assert one.wait(60) == 0


def enqueuers(flam: Flam) -> list[Process]:
    """The program itself, and strace that runs it."""
    mark = f"{MARK}={flam.environ[MARK]}".encode()
    return [each for each in marked(mark) if "still" in each.program]


@contextmanager
def in_mid_checkpoint(flam: Flam, database: Path) -> Iterator[None]:
    """Somebody has written the first page of a checkpoint into the database."""
    Path(f"{database}-gate").write_bytes((1 << 20).to_bytes(8, "little"))  # so that one is due
    with standing_still(flam, database, "pwrite64"):
        yield


def waits_at_the_gate(pid: int, database: Path) -> bool:
    """Whether the kernel has the process in its queue for the lock."""
    inode = f":{os.stat(f'{database}-gate').st_ino} "
    with open("/proc/locks", encoding="ascii") as locks:
        return any(
            "->" in line and "FLOCK" in line and f" {pid} " in line and inode in line
            for line in locks
        )


def ends_or_waits(process: subprocess.Popen[bytes], database: Path) -> str:
    def what() -> str | None:
        if process.poll() is not None:
            return "ended"
        return "waits" if waits_at_the_gate(process.pid, database) else None

    return str(until(what, "it has ended, or waits at the gate"))


def ids(store: Store) -> set[str]:
    return {job.id for job in store.jobs(limit=0).jobs}


def test_a_commit_waits_until_a_checkpoint_is_over(
    flam: Flam, database: Path, keeper: Store
) -> None:
    with in_mid_checkpoint(flam, database):
        other = start(flam, *enqueue(flam, "other"))
        assert ends_or_waits(other, database) == "waits"
        assert ids(keeper) == {"first", "still"}
    assert other.wait(60) == 0
    assert ids(keeper) == {"first", "still", "other"}
    keeper.close()
    assert is_sound(database)


def test_without_the_gate_sqlite_would_let_it_in(flam: Flam, database: Path, keeper: Store) -> None:
    with in_mid_checkpoint(flam, database):
        other = start(flam, *python(UNGUARDED, database))
        assert ends_or_waits(other, database) == "ended"
        assert ids(keeper) == {"first", "still", "other"}


@pytest.mark.parametrize("words", ["checkpoint", "commit"])
def test_a_checkpoint_and_a_commit_wait_until_a_commit_is_over(
    flam: Flam, database: Path, keeper: Store, words: str
) -> None:
    with standing_still(flam, Path(f"{database}-wal"), "fdatasync"):
        commit = words == "commit"
        other = start(flam, *(enqueue(flam, "other") if commit else python(TIDY, database)))
        assert ends_or_waits(other, database) == "waits"
    assert other.wait(60) == 0
    assert {"first", "still"} <= ids(keeper)


def test_no_commit_makes_a_checkpoint_by_itself(database: Path, keeper: Store) -> None:
    before = database.stat().st_size
    keeper.enqueue_many(
        JobSpec(id=f"large-{number}", command="true", stdin="x" * 500_000) for number in range(20)
    )
    assert Path(f"{database}-wal").stat().st_size > 5_000_000
    assert database.stat().st_size == before
