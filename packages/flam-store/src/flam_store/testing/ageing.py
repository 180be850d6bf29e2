"""Conformance: the order of claims across queues, and what waiting changes about it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.config import Config
from flam_store.job import JobFilter
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    OUTCOMES,
    claimed,
    ended,
    ids_claimed,
    run,
    spec,
    stored_in,
)
from flam_store.testing.suite import MakeStore, SetQueue, Suite

LEVEL = timedelta(seconds=10)


class Ageing(Suite):
    """``Config.priority_ageing``."""

    @pytest.fixture
    def ageing(self, make_store: MakeStore, clock: FakeClock, store: Store) -> Store:  # noqa: ARG002
        return make_store(clock=clock, config=Config(priority_ageing=LEVEL.total_seconds()))

    def test_without_it_a_low_priority_waits_for_ever(self, store: Store, clock: FakeClock) -> None:
        store.enqueue(spec("low", priority=-1))
        for n in range(10):
            clock.advance(timedelta(days=100))
            store.enqueue(spec(f"high{n}"))
            assert run(store, OUTCOMES["completed"]).job.id == f"high{n}"

    def test_no_job_is_said_to_be_ahead_when_waiting_may_decide(
        self, store: Store, ageing: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("low", priority=0))
        clock.advance(10 * LEVEL)
        store.enqueue(spec("high", priority=5))
        assert store.standing("low").ahead == 1
        assert ageing.standing("low").ahead is None
        assert ids_claimed(ageing) == ["low", "high"]

    def test_a_low_job_runs_although_high_ones_keep_coming(
        self, ageing: Store, clock: FakeClock
    ) -> None:
        ageing.enqueue(spec("low", priority=0))
        ran: list[str] = []
        for n in range(8):
            ageing.enqueue(spec(f"high{n}", priority=5))
            ran.append(run(ageing, OUTCOMES["completed"]).job.id)
            clock.advance(LEVEL)
        assert ran == ["high0", "high1", "high2", "high3", "high4", "low", "high5", "high6"]

    @pytest.mark.parametrize("queues", [None, ["a", "b", "c"]])
    def test_fresh_jobs_of_all_queues_are_taken_by_priority_then_in_their_order(
        self, store: Store, ageing: Store, queues: list[str] | None
    ) -> None:
        for handle in (store, ageing):
            handle.enqueue_many(
                spec(f"{n}-{queue}{priority}", queue=queue, priority=priority)
                for n, (queue, priority) in enumerate(
                    [("b", 0), ("a", 1), ("c", -3), ("a", 0), ("b", 7), ("c", 1), ("c", 0)]
                )
            )
            taken = ids_claimed(handle, queues=queues)
            assert taken == ["4-b7", "1-a1", "5-c1", "0-b0", "3-a0", "6-c0", "2-c-3"]
            for job in handle.running():
                ended(handle, job, OUTCOMES["completed"])
            handle.purge(JobFilter())

    def test_within_a_priority_the_first_is_the_first(
        self, ageing: Store, clock: FakeClock
    ) -> None:
        ageing.enqueue(spec("late", delay=3 * LEVEL))
        ageing.enqueue(spec("early"))
        clock.advance(3 * LEVEL)
        assert ids_claimed(ageing) == ["late", "early"]

    def test_waiting_begins_when_a_job_is_due(self, ageing: Store, clock: FakeClock) -> None:
        ageing.enqueue(spec("low", delay=5 * LEVEL))
        clock.advance(5 * LEVEL)
        ageing.enqueue(spec("high", priority=1))
        assert ids_claimed(ageing, want=1) == ["high"]

    def test_a_time_before_the_job_was_stored_is_no_waiting(
        self, ageing: Store, clock: FakeClock
    ) -> None:
        ageing.enqueue(spec("low", run_at=clock.now - timedelta(days=9999)))
        ageing.enqueue(spec("high", priority=1))
        assert ids_claimed(ageing, want=1) == ["high"]

    def test_a_job_that_crashed_waits_from_then_on(self, ageing: Store, clock: FakeClock) -> None:
        ageing.enqueue(spec("low"))
        clock.advance(9 * LEVEL)
        ended(ageing, claimed(ageing), CRASHED)
        ageing.enqueue(spec("high", priority=1))
        assert ids_claimed(ageing, want=1) == ["high"]

    def test_a_clock_that_was_set_back_lowers_nobody(self, ageing: Store, clock: FakeClock) -> None:
        ageing.enqueue(spec("old", priority=1))
        clock.advance(-5 * LEVEL)
        ageing.enqueue(spec("new"))
        assert ids_claimed(ageing, want=1) == ["old"]

    def test_pauses_limits_and_the_queues_that_are_served_hold_as_without_it(
        self, ageing: Store, clock: FakeClock, set_queue: SetQueue
    ) -> None:
        for queue in ("paused", "limited", "foreign", "served"):
            ageing.enqueue_many(spec(f"{queue}{n}", queue=queue) for n in range(2))
        set_queue("paused", paused=True)
        set_queue("limited", limit=1)
        clock.advance(9 * LEVEL)
        taken = ids_claimed(ageing, queues=["paused", "limited", "served"])
        assert taken == ["limited0", "served0", "served1"]

    def test_nothing_due_is_nothing(self, ageing: Store) -> None:
        stored_in(ageing, State.FAILED)
        assert ids_claimed(ageing) == []
