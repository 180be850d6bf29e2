"""Conformance: changing what a waiting job asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.change import JobChange
from flam_store.errors import JobNotFound, SpecError, WrongState
from flam_store.job import JobFilter
from flam_store.state import WAITING, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import OUTCOMES, everything, ids_claimed, run, spec, stored_in
from flam_store.testing.suite import Suite

NOT_WAITING = [state for state in State if state not in WAITING]
HOUR = timedelta(hours=1)
ALL = JobChange(
    priority=7,
    queue="other",
    delay=HOUR,
    max_retries=9,
    timeout=timedelta(seconds=5),
    labels={"new": "1", "old": "2"},
    unlabel=("gone", "never-there"),
)


class Changing(Suite):
    """``update``."""

    @pytest.mark.parametrize("state", WAITING)
    def test_all_that_is_named_is_changed_and_nothing_else(
        self, store: Store, other: Store, clock: FakeClock, state: State
    ) -> None:
        before = stored_in(store, state, labels={"old": "1", "gone": "1", "kept": "1"})
        clock.advance(timedelta(seconds=1))
        job = store.update("j", ALL)
        assert job == other.job("j")
        assert (job.priority, job.queue, job.max_retries) == (7, "other", 9)
        assert (job.timeout, job.run_at) == (timedelta(seconds=5), clock.now + HOUR)
        assert job.labels == {"new": "1", "old": "2", "kept": "1"}
        assert (job.state, job.attempts, job.seq) == (state, before.attempts, before.seq)
        assert job.updated_at == clock.now
        everything(store)
        queues = {each.name: each.counts[state] for each in store.overview().queues}
        assert (queues["other"], queues["default"]) == (1, 0)

    @pytest.mark.parametrize("state", WAITING)
    def test_what_is_not_named_stays(self, store: Store, state: State) -> None:
        before = stored_in(store, state, timeout=HOUR, labels={"a": "b"}, priority=3)
        job = store.update("j", JobChange(max_retries=1))
        assert (job.timeout, job.labels, job.priority) == (HOUR, {"a": "b"}, 3)
        assert (job.run_at, job.queue) == (before.run_at, "default")

    @pytest.mark.parametrize("state", NOT_WAITING)
    def test_a_job_that_runs_or_is_finished_is_refused(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(WrongState) as refused:
            store.update("j", ALL)
        assert (refused.value.job_id, refused.value.state) == ("j", state)
        assert refused.value.allowed == tuple(map(str, WAITING))
        assert everything(store) == before

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(JobNotFound):
            store.update("nobody", ALL)

    def test_a_timeout_is_taken_away(self, store: Store) -> None:
        store.enqueue(spec("j", timeout=HOUR))
        assert store.update("j", JobChange(timeout=None)).timeout is None

    def test_a_new_priority_and_queue_decide_the_next_claim(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("c")])
        store.update("c", JobChange(priority=1))
        store.update("a", JobChange(queue="other"))
        assert ids_claimed(store, queues=["default"]) == ["c", "b"]
        assert ids_claimed(store) == ["a"]

    def test_a_job_is_due_when_it_is_to_be_due(self, store: Store, clock: FakeClock) -> None:
        store.enqueue(spec("j"))
        store.update("j", JobChange(run_at=clock.now + HOUR))
        assert ids_claimed(store) == []
        store.update("j", JobChange(delay=timedelta(0)))
        assert ids_claimed(store) == ["j"]

    def test_a_retry_comes_earlier_or_later(self, store: Store, clock: FakeClock) -> None:
        stored_in(store, State.FAILED)
        store.update("j", JobChange(delay=HOUR))
        clock.advance(timedelta(minutes=59))
        assert ids_claimed(store) == []
        store.update("j", JobChange(delay=timedelta(0)))
        assert ids_claimed(store) == ["j"]

    def test_a_blocked_job_keeps_the_time_for_when_it_is_free(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue_many([spec("parent"), spec("j", after=("parent",))])
        store.update("j", JobChange(delay=HOUR))
        run(store, OUTCOMES["completed"])
        assert ids_claimed(store) == []
        clock.advance(HOUR)
        assert ids_claimed(store) == ["j"]

    def test_a_job_does_not_grow_beyond_what_a_spec_may_be(self, store: Store) -> None:
        old, new = ({f"{word}{n}": "\u20ac" * 333 for n in range(600)} for word in ("old", "new"))
        store.enqueue(spec("j", labels=old))
        with pytest.raises(SpecError, match="1,048,576 bytes") as refused:
            store.update("j", JobChange(labels=new, priority=9))
        assert refused.value.field == "labels"
        assert (store.job("j").priority, store.job("j").labels) == (0, old)
        assert store.update("j", JobChange(labels=new, unlabel=tuple(old))).labels == new

    def test_it_can_be_found_by_its_new_label(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b")])
        store.update("a", JobChange(labels={"k": "v"}))
        assert [job.id for job in store.jobs(JobFilter(labels={"k": "v"})).jobs] == ["a"]
        store.update("a", JobChange(unlabel=("k",)))
        assert store.jobs(JobFilter(labels={"k": "v"})).jobs == ()
