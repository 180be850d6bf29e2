"""Conformance: what the end of a job, whatever it is, means for those that wait for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flam_store.finding import Level
from flam_store.job import JobFilter, JobSpec
from flam_store.state import FINISHED, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    DAY,
    OUTCOMES,
    claimed,
    ended,
    everything,
    ids_claimed,
    run,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import Suite

UNFINISHED = [state for state in State if state not in FINISHED]
NOT_COMPLETED = [State.DEAD, State.CANCELLED]


def any_child(*after: str, **fields: Any) -> JobSpec:
    return spec("child", after=after, after_policy="any", **fields)


def problems(store: Store) -> list[str]:
    return [each.text for each in store.examine() if each.level is not Level.PASS]


class Ending(Suite):
    """``after_policy``, in whatever way the parents end, and what becomes of who waits."""

    @pytest.mark.parametrize("state", State)
    def test_a_child_of_any_end_is_blocked_while_its_parent_has_not_ended(
        self, store: Store, other: Store, state: State
    ) -> None:
        stored_in(store, state)
        child = store.enqueue(any_child("j"))
        assert child.after_policy == other.job("child").after_policy == "any"
        assert child.state is (State.PENDING if state in FINISHED else State.BLOCKED)
        assert problems(store) == []

    @pytest.mark.parametrize("outcome", ["completed", "dead", "cancelled"])
    def test_every_end_of_an_attempt_that_ends_the_job_starts_it(
        self, store: Store, clock: FakeClock, outcome: str
    ) -> None:
        store.enqueue_many([spec("j"), any_child("j")])
        claim = claimed(store)
        clock.advance(timedelta(seconds=1))
        ended(store, claim, OUTCOMES[outcome])
        child = store.job("child")
        assert (child.state, child.updated_at) == (State.PENDING, clock.now)
        assert ids_claimed(store) == ["child"]

    @pytest.mark.parametrize("outcome", ["retry", "released"])
    def test_an_end_of_an_attempt_that_leaves_the_job_to_do_does_not(
        self, store: Store, outcome: str
    ) -> None:
        store.enqueue_many([spec("j"), any_child("j")])
        run(store, OUTCOMES[outcome])
        assert state_of(store, "child") is State.BLOCKED

    @pytest.mark.parametrize("state", [State.PENDING, State.FAILED, State.BLOCKED])
    def test_a_parent_that_is_cancelled_while_it_waits_has_ended(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        store.enqueue(any_child("j"))
        store.enqueue(spec("needs", after=("j",)))
        store.cancel("j", by="a test")
        assert state_of(store, "child") is State.PENDING
        assert state_of(store, "needs") is State.BLOCKED

    def test_it_waits_for_the_end_of_every_parent(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("c"), any_child("a", "b", "c")])
        run(store, OUTCOMES["dead"])
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["cancelled"])
        assert state_of(store, "child") is State.PENDING

    def test_a_child_is_due_when_its_own_time_has_come(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue_many([spec("j"), any_child("j", delay=DAY)])
        run(store, OUTCOMES["dead"])
        assert state_of(store, "child") is State.PENDING
        assert ids_claimed(store) == []
        clock.advance(DAY)
        assert ids_claimed(store) == ["child"]

    def test_a_cancelled_child_frees_its_own_child(self, store: Store) -> None:
        store.enqueue_many([spec("j"), any_child("j")])
        store.enqueue(spec("grandchild", after=("child",), after_policy="any"))
        store.cancel("child", by="a test")
        assert state_of(store, "grandchild") is State.PENDING

    @pytest.mark.parametrize("state", FINISHED)
    def test_a_retried_parent_holds_a_child_again_that_was_not_started(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        store.enqueue(any_child("j"))
        store.retry("j")
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["dead"])
        assert state_of(store, "child") is State.PENDING

    def test_dead_letters_that_are_retried_together_hold_them_too(self, store: Store) -> None:
        stored_in(store, State.DEAD)
        store.enqueue(any_child("j"))
        assert store.retry_dead() == 1
        assert state_of(store, "child") is State.BLOCKED
        assert ids_claimed(store) == ["j"]

    @pytest.mark.parametrize("state", NOT_COMPLETED)
    def test_a_retried_parent_that_completes_frees_a_child_that_needs_its_success(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        store.enqueue(spec("child", after=("j",)))
        store.retry("j")
        run(store, OUTCOMES["completed"])
        assert ids_claimed(store) == ["child"]

    @pytest.mark.parametrize("parent", [state for state in State if state is not State.BLOCKED])
    def test_a_child_of_any_end_that_is_retried_waits_as_it_did_at_first(
        self, store: Store, parent: State
    ) -> None:
        stored_in(store, State.DEAD)
        store.enqueue(any_child("j", queue="children"))
        run(store, OUTCOMES["dead"], queues=["children"])
        self._bring(store, parent)
        expected = State.PENDING if parent in FINISHED else State.BLOCKED
        assert store.retry("child").state is expected

    @pytest.mark.parametrize("state", FINISHED)
    def test_a_purged_parent_holds_up_no_child_of_any_end(self, store: Store, state: State) -> None:
        job = stored_in(store, state)
        store.enqueue(spec("last"))
        store.enqueue(any_child("j", "last"))
        assert store.purge(JobFilter(states=(state,))) == (job.seq,)
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["dead"])
        assert state_of(store, "child") is State.PENDING
        run(store, OUTCOMES["dead"])
        assert store.retry("child").state is State.PENDING
        assert problems(store) == []

    @pytest.mark.parametrize("state", NOT_COMPLETED)
    def test_a_parent_is_not_purged_while_a_blocked_job_needs_its_success(
        self, store: Store, state: State
    ) -> None:
        job = stored_in(store, state)
        store.enqueue(spec("child", after=("j",)))
        assert store.purge(JobFilter()) == ()
        assert store.expire(state, older_than=timedelta(0)).seqs == ()
        store.cancel("child", by="a test")
        assert job.seq in store.purge(JobFilter())
        assert everything(store) == ((), ())

    @pytest.mark.parametrize("state", NOT_COMPLETED)
    def test_only_a_child_that_needs_success_is_called_hopeless(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        store.enqueue(spec("open", delay=DAY))
        store.enqueue(any_child("j", "open"))
        assert problems(store) == []
        store.enqueue(spec("needs", after=("j",)))
        (problem,) = problems(store)
        assert "needs" in problem
        assert "child" not in problem

    def test_mending_leaves_alone_who_waits_rightly(self, store: Store) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=state.value)
            store.enqueue(spec(f"{state}-any", after=(state.value,), after_policy="any"))
            store.enqueue(spec(f"{state}-all", after=(state.value,)))
        before = everything(store)
        assert store.mend() == ()
        assert everything(store) == before

    def _bring(self, store: Store, state: State) -> None:
        """Move on ``j``, which is dead."""
        if state is State.DEAD:
            return
        store.retry("j")
        if state is State.CANCELLED:
            store.cancel("j", by="a test")
        elif state is not State.PENDING:
            claim = claimed(store)
            if state is not State.PROCESSING:
                ended(store, claim, OUTCOMES["completed" if state is State.COMPLETED else "retry"])
        assert state_of(store) is state
