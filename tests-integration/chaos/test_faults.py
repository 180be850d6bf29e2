"""Every fault at every named point, at least twenty times each point and action."""

from __future__ import annotations

import pytest

from chaos.harness import Chaos, until

HITS = 20
ACTIONS = {"kill": "kill:0.3", "raise": "raise:0.3", "delay": "delay:0.3:0.2", "stop": "stop:0.3"}
OF_WRITERS = {"kill": "kill:0.05", "raise": "raise:0.05", "delay": "delay:0.1:0.2"}


def suffer(chaos: Chaos, fault: str, jobs: int) -> None:
    """Run jobs, so many at a time, until the fault has been hit often enough."""
    number = 0
    while chaos.faults()[fault] < HITS:
        chaos.enqueue(*(f"job-{number + each}" for each in range(jobs)))
        number += jobs
        chaos.settle()


def test_workers_that_die_on_their_way_lose_nothing(chaos: Chaos) -> None:
    points = ("claimed", "spawned", "exited")
    chaos.start(3, ",".join(f"{point}=kill:0.3" for point in points))
    while len(chaos.faults()) < len(points):
        chaos.enqueue(*(f"job-{len(chaos.asked) + each}" for each in range(4)))
        chaos.settle()
    chaos.conclude()


@pytest.mark.chaos
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", ["claimed", "spawned", "exited"])
def test_a_fault_of_a_worker_costs_nothing_but_attempts(
    chaos: Chaos, point: str, action: str
) -> None:
    chaos.start(4, f"{point}={ACTIONS[action]}")
    suffer(chaos, f"{point} {action}", 8)
    chaos.conclude()


@pytest.mark.chaos
@pytest.mark.parametrize("action", OF_WRITERS)
@pytest.mark.parametrize("point", ["committing", "committed"])
def test_a_fault_at_a_commit_of_any_process_of_a_pool_costs_nothing_but_attempts(
    chaos: Chaos, point: str, action: str
) -> None:
    fault = f"{point}={OF_WRITERS[action]}"
    start(chaos, fault)
    while chaos.faults()[f"{point} {action}"] < HITS:
        chaos.enqueue(*(f"job-{len(chaos.asked) + each}" for each in range(40)))
        while not has_settled(chaos):
            start(chaos, fault)
    chaos.conclude()


def start(chaos: Chaos, fault: str) -> None:
    """Start a pool whose first steps may already fail."""
    until(lambda: chaos.try_start(4, fault) == 0, "it has started")


def has_settled(chaos: Chaos) -> bool:
    """Wait until all work is done, or every process of the pool died with the last one."""
    until(lambda: chaos.is_settled() or not chaos.pool(), "all is done, or all are dead")
    return chaos.is_settled()
