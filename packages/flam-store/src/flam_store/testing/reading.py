"""Conformance: looking at jobs, attempts and counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.errors import JobNotFound
from flam_store.job import JobFilter, Order
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    DAY,
    OUTCOMES,
    claimed,
    everything,
    result,
    run,
    spec,
    stored_in,
)
from flam_store.testing.suite import SetQueue, Suite


def ids(store: Store, which: JobFilter | None = None, *, limit: int = 100,
        after: str | None = None) -> list[str]:  # fmt: skip
    return [job.id for job in store.jobs(which, limit=limit, after=after).jobs]


class Reading(Suite):
    """``job attempts jobs newest_started overview running``."""

    def test_an_empty_queue_has_nothing(self, store: Store) -> None:
        assert everything(store) == ((), ())
        overview = store.overview()
        assert overview.counts == dict.fromkeys(State, 0)
        assert (overview.queues, overview.oldest_due_at) == ((), None)
        for rate in overview.rates:
            assert (rate.completed, rate.failed) == (0, 0)
            assert (rate.wait_seconds, rate.run_seconds) == (None, None)
        assert (store.newest_started(), store.running(), store.workers()) == (None, (), ())
        assert not store.jobs().more

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        stored_in(store, State.PENDING)
        for look in (store.job, store.attempts, lambda job_id: store.jobs(after=job_id)):
            with pytest.raises(JobNotFound) as caught:
                look("J")
            assert caught.value.job_id == "J"

    @pytest.mark.parametrize("state", State)
    def test_a_job_is_seen_in_its_state_and_in_no_other(
        self, store: Store, other: Store, state: State
    ) -> None:
        job = stored_in(store, state)
        assert other.job("j") == job
        assert job.state is state
        for each in State:
            found = other.jobs(JobFilter(states=(each,), queue="default")).jobs
            assert found == ((job,) if each is state else ())

    @pytest.mark.parametrize("state", State)
    def test_looking_changes_nothing(self, store: Store, other: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(other)
        store.jobs()
        store.overview()
        store.workers()
        store.running()
        store.newest_started()
        store.orders("nobody")
        assert everything(other) == before

    def test_jobs_are_newest_first_and_page_by_the_last_seen(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(5))
        page = store.jobs(limit=2)
        assert ([job.id for job in page.jobs], page.more) == (["j4", "j3"], True)
        page = store.jobs(limit=3, after="j3")
        assert ([job.id for job in page.jobs], page.more) == (["j2", "j1", "j0"], False)
        assert ids(store, after="j0") == []

    def test_a_limit_of_0_means_all(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(250))
        page = store.jobs(limit=0)
        assert (len(page.jobs), page.more) == (250, False)
        page = store.jobs(JobFilter(states=(State.PENDING,)), limit=0, after="j200")
        assert (len(page.jobs), page.more) == (200, False)
        assert len(store.jobs().jobs) == 100

    def test_the_filter_narrows_by_state_queue_and_every_label(self, store: Store) -> None:
        stored_in(store, State.DEAD, "dead", queue="q", labels={"a": "1"})
        stored_in(store, State.CANCELLED, "cancelled", queue="q", labels={"a": "1", "b": "2"})
        stored_in(store, State.DEAD, "elsewhere", queue="r", labels={"a": "2", "b": "2"})
        everywhere = (State.DEAD, State.CANCELLED)
        assert ids(store, JobFilter(states=everywhere)) == ["elsewhere", "cancelled", "dead"]
        assert ids(store, JobFilter(states=everywhere), limit=2) == ["elsewhere", "cancelled"]
        assert ids(store, JobFilter(states=everywhere), after="cancelled") == ["dead"]
        assert ids(store, JobFilter(states=(State.DEAD, State.DEAD))) == ["elsewhere", "dead"]
        assert ids(store, JobFilter(queue="q")) == ["cancelled", "dead"]
        assert ids(store, JobFilter(labels={"a": "1"})) == ["cancelled", "dead"]
        assert ids(store, JobFilter(labels={"a": "1", "b": "2"})) == ["cancelled"]
        assert ids(store, JobFilter(labels={"b": "2"}, queue="r")) == ["elsewhere"]
        assert ids(store, JobFilter(labels={"c": ""})) == []

    def test_more_says_whether_older_ones_match_as_well(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}", queue=f"q{n % 2}") for n in range(4))
        assert store.jobs(JobFilter(queue="q1"), limit=1).more
        assert not store.jobs(JobFilter(queue="q1"), limit=2).more
        assert store.jobs(JobFilter(states=(State.PENDING,)), limit=3).more
        assert not store.jobs(JobFilter(states=(State.PENDING,)), limit=4).more

    def test_counts_are_told_for_every_queue_and_state(
        self, store: Store, set_queue: SetQueue
    ) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=f"q-{state}")
        set_queue("paused", paused=True)
        set_queue("limited", limit=3)
        queues = {queue.name: queue for queue in store.overview().queues}
        for state in State:
            assert queues[f"q-{state}"].counts == dict.fromkeys(State, 0) | {state: 1}
        assert queues["paused"].counts == dict.fromkeys(State, 0)
        assert queues["paused"].paused_at is not None
        assert (queues["limited"].paused_at, queues["limited"].concurrency) == (None, 3)
        assert sorted(queues) == [queue.name for queue in store.overview().queues]
        everything(store)

    def test_the_oldest_due_job_is_not_one_that_waits(self, store: Store, clock: FakeClock) -> None:
        store.enqueue(spec("far", delay=DAY))
        assert store.overview().oldest_due_at is None
        since = clock.now
        store.enqueue(spec("first"))
        clock.advance(timedelta(seconds=5))
        store.enqueue(spec("second"))
        assert store.overview().oldest_due_at == since
        claimed(store)
        assert store.overview().oldest_due_at == clock.now

    def test_rates_tell_what_ended_and_survive_a_purge(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("c"), spec("d")])
        clock.advance(timedelta(seconds=2))
        for outcome in (OUTCOMES["completed"], CRASHED, OUTCOMES["released"]):
            claim = claimed(store)
            clock.advance(timedelta(seconds=1))
            store.finish([result(claim, outcome)], worker_id="w")
        store.purge(JobFilter())
        for rate in store.overview().rates:
            assert (rate.completed, rate.failed) == (1, 1)
            assert rate.run_seconds == 1
        clock.advance(DAY)
        assert all(rate.completed == rate.failed == 0 for rate in store.overview().rates)

    def test_the_job_that_started_last_is_told(self, store: Store, clock: FakeClock) -> None:
        store.enqueue_many([spec("a"), spec("b")])
        run(store, CRASHED)
        clock.advance(timedelta(seconds=1))
        newest = store.newest_started()
        assert newest == store.job("a")
        run(store, OUTCOMES["completed"])
        clock.advance(timedelta(seconds=1))
        claimed(store)
        assert store.newest_started() == store.job("b")

    def test_attempts_are_told_oldest_first(self, store: Store) -> None:
        store.enqueue(spec("j"))
        for _ in range(12):
            run(store, CRASHED)
        assert [attempt.attempt for attempt in store.attempts("j")] == list(range(1, 13))

    def test_only_attempts_that_hold_a_job_are_running(self, store: Store) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=state.value)
        assert [claim.job for claim in store.running()] == [store.job("processing")]

    @pytest.mark.parametrize("order", Order)
    def test_a_page_of_wide_jobs_is_short_and_the_next_goes_on_there(
        self, store: Store, order: Order
    ) -> None:
        wide = "x" * (1 << 20)
        store.enqueue_many(
            spec(
                f"j{n}",
                stdin=wide,
                command="Echo" if n % 3 else None,
                args=None if n % 3 else ("E",),
            )
            for n in range(40)
        )
        for which in (JobFilter(), JobFilter(command="E", states=(State.PENDING,))):
            pages = [store.jobs(which, limit=30, order=order)]
            while pages[-1].more:
                after = pages[-1].jobs[-1].id
                pages.append(store.jobs(which, limit=30, order=order, after=after))
            assert all(1 <= len(page.jobs) <= 8 for page in pages)
            found = [job.id for page in pages for job in page.jobs]
            assert found == [job.id for job in store.jobs(limit=0, order=order).jobs]
            assert len(found) == 40
