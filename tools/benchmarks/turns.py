"""Finish and claim: Flam's turn of one worker's loop, and the same of the hand-written loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Line, paired
from benchmarks.loops import loop_at
from benchmarks.processes import Unmeasured
from benchmarks.setting import Setting, made_home, queue_of, registered, rotated
from flam_store import JobSpec, Store
from flam_store.job import Claim
from flam_store.outcome import Completed, Result

PART = "finish and claim, one process"
_ROUNDS = 3
"""Rounds of this part to one of the whole: they are short."""


class Turns:
    """A registered worker that finishes what it holds and claims the next, in one step."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._worker = registered(store)
        self._claims: tuple[Claim, ...] = ()

    def turn(self) -> bool:
        """False when nothing was left to claim."""
        self._claims = self._finish(want=1)
        return bool(self._claims)

    def end(self) -> None:
        """Finish what is held, and be no worker any more."""
        self._claims = self._finish(want=0)
        self._store.forget(self._worker)

    def _finish(self, *, want: int) -> tuple[Claim, ...]:
        results = [
            Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())
            for claim in self._claims
        ]
        return self._store.finish(results, worker_id=self._worker, want=want).claims


def rate(turn: Callable[[], bool], count: int) -> float:
    """Turns a second over this many."""
    started = time.perf_counter()
    for _ in range(count):
        if not turn():
            raise Unmeasured("the queue ran empty")
    return count / (time.perf_counter() - started)


def measure(setting: Setting) -> Iterator[Line]:
    """Turns a second, in stretches that alternate."""
    setting.say(PART)
    rounds = setting.sizes.rounds * _ROUNDS
    count = max(1, setting.sizes.operations // rounds)
    with (
        setting.fresh() as folder,
        queue_of(made_home(folder / "home")) as store,
        loop_at(folder / "loop.db") as loop,
    ):
        store.enqueue_many(JobSpec(command="true") for _ in range((rounds + 1) * count))
        loop.fill((rounds + 1) * count)
        contenders = {"flam": Turns(store).turn, "loop": loop.turn}
        rates = _alternating(contenders, rounds, count)
    yield paired(
        rates["flam"],
        rates["loop"],
        part=PART,
        what=f"{rounds} times {count} turns",
        unit="/s",
        against_what="SQLite loop, two commits",
        goal="at least 1.0",
    )


def _alternating(
    contenders: dict[str, Callable[[], bool]], rounds: int, count: int
) -> dict[str, list[float]]:
    for turn in contenders.values():
        turn()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, turn in rotated(list(contenders.items()), number):
            rates[name].append(rate(turn, count))
    return rates
