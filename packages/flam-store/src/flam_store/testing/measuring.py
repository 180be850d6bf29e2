"""Conformance: looking back at attempts that ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

import pytest

from flam_store.errors import SpecError
from flam_store.job import JobFilter
from flam_store.measures import By, Measure, Spread
from flam_store.outcome import Outcome
from flam_store.state import AttemptState
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import CRASHED, OUTCOMES, WORKER, claimed, result, run, spec
from flam_store.testing.suite import Suite

_SECOND = timedelta(seconds=1)


class Ran(Protocol):
    """Let a job wait a second, run for so long, and end so."""

    def __call__(self, job_id: str, seconds: float, outcome: Outcome, **fields: Any) -> None: ...


class Measuring(Suite):
    """``last_ended statistics totals``."""

    @pytest.fixture
    def ran(self, store: Store, clock: FakeClock) -> Ran:
        def ran(job_id: str, seconds: float, outcome: Outcome, **fields: Any) -> None:
            job = store.enqueue(spec(job_id, **fields))
            clock.advance(_SECOND)
            claim = claimed(store, queues=[job.queue])
            clock.advance(timedelta(seconds=seconds))
            store.finish([result(claim, outcome)], worker_id=WORKER)

        return ran

    def test_nothing_has_ended_in_an_empty_queue(self, store: Store) -> None:
        since = store.enqueue(spec("j")).created_at
        claimed(store)
        told = store.statistics(by=By.QUEUE, since=since)
        assert (told.measures, told.cut, told.since) == ((), False, since)
        assert (store.last_ended(limit=5), store.totals()) == ((), ())

    def test_statistics_by_anything_else_are_refused(self, store: Store) -> None:
        since = store.enqueue(spec("j")).created_at
        by: Any
        for by in ("nonsense", None, 3):
            with pytest.raises(SpecError, match="by: must be one of queue, command"):
                store.statistics(by=by, since=since)

    def test_statistics_take_the_word_as_well(self, store: Store, ran: Ran) -> None:
        ran("a", 1, OUTCOMES["completed"], queue="q")
        by: Any = "queue"
        since = store.job("a").created_at
        assert [each.name for each in store.statistics(by=by, since=since).measures] == ["q"]

    def test_what_ended_last_comes_first(self, store: Store, ran: Ran) -> None:
        ran("a", 1, OUTCOMES["completed"])
        ran("b", 1, OUTCOMES["dead"], queue="q")
        store.enqueue(spec("runs"))
        claimed(store, queues=["default"])
        ended = store.last_ended(limit=5)
        assert [(each.job.id, each.attempt.state) for each in ended] == [
            ("b", AttemptState.FAILED),
            ("a", AttemptState.COMPLETED),
        ]
        assert ended[0].job == store.job("b")
        assert (ended[0].attempt,) == store.attempts("b")
        assert [each.job.id for each in store.last_ended(limit=1)] == ["b"]
        store.purge(JobFilter())
        assert store.last_ended(limit=5) == ()

    def test_attempts_are_counted_and_measured_by_queue(self, store: Store, ran: Ran) -> None:
        since = store.enqueue(spec("first", queue="elsewhere", delay=timedelta(days=9))).created_at
        for n in range(1, 21):
            ran(f"j{n}", n, OUTCOMES["completed"])
        ran("x", 30, OUTCOMES["dead"])
        ran("y", 500, OUTCOMES["cancelled"])
        ran("z", 5, OUTCOMES["retry"], queue="q")
        told = store.statistics(by=By.QUEUE, since=since)
        assert [each.name for each in told.measures] == ["default", "q"]
        assert told.measures[0] == Measure(
            name="default", attempts=22, completed=20, failed=1, timeouts=0, crashed=0,
            cancelled=1, released=0,
            waits=Spread(p50=_SECOND, p95=_SECOND, max=_SECOND),
            runs=Spread(p50=11 * _SECOND, p95=20 * _SECOND, max=30 * _SECOND),
        )  # fmt: skip
        assert told.measures[0].failure_rate == 1 / 21
        only = store.statistics(by=By.QUEUE, since=since, queue="q")
        assert only.measures == told.measures[1:]
        assert store.statistics(by=By.QUEUE, since=since, queue="nobody").measures == ()

    def test_only_what_ended_since_then_counts(self, store: Store, ran: Ran) -> None:
        ran("a", 1, OUTCOMES["completed"])
        ran("b", 1, OUTCOMES["completed"])
        ended_at = store.attempts("b")[0].finished_at
        assert ended_at is not None
        (told,) = store.statistics(by=By.QUEUE, since=ended_at).measures
        assert told.attempts == 1
        later = ended_at + timedelta(milliseconds=1)
        assert store.statistics(by=By.QUEUE, since=later).measures == ()

    def test_commands_are_told_as_a_person_types_them(self, store: Store, ran: Ran) -> None:
        since = store.enqueue(spec("first", queue="elsewhere", delay=timedelta(days=9))).created_at
        ran("a", 1, OUTCOMES["completed"], command="x" * 300 + "1")
        ran("b", 1, OUTCOMES["completed"], command="x" * 300 + "2")
        ran("c", 1, CRASHED, command=None, args=("a b", "c"), queue="q")
        told = store.statistics(by=By.COMMAND, since=since).measures
        assert [(each.name, each.attempts) for each in told] == [("x" * 200, 2), ("'a b' c", 1)]
        assert (told[1].crashed, told[1].failed) == (1, 1)

    def test_totals_go_on_when_jobs_are_deleted(
        self, store: Store, clock: FakeClock, ran: Ran
    ) -> None:
        ran("a", 2, OUTCOMES["completed"])
        ran("b", 3, OUTCOMES["completed"])
        ran("c", 5, OUTCOMES["dead"], queue="q")
        store.purge(JobFilter())
        clock.advance(timedelta(days=400))
        store.enqueue(spec("d"))
        run(store, OUTCOMES["completed"])
        totals = {(total.queue, total.state): total for total in store.totals()}
        assert totals.keys() == {("default", "completed"), ("q", "failed")}
        done = totals["default", AttemptState.COMPLETED]
        assert (done.ends, done.waited, done.ran) == (3, 2 * _SECOND, 5 * _SECOND)
