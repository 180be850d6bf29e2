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
AT_ONCE = 16
_ROUNDS = 3
"""Rounds of this part to one of the whole: they are short."""


class Turns:
    """A registered worker that finishes what it holds and claims the next, in one step."""

    def __init__(self, store: Store, at_once: int = 1) -> None:
        self._store = store
        self._at_once = at_once
        self._worker = registered(store)
        self._claims: tuple[Claim, ...] = ()

    def turn(self) -> bool:
        """False when nothing was left to claim."""
        self._claims = self._finish(want=self._at_once)
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
        needed = (rounds + 1) * (count + 1) * (1 + AT_ONCE)
        store.enqueue_many(JobSpec(command="true") for _ in range(needed))
        loop.fill(needed)
        one, many = Turns(store), Turns(store, AT_ONCE)
        contenders = {"flam": one.turn, "many": many.turn, "loop": loop.turn}
        rates = _alternating(contenders, rounds, count)
        one.end()
        many.end()
    each = {"part": PART, "unit": "/s", "against_what": "SQLite loop, two commits"}
    what = f"{rounds} times {count} turns"
    yield paired(rates["flam"], rates["loop"], what=what, goal="at least 1.0", **each)
    jobs = [AT_ONCE * each for each in rates["many"]]
    yield paired(jobs, rates["loop"], what=f"the jobs of turns of {AT_ONCE}, as short ones", **each)


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
