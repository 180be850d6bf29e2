"""SIGSTOP, beyond the lease, and SIGCONT."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.harness import Chaos, Process, until, until_gone

LEASE_SECONDS = 3
HITS = 20


def busy_worker(chaos: Chaos) -> Process:
    """A worker that runs a command, by its child."""
    busy: Process = until(lambda: _busy(chaos), "a worker runs a job")
    return busy


def _busy(chaos: Chaos) -> Process | None:
    parents = {line.process.parent for line in chaos.journal("start") if line.process.alive}
    return next((each for each in chaos.workers() if each.pid in parents), None)


def test_a_worker_that_is_stopped_is_killed_after_its_lease_and_its_job_runs_again(
    chaos: Chaos,
) -> None:
    chaos.enqueue("job", does=["sleep=0.5"])
    chaos.start(1)
    worker = busy_worker(chaos)
    worker.send(signal.SIGSTOP)
    until_gone(worker)
    chaos.conclude()
    assert [each.state.value for each in chaos.attempts()["job"]] == ["crashed", "completed"]


@pytest.mark.chaos
def test_a_stopped_supervisor_holds_up_no_job_and_wakes_to_its_work(chaos: Chaos) -> None:
    chaos.start(2)
    (supervisor,) = chaos.supervisors()
    supervisor.send(signal.SIGSTOP)
    chaos.enqueue(*(f"job-{number}" for number in range(8)), does=["sleep=1"])
    chaos.settle()
    supervisor.send(signal.SIGCONT)
    worker = chaos.workers()[0]
    worker.send(signal.SIGKILL)
    chaos.enqueue("last")
    chaos.conclude()
    attempts = chaos.attempts()
    assert all(len(attempts[f"job-{number}"]) == 1 for number in range(8))


@pytest.mark.chaos
def test_a_whole_pool_that_was_stopped_goes_on_where_it_was(chaos: Chaos) -> None:
    chaos.enqueue("job-1", "job-2", does=["sleep=5"])
    chaos.start(2)
    until(lambda: len(chaos.journal("start")) == 2, "both run")
    chaos.freeze(chaos.pool(), LEASE_SECONDS + 1)
    chaos.conclude()
    assert all(len(every) == 1 for every in chaos.attempts().values())


@pytest.mark.chaos
def test_a_stopped_enqueue_that_holds_the_gate_costs_time_and_nothing_else(chaos: Chaos) -> None:
    chaos.enqueue("running", does=["sleep=5"])
    chaos.start(2)
    until(lambda: chaos.journal("start"), "it runs")
    holder = chaos.spawn(
        "queuectl", "enqueue", "--id", "held", "--", *chaos.witness(), faults="committing=stop"
    )
    chaos.asked.add("held")
    until(lambda: holder.process.stopped, "it has stopped inside the gate")
    chaos.freeze([holder.process], LEASE_SECONDS + 1)
    assert holder.exit_code() == 0
    chaos.acknowledged.add("held")
    chaos.conclude()
    assert all(len(every) == 1 for every in chaos.attempts().values())


def test_ctrl_z_inside_the_gate_stops_an_enqueue_only_when_it_has_left(chaos: Chaos) -> None:
    chaos.asked.add("held")
    holder = chaos.spawn(
        "queuectl", "enqueue", "--id", "held", "--", *chaos.witness(),
        faults="committing=delay:1:2", process_group=0,
    )  # fmt: skip
    until(lambda: chaos.faults()["committing delay"], "it is inside the gate")
    holder.process.send(signal.SIGTSTP)
    chaos.enqueue("other")
    until(lambda: holder.process.stopped, "it has stopped outside the gate")
    holder.process.send(signal.SIGCONT)
    assert holder.exit_code() == 0
    chaos.acknowledged.add("held")
    chaos.start(1)
    chaos.conclude()


@pytest.mark.chaos
def test_workers_stopped_for_about_a_lease_are_themselves_again_or_gone(chaos: Chaos) -> None:
    chaos.start(4)
    for number in range(6):
        chaos.enqueue(*(f"job-{number}-{each}" for each in range(12)), does=["sleep=0.3"])
        busy_worker(chaos)
        for each in chaos.workers():
            each.send(signal.SIGSTOP)
        stopped, waited = chaos.workers(), 0.0
        for until_seconds in sorted(chaos.random.uniform(1, 6) for _ in stopped):
            time.sleep(until_seconds - waited)
            waited = until_seconds
            stopped.pop().send(signal.SIGCONT)
    chaos.conclude()


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["committing", "committed"])
def test_a_worker_stopped_inside_the_gate_is_killed_and_a_supervisor_wakes_to_its_work(
    chaos: Chaos, point: str
) -> None:
    with waking_supervisors(chaos):
        chaos.start(4, f"{point}=stop:0.1")
        while chaos.faults()[f"{point} stop"] < HITS:
            chaos.enqueue(*(f"job-{len(chaos.asked) + each}" for each in range(20)))
            chaos.settle(300)
        chaos.conclude()


@contextmanager
def waking_supervisors(chaos: Chaos) -> Iterator[None]:
    """Let stopped supervisors go on after a moment, as whoever has stopped them would."""
    over = threading.Event()

    def wake() -> None:
        while not over.wait(0.5):
            for each in chaos.supervisors():
                if each.stopped:
                    each.send(signal.SIGCONT)

    waker = threading.Thread(target=wake)
    waker.start()
    try:
        yield
    finally:
        over.set()
        waker.join()
