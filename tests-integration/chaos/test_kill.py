"""SIGKILL at any moment, to any of Flam's processes."""

from __future__ import annotations

import signal

import pytest

from chaos.harness import Chaos, Process, until, until_gone

KILLS = 20


def jobs(chaos: Chaos, number: int, seconds: float) -> None:
    """Enqueue so many more jobs that last so long."""
    first = len(chaos.asked)
    ids = [f"job-{each}" for each in range(first, first + number)]
    chaos.enqueue(*ids, does=[f"sleep={seconds}"])


def kill(*processes: Process) -> None:
    for each in processes:
        each.send(signal.SIGKILL)
    until_gone(*processes)


def kill_workers(chaos: Chaos, times: int) -> None:
    """Kill one worker after the other while jobs run."""
    for _ in range(times):
        kill(chaos.random.choice(until(chaos.workers, "there is a worker")))


def kill_supervisors(chaos: Chaos, times: int, count: int) -> None:
    """Kill each supervisor as soon as its pool is complete."""
    for _ in range(times):
        until(lambda: len(registered(chaos)) == count, "the pool is complete")
        kill(*until(chaos.supervisors, "there is a supervisor"))


def registered(chaos: Chaos) -> set[int]:
    """The pids of the workers that are registered and live."""
    listed = chaos.flam.json("worker", "list")
    return {each["pid"] for each in listed} & {each.pid for each in chaos.workers()}


def test_killed_workers_lose_nothing(chaos: Chaos) -> None:
    jobs(chaos, 20, 0.05)
    chaos.start(2)
    kill_workers(chaos, 4)
    chaos.conclude()


@pytest.mark.chaos
def test_workers_killed_in_a_loop_lose_nothing(chaos: Chaos) -> None:
    for _ in range(4):
        jobs(chaos, 60, 0.05)
        chaos.start(4)
        kill_workers(chaos, 12)
        chaos.settle()
        chaos.flam.ok("worker", "stop")
    chaos.conclude()


def test_a_killed_supervisor_is_succeeded(chaos: Chaos) -> None:
    jobs(chaos, 20, 0.1)
    chaos.start(2)
    kill_supervisors(chaos, 2, 2)
    until(lambda: len(registered(chaos)) == 2, "there is another pool of that size")
    chaos.conclude()


@pytest.mark.chaos
def test_supervisors_killed_in_a_loop_are_succeeded(chaos: Chaos) -> None:
    jobs(chaos, 200, 0.2)
    chaos.start(3)
    kill_supervisors(chaos, KILLS, 3)
    until(lambda: len(registered(chaos)) == 3, "there is another pool of that size")
    chaos.conclude()


def kill_all(chaos: Chaos, times: int) -> None:
    """Kill everything at once, and start again."""
    for _ in range(times):
        jobs(chaos, 6, 0.3)
        chaos.start(3)
        until(lambda: any(line.process.alive for line in chaos.journal("start")), "a job runs")
        kill(*chaos.pool())
    chaos.start(3)


def test_after_everything_was_killed_at_once_a_new_pool_goes_on(chaos: Chaos) -> None:
    chaos.enqueue("hanging", does=["hang"])
    kill_all(chaos, 2)
    chaos.conclude()


@pytest.mark.chaos
def test_everything_killed_at_once_in_a_loop_loses_nothing(chaos: Chaos) -> None:
    kill_all(chaos, KILLS)
    chaos.conclude()


def kill_enqueues(chaos: Chaos, times: int) -> None:
    """Kill so many that were enqueueing; those that were done in time are acknowledged."""
    killed = 0
    while killed < times:
        id = f"job-{len(chaos.asked)}"
        chaos.asked.add(id)
        enqueue = chaos.spawn("queuectl", "enqueue", "--id", id, "--", *chaos.witness())
        if enqueue.kill_within(chaos.random.uniform(0.02, 0.2)) == 0:
            chaos.acknowledged.add(id)
        else:
            killed += 1


def test_a_killed_enqueue_has_enqueued_or_not(chaos: Chaos) -> None:
    kill_enqueues(chaos, 6)
    chaos.start(2)
    chaos.conclude()


@pytest.mark.chaos
def test_enqueues_killed_in_a_loop_beside_a_pool_lose_nothing(chaos: Chaos) -> None:
    chaos.start(2)
    kill_enqueues(chaos, 3 * KILLS)
    chaos.conclude()


@pytest.mark.chaos
@pytest.mark.parametrize(("point", "stored"), [("committing", False), ("committed", True)])
def test_an_enqueue_killed_around_its_commit_is_what_the_commit_made_it(
    chaos: Chaos, point: str, stored: bool
) -> None:
    chaos.enqueue("first")
    for number in range(KILLS):
        id = f"job-{number}"
        chaos.asked.add(id)
        command = ("enqueue", "--id", id, "--", *chaos.witness())
        assert chaos.spawn("queuectl", *command, faults=f"{point}=kill").exit_code() < 0
        assert (id in chaos.states()) == stored
    assert chaos.faults()[f"{point} kill"] == KILLS
    chaos.start(2)
    chaos.conclude()


@pytest.mark.chaos
def test_starts_killed_in_a_loop_leave_whole_pools_or_none(chaos: Chaos) -> None:
    killed = 0
    while killed < KILLS:
        jobs(chaos, 2, 0.05)
        start = chaos.spawn("queuectl", "worker", "start", "--count", "2")
        killed += start.kill_within(chaos.random.uniform(0.02, 0.4)) != 0
        until(lambda: is_whole(chaos), "what was started is whole, or gone")
        if chaos.random.random() < 0.5:
            chaos.flam.ok("worker", "stop")
            assert not chaos.pool()
    chaos.start(2)
    chaos.conclude()


def is_whole(chaos: Chaos) -> bool:
    workers = {each.pid for each in chaos.workers()}
    supervisors = chaos.supervisors()
    return len(workers) == 2 * len(supervisors) and registered(chaos) == workers


@pytest.mark.chaos
@pytest.mark.parametrize("how", ["gracefully", "now"])
def test_stops_killed_in_a_loop_can_be_said_again(chaos: Chaos, how: str) -> None:
    words = ["worker", "stop", *(["--now"] if how == "now" else [])]
    killed = 0
    while killed < KILLS:
        jobs(chaos, 4, 0.2)
        if not chaos.pool():
            chaos.start(2)
        stop = chaos.spawn("queuectl", *words)
        killed += stop.kill_within(chaos.random.uniform(0.02, 0.3)) != 0
        if chaos.random.random() < 0.5:
            chaos.flam.ok(*words)
            assert not chaos.pool()
    until(lambda: not chaos.pool() or is_whole(chaos), "the pool has gone, or goes on")
    chaos.flam.ok(*words)
    chaos.start(2)
    chaos.conclude()
    states = {each.state.value for every in chaos.attempts().values() for each in every}
    assert states <= {"completed", "released"}
