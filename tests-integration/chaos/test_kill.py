"""SIGKILL at any moment."""

from __future__ import annotations

import signal

from chaos.harness import Chaos, until


def test_killed_workers_lose_nothing(chaos: Chaos) -> None:
    jobs = [f"job-{number}" for number in range(20)]
    chaos.enqueue(*jobs, does=["sleep=0.05"])
    chaos.start(2)
    for _ in range(5):
        worker = chaos.random.choice(until(chaos.workers, "there are workers"))
        worker.send(signal.SIGKILL)
        until(lambda worker=worker: not worker.alive, "it is dead")
    chaos.conclude()
