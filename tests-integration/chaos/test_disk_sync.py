"""A disk that does not take what it is given, or takes its time; and whether it is asked at all."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import SCRIPTS, Flam

from chaos.databases import is_sound
from chaos.harness import Chaos
from chaos.pools import foreground
from chaos.tracing import failing_syncs, need_strace, slow_syncs, syncs_told
from flam_store import open_store


@pytest.fixture(autouse=True)
def strace() -> None:
    need_strace()


def enqueue_under(flam: Flam, under: Sequence[str], id: str) -> subprocess.CompletedProcess[str]:
    program: list[str | Path] = [SCRIPTS / "queuectl", "--home", flam.home]
    words = [*under, *program, "enqueue", "--id", id, "--", "true"]
    return subprocess.run(words, env=flam.environ, capture_output=True, text=True, check=False)


def test_every_acknowledged_job_has_been_synced(flam: Flam, tmp_path: Path) -> None:
    flam.ok("enqueue", "--", "true")
    with open_store(f"sqlite:///{flam.home}/queue.db"):  # so that no checkpoint syncs the WAL
        for number in range(3):
            told = tmp_path / f"syncs-{number}"
            assert enqueue_under(flam, syncs_told(told), f"job-{number}").returncode == 0
            assert "queue.db-wal>) = 0" in told.read_text()


def test_every_end_and_claim_has_been_synced(flam: Flam, tmp_path: Path) -> None:
    for number in range(5):
        flam.ok("enqueue", "--id", f"job-{number}", "--", "true")
    told = tmp_path / "syncs"
    with open_store(f"sqlite:///{flam.home}/queue.db"):
        program: list[str | Path] = [SCRIPTS / "flam-worker", "--home", flam.home, "--drain"]
        subprocess.run(
            [*syncs_told(told), *program], env=flam.environ, check=True, capture_output=True
        )
    assert flam.counts()["completed"] == 5
    assert told.read_text().count("queue.db-wal>") >= 6


@pytest.mark.chaos
def test_a_sync_that_fails_is_an_error_and_never_an_acknowledgement(flam: Flam) -> None:
    acknowledged = set()
    flam.ok("enqueue", "--id", "first", "--", "true")
    for number in range(1, 7):
        done = enqueue_under(flam, failing_syncs(str(number)), f"job-{number}")
        assert done.returncode in (0, 5), done.stderr
        assert done.stderr.count("\n") == (1 if done.returncode else 0), done.stderr
        assert done.stdout == ("" if done.returncode else f"job-{number}\n")
        acknowledged |= {done.stdout.strip()} - {""}
        listed = {job["id"] for job in flam.json("list")}
        assert acknowledged | {"first"} <= listed <= {f"job-{n}" for n in range(1, 7)} | {"first"}
    assert "job-1" not in acknowledged, "the first sync is not the commit's"
    assert is_sound(flam.home / "queue.db")


@pytest.mark.chaos
def test_a_new_queue_is_made_or_refused_when_syncs_fail(flam: Flam, tmp_path: Path) -> None:
    refusals = 0
    for number in range(1, 8):
        fresh = Flam(tmp_path / f"fresh-{number}", flam.environ)
        done = enqueue_under(fresh, failing_syncs(str(number)), "a")
        assert done.returncode in (0, 5), done.stderr
        assert done.stderr.count("\n") == (1 if done.returncode else 0), done.stderr
        refusals += done.returncode == 5
        fresh.ok("enqueue", "--id", "b", "--", "true")
        assert {"b"} <= {job["id"] for job in fresh.json("list")} <= {"a", "b"}
        assert is_sound(fresh.home / "queue.db")
    assert refusals


@pytest.mark.chaos
def test_a_pool_whose_syncs_fail_now_and_then_gets_everything_done(chaos: Chaos) -> None:
    chaos.enqueue(*(f"job-{number}" for number in range(40)))
    with foreground(chaos, 2, under=failing_syncs("12+12")) as pool:
        chaos.settle()
        assert pool.lines("Check the disk"), "no sync has failed"
    chaos.check()
    assert is_sound(chaos.flam.home / "queue.db")


@pytest.mark.chaos
def test_a_pool_on_a_slow_disk_keeps_its_leases(chaos: Chaos) -> None:
    chaos.configure(lease_seconds=6)
    chaos.enqueue(*(f"job-{number}" for number in range(6)), does=["sleep=0.1"])
    with foreground(chaos, 2, under=slow_syncs(0.3)) as pool:
        chaos.settle()
        assert not pool.lines("killed"), pool.lines("killed")
    chaos.check()
    assert [job.attempts for job in chaos.jobs()] == [1] * 6
