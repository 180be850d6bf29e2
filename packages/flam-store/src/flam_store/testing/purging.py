"""Conformance: deleting jobs that have ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.errors import JobNotFound
from flam_store.job import JobFilter, Order
from flam_store.state import FINISHED, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, OUTCOMES, everything, run, spec, state_of, stored_in
from flam_store.testing.suite import Suite

ALL = JobFilter()
UNFINISHED = [state for state in State if state not in FINISHED]


class Purging(Suite):
    """``purge`` and ``tidy``."""

    @pytest.mark.parametrize("state", sorted(FINISHED))
    def test_a_finished_job_goes_with_all_that_belongs_to_it(
        self, store: Store, other: Store, state: State
    ) -> None:
        job = stored_in(store, state, labels={"a": "b"}, unique_key="k")
        assert store.purge(JobFilter(states=(state,))) == (job.seq,)
        assert everything(other) == ((), ())
        assert other.newest_started() is None
        for look in (other.job, other.attempts):
            with pytest.raises(JobNotFound):
                look("j")

    @pytest.mark.parametrize("state", UNFINISHED)
    def test_an_unfinished_job_stays_whatever_the_filter_says(
        self, store: Store, clock: FakeClock, state: State
    ) -> None:
        stored_in(store, state)
        before = everything(store)
        clock.advance(timedelta(days=1000))
        for which in (ALL, JobFilter(states=(state,)), JobFilter(states=tuple(State))):
            assert store.purge(which) == ()
        assert everything(store) == before

    def test_a_job_stays_that_has_changed_since(self, store: Store, clock: FakeClock) -> None:
        old = stored_in(store, State.DEAD, "old")
        clock.advance(timedelta(seconds=10))
        stored_in(store, State.DEAD, "young")
        clock.advance(timedelta(seconds=10))
        assert store.purge(ALL, older_than=timedelta(seconds=20, milliseconds=1)) == ()
        assert store.purge(ALL, older_than=timedelta(seconds=20)) == (old.seq,)
        assert state_of(store, "young") is State.DEAD

    def test_every_field_of_the_filter_narrows(self, store: Store) -> None:
        stored_in(store, State.DEAD, "queue", queue="other")
        stored_in(store, State.DEAD, "label", labels={"a": "b", "c": "x"})
        stored_in(store, State.CANCELLED, "state", labels={"a": "b", "c": "d"})
        hit = stored_in(store, State.DEAD, "hit", labels={"a": "b", "c": "d", "e": "f"})
        which = JobFilter(states=(State.DEAD,), queue="default", labels={"a": "b", "c": "d"})
        assert store.purge(which) == (hit.seq,)
        assert {job.id for job in everything(store)[0]} == {"queue", "label", "state"}

    @pytest.mark.parametrize("old", [0, 1, 7, 29, 30])
    def test_those_go_that_are_old_enough_however_many_came_later(
        self, store: Store, clock: FakeClock, old: int
    ) -> None:
        for n in range(30):
            stored_in(store, State.COMPLETED, f"j{n}")
            clock.advance(timedelta(minutes=10))
        stored_in(store, State.PENDING, "waits")
        age = timedelta(minutes=10) * (30 - old) + timedelta(minutes=1)
        assert len(store.purge(ALL, older_than=age)) == old
        left = [f"j{n}" for n in range(old, 30)]
        assert [job.id for job in store.jobs(order=Order.OLDEST).jobs] == [*left, "waits"]

    def test_imported_jobs_go_by_their_own_times(self, store: Store, clock: FakeClock) -> None:
        stored_in(store, State.COMPLETED, "old")
        records = list(store.export())
        store.purge(ALL)
        clock.advance(2 * DAY)
        stored_in(store, State.COMPLETED, "new")
        store.import_jobs(records)
        stored_in(store, State.COMPLETED, "newest")
        assert len(store.purge(ALL, older_than=DAY)) == 1
        assert [job.id for job in store.jobs().jobs] == ["newest", "new"]

    def test_it_goes_in_portions_until_none_is_left(self, store: Store) -> None:
        seqs = [stored_in(store, state, f"{state}-{n}").seq
                for n in range(3) for state in sorted(FINISHED)]  # fmt: skip
        portions = [store.purge(ALL, limit=4) for _ in range(4)]
        assert [len(portion) for portion in portions] == [4, 4, 1, 0]
        assert sorted(seq for portion in portions for seq in portion) == sorted(seqs)

    def test_what_has_been_looked_at_need_not_be_looked_at_again(self, store: Store) -> None:
        seqs = [stored_in(store, state, f"{state}-{n}").seq
                for n in range(2) for state in sorted(FINISHED)]  # fmt: skip
        first = store.purge(ALL, limit=2)
        assert first == tuple(seqs[:2])
        assert store.purge(ALL, after=seqs[3]) == tuple(seqs[4:])
        assert store.purge(ALL, after=first[-1]) == tuple(seqs[2:4])

    def test_those_that_stay_keep_none_of_the_others(self, store: Store, clock: FakeClock) -> None:
        clock.advance(timedelta(days=1))
        for n in range(9):
            stored_in(store, State.DEAD, f"young{n}")
        clock.advance(-timedelta(days=1))
        old = [stored_in(store, State.DEAD, f"old{n}").seq for n in range(3)]
        portions = [store.purge(ALL, older_than=timedelta(0), limit=2) for _ in range(3)]
        assert portions == [tuple(old[:2]), (old[2],), ()]

    def test_the_same_state_twice_is_the_same_as_once(self, store: Store) -> None:
        job = stored_in(store, State.DEAD)
        assert store.purge(JobFilter(states=(State.DEAD, State.DEAD))) == (job.seq,)

    def test_an_id_may_be_given_again_after_it_and_a_seq_never(self, store: Store) -> None:
        job = stored_in(store, State.COMPLETED)
        store.purge(ALL)
        assert store.enqueue(spec("j")).seq > job.seq

    def test_a_child_of_a_completed_parent_that_is_gone_waits_only_for_the_others(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("child", after=("a", "b"))])
        run(store, OUTCOMES["completed"])
        store.purge(ALL)
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.PENDING

    def test_a_child_whose_completed_parent_is_gone_can_be_retried(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("child", after=("a",))])
        run(store, OUTCOMES["completed"])
        store.purge(ALL)
        run(store, OUTCOMES["dead"])
        assert store.retry("child").state is State.PENDING

    def test_a_purged_child_holds_up_nobody(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("child", after=("a",))])
        run(store, OUTCOMES["completed"])
        run(store, OUTCOMES["dead"])
        store.purge(JobFilter(states=(State.DEAD,)))
        store.retry("a")
        run(store, OUTCOMES["completed"])
        assert [job.id for job in everything(store)[0]] == ["a"]

    def test_tidying_changes_no_job(self, store: Store, other: Store) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=state.value)
        before = everything(other)
        store.purge(JobFilter(states=(State.DEAD,), queue="no such queue"))
        store.tidy()
        assert everything(other) == before
