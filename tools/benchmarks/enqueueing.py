"""Enqueue: one by one in a process, each durable, against the hand-written loop's insert."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Line, paired
from benchmarks.loops import loop_at
from benchmarks.setting import Setting, made_home, queue_of, rotated
from flam_store import JobSpec

PART = "enqueue one by one, durable"
_ROUNDS = 3


def measure(setting: Setting) -> Iterator[Line]:
    """Enqueues a second, in stretches that alternate."""
    setting.say(PART)
    rounds = setting.sizes.rounds * _ROUNDS
    count = max(1, setting.sizes.operations // rounds)
    rates: dict[str, list[float]] = {"flam": [], "loop": []}
    with (
        setting.fresh() as folder,
        queue_of(made_home(folder / "home")) as store,
        loop_at(folder / "loop.db") as loop,
    ):
        enqueues: dict[str, Callable[[], object]] = {
            "flam": lambda: store.enqueue(JobSpec(command="true")),
            "loop": loop.enqueue,
        }
        for number in range(rounds):
            for name in rotated(list(rates), number):
                rates[name].append(_rate(enqueues[name], count))
    yield paired(
        rates["flam"],
        rates["loop"],
        part=PART,
        what=f"{rounds} times {count}",
        unit="/s",
        against_what="the SQLite loop's insert",
        goal="at least 0.8",
    )


def _rate(enqueue: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        enqueue()
    return count / (time.perf_counter() - started)
