"""What remains true when processes die at the wrong moment."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Flam, until


def pids(flam: Flam) -> dict[int, str | None]:
    """The workers' process ids, and what each has."""
    return {worker["pid"]: worker["job"] for worker in flam.json("worker", "list")}


def start_of(job: str, flam: Flam) -> tuple[Path, str]:
    """A command that hangs in its first attempt, hidden from the eye, and a file that tells."""
    told = flam.home.parent / f"{job}.told"
    first = f"echo $$ >> {told}; exec env -i sleep 1000 </dev/null >/dev/null 2>&1"
    return told, f"[ $FLAM_ATTEMPT -gt 1 ] || {{ {first}; }}; echo again >> {told}"


def is_alive(pid: int) -> bool:
    """A process that has ended and waits for somebody to reap it does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def supervisor_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


def history(flam: Flam, job: str) -> list[tuple[Any, ...]]:
    return [(each["attempt"], each["state"]) for each in flam.json("show", job)["history"]]


@pytest.mark.parametrize("extent", ["worker", "all"])
def test_a_killed_workers_job_runs_again_and_never_beside_its_old_processes(
    flam: Flam, extent: str
) -> None:
    told, command = start_of("job", flam)
    flam.ok("enqueue", "--id", "job", "--", "sh", "-c", command)
    flam.start(2)
    first = int(until(lambda: told.exists() and told.read_text(), "the job has started"))
    busy = until(lambda: [pid for pid, job in pids(flam).items() if job], "it is held")
    if extent == "all":
        supervisor = supervisor_of(busy[0])
        for pid in (supervisor, *pids(flam)):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(supervisor), "the pool is dead")
        assert is_alive(first)
        flam.start(2)
    else:
        os.kill(busy[0], signal.SIGKILL)
    until(lambda: flam.state("job") == "completed", "it has run again")
    assert not is_alive(first)
    assert history(flam, "job") == [(1, "crashed"), (2, "completed")]
    assert told.read_text().split() == [str(first), "again"]
    assert len(pids(flam)) == 2


def test_a_job_that_kills_its_worker_ends_as_a_dead_letter(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "bad", "--max-retries", "2", "--", "sh", "-c", "kill -9 $PPID")
    flam.start(1)
    until(lambda: flam.state("bad") == "dead", "it has used up its attempts")
    assert history(flam, "bad") == [(1, "crashed"), (2, "crashed"), (3, "crashed")]
    flam.ok("enqueue", "--id", "good", "--", "true")
    until(lambda: flam.state("good") == "completed", "the pool goes on")


def test_stopping_lets_a_running_job_finish(flam: Flam) -> None:
    gate = flam.home.parent / "gate"
    command = f"until [ -e {gate} ]; do sleep 0.05; done; echo done"
    flam.ok("enqueue", "--id", "slow", "--", "sh", "-c", command)
    flam.ok("enqueue", "--id", "next", "--", "true")
    flam.start(1)
    until(lambda: flam.state("slow") == "processing", "the job runs")
    early = flam.ctl("worker", "stop", "--timeout", "0.2")
    assert early.returncode == 124
    gate.touch()
    assert flam.ctl("worker", "stop").returncode == 0
    assert (flam.state("slow"), flam.state("next")) == ("completed", "pending")
    assert not pids(flam)


def test_stopping_now_puts_the_job_back_uncounted(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "long", "--", "sleep", "1000")
    flam.start(1)
    until(lambda: flam.state("long") == "processing", "the job runs")
    flam.ok("worker", "stop", "--now")
    job = flam.json("show", "long")
    assert (job["state"], job["attempts"]) == ("pending", 0)
    assert history(flam, "long") == [(1, "released")]


def test_a_first_signal_lets_jobs_finish_and_a_second_puts_them_back(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "long", "--", "sleep", "1000")
    flam.start(1)
    until(lambda: flam.state("long") == "processing", "the job runs")
    (worker,) = pids(flam)
    supervisor = supervisor_of(worker)
    os.kill(supervisor, signal.SIGTERM)
    flam.ok("enqueue", "--id", "next", "--", "true")
    os.kill(supervisor, signal.SIGINT)
    until(lambda: not is_alive(supervisor), "the pool has stopped")
    assert (flam.state("long"), flam.state("next")) == ("pending", "pending")
    assert flam.json("show", "long")["attempts"] == 0


def test_what_a_job_leaves_running_is_ended_with_it(flam: Flam) -> None:
    told = flam.home.parent / "told"
    command = f"(setsid sleep 1000 & echo $! > {told}); sleep 1000 & echo $! >> {told}; exit 0"
    flam.ok("enqueue", "--id", "parent", "--", "sh", "-c", command)
    flam.ok("worker", "start", "--foreground", "--drain")
    assert flam.state("parent") == "completed"
    assert len(told.read_text().split()) == 2
    assert not any(is_alive(int(pid)) for pid in told.read_text().split())


def test_an_attempt_beyond_its_timeout_is_ended_and_counts(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "slow", "--timeout", "200ms", "--max-retries", "0", "--",
            "sh", "-c", "sleep 1000 & wait")  # fmt: skip
    flam.ok("worker", "start", "--foreground", "--drain")
    job = flam.json("show", "slow")
    assert (job["state"], job["attempts"]) == ("dead", 1)
    assert history(flam, "slow") == [(1, "timeout")]
