"""Conformance: deleting what is older than the configuration keeps it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.job import JobFilter
from flam_store.state import FINISHED, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, OUTCOMES, everything, run, spec, stored_in
from flam_store.testing.suite import Suite

UNFINISHED = [state for state in State if state not in FINISHED]


class Expiring(Suite):
    """``expire`` and ``forget_minutes``."""

    @pytest.mark.parametrize("state", FINISHED)
    def test_jobs_go_that_ended_in_this_state_long_enough_ago(
        self, store: Store, other: Store, clock: FakeClock, state: State
    ) -> None:
        old = [stored_in(store, state, f"old{n}").seq for n in range(2)]
        for each in State:
            if each is not state:
                stored_in(store, each, each.value, queue=each.value)
        clock.advance(DAY)
        stored_in(store, state, "young")
        before = len(everything(store)[0])
        assert store.expire(state, older_than=DAY + timedelta(milliseconds=1)).seqs == ()
        expired = store.expire(state, older_than=DAY)
        assert (expired.seqs, expired.after) == (tuple(old), None)
        assert len(everything(other)[0]) == before - 2

    @pytest.mark.parametrize("state", UNFINISHED)
    def test_a_state_that_is_not_finished_is_refused(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(ValueError, match="not finished"):
            store.expire(state, older_than=timedelta(0))
        assert everything(store) == before

    def test_it_goes_on_where_it_was(self, store: Store) -> None:
        seqs = [stored_in(store, State.DEAD, f"j{n}").seq for n in range(5)]
        found = [store.expire(State.DEAD, older_than=timedelta(0), limit=2)]
        while found[-1].after is not None:
            last = found[-1].after
            found.append(store.expire(State.DEAD, older_than=timedelta(0), after=last, limit=2))
        assert [each.seqs for each in found] == [*map(tuple, (seqs[:2], seqs[2:4], seqs[4:]))]

    def test_a_job_that_changed_since_stays_and_stops_nobody(
        self, store: Store, clock: FakeClock
    ) -> None:
        stored_in(store, State.COMPLETED, "again")
        old = stored_in(store, State.COMPLETED, "old")
        clock.advance(DAY)
        store.retry("again")
        run(store, OUTCOMES["completed"])
        assert store.expire(State.COMPLETED, older_than=DAY).seqs == (old.seq,)

    def test_a_job_that_is_dated_ahead_keeps_none_of_those_behind_it(
        self, store: Store, clock: FakeClock
    ) -> None:
        clock.advance(400 * DAY)
        stored_in(store, State.COMPLETED, "ahead")
        clock.advance(-400 * DAY)
        old = stored_in(store, State.COMPLETED, "old")
        clock.advance(DAY)
        expired = store.expire(State.COMPLETED, older_than=DAY)
        assert (expired.seqs, expired.after, expired.young) == ((old.seq,), None, True)

    def test_old_jobs_that_were_imported_behind_young_ones_go(
        self, store: Store, clock: FakeClock
    ) -> None:
        stored_in(store, State.DEAD, "old")
        records = list(store.export())
        store.purge(JobFilter())
        clock.advance(DAY)
        stored_in(store, State.DEAD, "young")
        store.import_jobs(records)
        imported = store.job("old").seq
        assert store.expire(State.DEAD, older_than=DAY).seqs == (imported,)

    def test_the_children_of_a_completed_parent_that_went_wait_only_for_the_others(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("child", after=("a", "b"))])
        run(store, OUTCOMES["completed"])
        assert len(store.expire(State.COMPLETED, older_than=timedelta(0)).seqs) == 1
        run(store, OUTCOMES["completed"])
        assert store.job("child").state is State.PENDING

    def test_rates_of_minutes_go_after_two_days_and_an_hour_at_most(
        self, store: Store, clock: FakeClock
    ) -> None:
        for queue in ("a", "b", "c"):
            stored_in(store, State.COMPLETED, queue, queue=queue)
        clock.advance(timedelta(hours=47))
        stored_in(store, State.COMPLETED, "d")
        assert store.forget_minutes() == 0
        clock.advance(timedelta(hours=2))
        assert [store.forget_minutes(limit=2) for _ in range(3)] == [2, 1, 0]
        clock.advance(timedelta(hours=47))
        assert store.forget_minutes() == 1

    def test_rates_that_are_shown_stay(self, store: Store) -> None:
        stored_in(store, State.COMPLETED)
        before = store.overview().rates
        assert store.forget_minutes() == 0
        assert store.overview().rates == before
