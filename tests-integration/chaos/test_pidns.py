"""Numbers of processes that mean somebody else by now: after a reboot, or given again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.databases import change
from chaos.harness import Chaos, until
from chaos.namespaces import next_pid, with_own_pids
from chaos.pools import kill_everything
from chaos.processes import Process, born


@contextmanager
def bystander(pid: int | None = None) -> Iterator[Process]:
    """A process that has nothing to do with Flam, in a session of its own; perhaps with this pid.

    It must be alive in the end.
    """
    process = _sleeping()
    while pid is not None and process.pid != pid:  # somebody else may start one in between
        _end(process)
        next_pid(pid)
        process = _sleeping()
    try:
        yield Process(process.pid, str(born(process.pid)))
        assert process.poll() is None, "a process that is no business of Flam was ended"
    finally:
        _end(process)


def _sleeping() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"], start_new_session=True, env={})


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def until_all_are_dead(chaos: Chaos) -> list[Process]:
    """A pool of one runs a job; then all of its processes are killed. Those that there were."""
    chaos.enqueue("job", does=[f"until={chaos.folder / 'go'}"])
    chaos.start(1)
    until(lambda: chaos.journal("start"), "it runs")
    (line,) = chaos.journal("start")
    processes = [*chaos.pool(), line.process]
    kill_everything(chaos)
    (chaos.folder / "go").touch()
    return processes


def conclude(chaos: Chaos) -> None:
    """The job has run again, and only its first attempt has crashed."""
    chaos.conclude()
    history = [attempt.state.value for attempt in chaos.attempts()["job"]]
    assert history == ["crashed", "completed"]


@pytest.mark.chaos
@pytest.mark.parametrize("which", [0, 1, 2], ids=["supervisor", "worker", "job"])
@with_own_pids
def test_a_pid_that_was_given_again_is_left_alone(chaos: Chaos, which: int) -> None:
    dead = sorted(until_all_are_dead(chaos), key=lambda process: process.pid)[which]
    with bystander(dead.pid):
        assert chaos.flam.ctl("worker", "stop", "--now").returncode == 0
        assert all(each["state"] == "lost" for each in chaos.flam.json("worker", "list"))
        chaos.start(1)
        conclude(chaos)


def test_after_a_reboot_nothing_recorded_before_it_is_signalled(chaos: Chaos) -> None:
    until_all_are_dead(chaos)
    with bystander() as worker, bystander() as leader:
        path = chaos.flam.home / "queue.db"
        words = "UPDATE workers SET boot = 'another-boot pid:[1]', pid = ?, born = ?"
        assert change(path, words, worker.pid, worker.born)
        for record in (chaos.flam.home / "run").iterdir():
            seq, attempt, *_ = record.read_text().split()
            told = f"{seq} {attempt} {leader.pid} {leader.born} 0.5"
            record.write_text(told.ljust(128))
        assert chaos.flam.ctl("worker", "stop", "--now").returncode == 0
        chaos.start(1)
        conclude(chaos)
