"""Signals that ask, in any number, from anywhere; terminals and directories that go away."""

from __future__ import annotations

import fcntl
import os
import signal
import termios

import pytest

from chaos.harness import SCRIPTS, Chaos, Running, until, until_gone
from flam_store import JobSpec, open_store

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def storm(chaos: Chaos, signals: int) -> None:
    """Start a pool, and send signals to any of its processes until it has left."""
    first = len(chaos.asked)
    chaos.enqueue(*(f"job-{first + each}" for each in range(6)), does=["sleep=0.2"])
    chaos.start(3)
    for _ in range(signals):
        for each in [*chaos.supervisors(), *chaos.workers()]:
            if chaos.random.random() < 0.5:
                each.send(chaos.random.choice(ASKING))
    for each in chaos.supervisors():
        each.send(signal.SIGTERM)
    until(lambda: not chaos.pool(), "the pool has left")


def no_attempt_crashed(chaos: Chaos) -> bool:
    states = {each.state.value for every in chaos.attempts().values() for each in every}
    return states <= {"completed", "released"}


@pytest.mark.chaos
def test_a_storm_of_signals_ends_a_pool_in_order(chaos: Chaos) -> None:
    for signals in (1, 3, 10):
        storm(chaos, signals)
    chaos.start(2)
    chaos.conclude()
    assert no_attempt_crashed(chaos)


@pytest.mark.chaos
def test_storms_of_signals_in_a_loop_lose_nothing(chaos: Chaos) -> None:
    for _ in range(25):
        storm(chaos, chaos.random.randint(1, 20))
    chaos.start(4)
    chaos.conclude()
    assert no_attempt_crashed(chaos)


def test_two_stops_and_a_signal_at_once_are_one_wish(chaos: Chaos) -> None:
    chaos.enqueue("job-1", "job-2", does=["sleep=2"])
    chaos.start(2)
    until(lambda: len(chaos.journal("start")) == 2, "both run")
    (supervisor,) = chaos.supervisors()
    stops = [chaos.spawn("queuectl", "worker", "stop") for _ in range(2)]
    supervisor.send(signal.SIGTERM)
    assert [stop.exit_code() for stop in stops] == [0, 0]
    assert not chaos.pool()
    assert all(state == "completed" for state in chaos.states().values())
    chaos.conclude()


def on_a_terminal(chaos: Chaos, *arguments: str) -> tuple[Running, int]:
    """Run ``queuectl`` in a session with a terminal of its own; the terminal's other end."""
    ours, theirs = os.openpty()
    words = [str(SCRIPTS / "queuectl"), "--home", str(chaos.flam.home), *arguments]
    running = chaos.launch(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    return running, ours


def test_a_pool_in_the_background_outlives_its_terminal(chaos: Chaos) -> None:
    start, terminal = on_a_terminal(chaos, "worker", "start", "--count", "2")
    assert start.exit_code() == 0
    os.close(terminal)
    chaos.enqueue("job")
    chaos.settle()
    assert len(chaos.workers()) == 2
    chaos.conclude()


def test_a_pool_in_the_foreground_ends_in_order_with_its_terminal(chaos: Chaos) -> None:
    chaos.enqueue("job", does=["sleep=1"])
    pool, terminal = on_a_terminal(chaos, "worker", "start", "--foreground")
    until(lambda: chaos.journal("start"), "the job runs")
    os.close(terminal)
    assert pool.exit_code() == 0
    assert chaos.states() == {"job": "completed"}
    chaos.conclude()


def test_a_pool_started_in_a_directory_that_is_gone_runs_jobs(chaos: Chaos) -> None:
    gone = chaos.folder / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    words = [str(SCRIPTS / "queuectl"), "--home", str(chaos.flam.home), "worker", "start"]
    assert chaos.launch(["sh", "-c", script, "sh", str(gone), *words]).exit_code() == 0
    enqueue_without_a_directory(chaos, "first")
    chaos.settle()
    (supervisor,) = chaos.supervisors()
    supervisor.send(signal.SIGKILL)
    until_gone(supervisor)
    enqueue_without_a_directory(chaos, "second")
    chaos.conclude()


def enqueue_without_a_directory(chaos: Chaos, id: str) -> None:
    """As only a library does: the job runs where its worker is."""
    chaos.asked.add(id)
    with open_store(f"sqlite:///{chaos.flam.home}/queue.db") as store:
        store.enqueue(JobSpec(id=id, args=tuple(chaos.witness())))
    chaos.acknowledged.add(id)
