"""A database that is damaged, foreign, newer, or not where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import SCRIPTS, Flam

from chaos.databases import (
    change,
    checkpoint,
    digests,
    files,
    is_sound,
    overwrite,
    refused,
    schema,
)
from chaos.harness import Chaos, until
from chaos.pools import foreground, kill_pools
from chaos.processes import Process


def database(flam: Flam) -> Path:
    return flam.home / "queue.db"


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def truncated(path: Path) -> None:
    checkpoint(path)
    os.truncate(path, path.stat().st_size // 2)


def foreign(path: Path) -> None:
    for each in files(path):
        each.unlink()
    change(path, "CREATE TABLE theirs (x)")
    path.chmod(0o600)


def newer(path: Path) -> None:
    change(path, "PRAGMA user_version = 1000")


@pytest.mark.parametrize("harm", [garbage, truncated, foreign, newer])
def test_what_is_no_sound_queue_is_refused_and_left_bit_for_bit(
    flam: Flam, harm: Callable[[Path], None]
) -> None:
    flam.ok("enqueue", "--id", "a", "--", "true")
    harm(database(flam))
    before = digests(database(flam))
    for words in (["enqueue", "--", "true"], ["list"], ["worker", "start", "--foreground"]):
        refused(flam.ctl(*words), str(database(flam)))
    refused(flam.ctl("worker", "start"))
    assert digests(database(flam)) == before


def test_eight_that_start_at_once_make_one_queue(flam: Flam) -> None:
    def starter(number: int) -> subprocess.Popen[bytes]:
        words = ["queuectl", "enqueue", "--id", f"job-{number}", "--", "true"]
        if number % 2:
            words = ["flam-worker", "--drain"]
        return subprocess.Popen(
            [SCRIPTS / words[0], "--home", flam.home, *words[1:]],
            env=flam.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    starters = [starter(number) for number in range(8)]
    told = [starter.communicate(timeout=60) for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 8, told
    assert not [error for _, error in told if b"Traceback" in error]
    assert {job["id"] for job in flam.json("list")} == {f"job-{number}" for number in (0, 2, 4, 6)}
    assert is_sound(database(flam))


@pytest.mark.chaos
def test_a_pool_lives_on_beside_a_newer_schema_and_nobody_else_comes_in(chaos: Chaos) -> None:
    go = chaos.folder / "go"
    chaos.enqueue("a", does=[f"until={go}"])
    with foreground(chaos, 1):
        until(lambda: chaos.journal("start"), "it runs")
        ours = schema(database(chaos.flam))
        change(database(chaos.flam), "PRAGMA user_version = 1000")
        refused(chaos.flam.ctl("enqueue", "--", "true"), "schema 1000")
        refused(chaos.flam.ctl("worker", "start"))
        go.touch()
        until(lambda: chaos.journal("stop"), "it has ended")
        change(database(chaos.flam), f"PRAGMA user_version = {ours}")
        chaos.enqueue("b")
        chaos.settle()
    chaos.check()


def test_a_poison_row_is_a_dead_letter_and_stops_nobody(chaos: Chaos) -> None:
    chaos.start(1)
    stop = chaos.folder / "stop"
    chaos.enqueue("first", does=[f"until={stop}"])
    until(lambda: chaos.journal("start"), "the worker is busy")
    chaos.enqueue("args", "env", "time", "sound")
    path = database(chaos.flam)
    change(path, """UPDATE jobs SET options = '{"args": 5}' WHERE id = 'args'""")
    change(path, """UPDATE jobs SET options = '{"env": [1]}' WHERE id = 'env'""")
    change(path, "UPDATE jobs SET run_at = -9000000000000000000 WHERE id = 'time'")
    for words in (["list"], ["show", "args"], ["show", "env"], ["show", "time"], ["status"]):
        chaos.flam.ok(*words)
        chaos.flam.ok("--json", *words)
    stop.touch()
    until(lambda: chaos.states()["sound"] == "completed", "the pool has gone on")
    chaos.flam.ok("worker", "stop")
    assert chaos.flam.counts()["dead"] == 3
    assert {line.job for line in chaos.journal("start")} == {"first", "sound"}


# The files of a running pool


@pytest.fixture
def busy(chaos: Chaos) -> Iterator[Chaos]:
    """A pool of two that has done something, and does something."""
    chaos.enqueue("done")
    with foreground(chaos, 2) as pool:
        until(lambda: chaos.states()["done"] == "completed", "it has done something")
        chaos.enqueue("running", does=[f"until={chaos.folder / 'go'}"])
        until(lambda: len(chaos.journal("start")) == 2, "it runs")
        yield chaos
        assert len(pool.lines("")) < 60, "it floods its log"


def go_on(chaos: Chaos) -> None:
    (chaos.folder / "go").touch()
    chaos.enqueue("after")
    chaos.settle()


@pytest.mark.chaos
def test_a_pool_whose_database_is_moved_makes_no_other_and_goes_on_when_it_is_back(
    busy: Chaos,
) -> None:
    path, moved = database(busy.flam), busy.folder / "moved.db"
    workers = busy.workers()
    path.rename(moved)
    until_they_have_let_go(workers)
    assert not path.exists()
    moved.rename(path)
    go_on(busy)


@pytest.mark.chaos
def test_a_pool_serves_the_database_that_is_put_in_the_place_of_its_own(
    busy: Chaos, tmp_path: Path
) -> None:
    other = Flam(tmp_path / "other", busy.flam.environ)
    other.ok("enqueue", "--id", "another", "--", "true")
    kept = [each.rename(busy.folder / each.name) for each in files(database(busy.flam))]
    for each in files(database(other)):
        each.rename(busy.flam.home / each.name)
    until(lambda: busy.flam.state("another") == "completed", "the other queue is served")
    busy.flam.ok("worker", "stop", "--now")
    for each in files(database(busy.flam)):
        each.unlink()
    for each in kept:
        each.rename(busy.flam.home / each.name)
    (busy.folder / "go").touch()
    busy.start(1)
    busy.settle()
    busy.flam.ok("worker", "stop")


@pytest.mark.chaos
def test_a_pool_whose_wal_is_taken_away_loses_no_job(busy: Chaos) -> None:
    workers = busy.workers()
    Path(f"{database(busy.flam)}-wal").unlink()
    until_they_have_let_go(workers)
    go_on(busy)


def until_they_have_let_go(workers: list[Process]) -> None:
    until(lambda: not any(worker.alive for worker in workers), "the workers have left it alone")


# What a crash, or a person after it, has done to the WAL


@pytest.fixture
def crashed(chaos: Chaos) -> Chaos:
    """A pool of which nobody lives: what it did last is in the WAL only."""
    chaos.start(2)
    chaos.enqueue("early")
    until(lambda: chaos.states()["early"] == "completed", "it has done something")
    checkpoint(database(chaos.flam))
    chaos.enqueue("running", does=[f"until={chaos.folder / 'go'}"])
    until(lambda: len(chaos.journal("start")) == 2, "it does something")
    chaos.enqueue("last", delay="1h")
    kill_pools(chaos)
    return chaos


@pytest.mark.chaos
@pytest.mark.parametrize("torn_bytes", [1, 100, 4096])
def test_of_a_torn_wal_what_is_whole_counts(crashed: Chaos, torn_bytes: int) -> None:
    wal = Path(f"{database(crashed.flam)}-wal")
    os.truncate(wal, wal.stat().st_size - torn_bytes)
    assert {"early", "running"} <= crashed.states().keys()
    assert is_sound(database(crashed.flam))
    (crashed.folder / "go").touch()
    crashed.acknowledged.discard("last")  # the commit that was torn may be its own
    crashed.start(1)
    until(lambda: crashed.states()["running"] == "completed", "the pool goes on")
    change(database(crashed.flam), "UPDATE jobs SET run_at = 0 WHERE state = 'pending'")
    crashed.conclude()


@pytest.mark.chaos
def test_without_its_wal_a_queue_is_as_it_was_at_the_last_checkpoint(crashed: Chaos) -> None:
    Path(f"{database(crashed.flam)}-wal").unlink()
    assert crashed.states() == {"early": "completed"}
    assert is_sound(database(crashed.flam))
    crashed.acknowledged -= {"running", "last"}
    for line in crashed.journal("start"):
        line.process.send(signal.SIGKILL)
    crashed.start(1)
    crashed.enqueue("later")
    until(lambda: crashed.states()["later"] == "completed", "the pool goes on")
    crashed.flam.ok("worker", "stop")


@pytest.mark.chaos
def test_damaged_pages_are_errors_until_a_backup_is_put_back(chaos: Chaos) -> None:
    jobs = [f"job-{number}" for number in range(300)]
    chaos.enqueue(*jobs[:290], delay="1d")
    path, backup = database(chaos.flam), chaos.folder / "backup.db"
    checkpoint(path)
    shutil.copy(path, backup)
    with foreground(chaos, 2) as pool:
        checkpoint(path)
        overwrite(path, 4096, os.urandom(path.stat().st_size - 4096))
        done = chaos.flam.ctl("enqueue", "--", "true")
        refused(done, "damaged")
        pool.until_logged("damaged")
    for each in files(path):
        each.unlink()
    shutil.copy(backup, path)
    chaos.start(1)
    change(path, "UPDATE jobs SET run_at = 0")
    chaos.conclude()
