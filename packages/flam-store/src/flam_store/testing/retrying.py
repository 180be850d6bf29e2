"""Conformance: running a job again that has ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.errors import JobNotFound, KeyTaken, WrongState
from flam_store.state import RETRYABLE, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
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

ENDED = (State.DEAD, State.CANCELLED, State.COMPLETED)
NOT_RETRYABLE = [state for state in State if state not in RETRYABLE]
NOT_DEAD = [state for state in State if state is not State.DEAD]


class Retrying(Suite):
    """``retry``, ``retry_dead_letter`` and ``retry_dead``."""

    @pytest.mark.parametrize("state", ENDED)
    def test_an_ended_job_becomes_pending_with_no_attempts(
        self, store: Store, other: Store, clock: FakeClock, state: State
    ) -> None:
        stored_in(store, state)
        clock.advance(timedelta(seconds=1))
        job = store.retry("j")
        assert job == other.job("j")
        assert (job.state, job.attempts, job.attempt) == (State.PENDING, 0, 1)
        assert (job.run_at, job.updated_at) == (clock.now, clock.now)
        assert (job.exit_code, job.error) == (None, None)
        everything(store)
        assert claimed(other).attempt == 2

    def test_a_failed_job_becomes_due_and_keeps_its_attempts(
        self, store: Store, clock: FakeClock
    ) -> None:
        stored_in(store, State.FAILED)
        job = store.retry("j")
        assert (job.state, job.attempts, job.run_at) == (State.FAILED, 1, clock.now)
        claim = claimed(store)
        assert (claim.attempt, claim.job.attempts) == (2, 2)

    @pytest.mark.parametrize("state", NOT_RETRYABLE)
    def test_a_job_that_has_not_ended_is_refused(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(WrongState) as caught:
            store.retry("j")
        assert (caught.value.job_id, caught.value.state) == ("j", state)
        assert set(caught.value.allowed) == set(RETRYABLE)
        assert everything(store) == before

    @pytest.mark.parametrize("state", NOT_DEAD)
    def test_a_retry_of_dead_letters_takes_nothing_else(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(WrongState) as caught:
            store.retry_dead_letter("j")
        assert caught.value.allowed == (State.DEAD,)
        assert everything(store) == before

    def test_a_retry_of_a_dead_letter_takes_it(self, store: Store) -> None:
        stored_in(store, State.DEAD)
        assert store.retry_dead_letter("j").state is State.PENDING

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(JobNotFound) as caught:
            store.retry("nobody")
        assert caught.value.job_id == "nobody"

    def test_the_number_of_an_attempt_is_never_used_again(self, store: Store) -> None:
        store.enqueue(spec("j"))
        for number, outcome in enumerate(("dead", "released", "completed", "cancelled"), 1):
            assert run(store, OUTCOMES[outcome]).attempt == number
            if outcome != "released":
                store.retry("j")
        assert [attempt.attempt for attempt in store.attempts("j")] == [1, 2, 3, 4]
        assert store.job("j").attempts == 0

    @pytest.mark.parametrize("state", ENDED)
    def test_a_job_whose_unique_key_is_held_is_refused(self, store: Store, state: State) -> None:
        stored_in(store, state, unique_key="k")
        store.enqueue(spec("holder", unique_key="k"))
        before = everything(store)
        with pytest.raises(KeyTaken) as caught:
            store.retry("j")
        assert caught.value.holder == "holder"
        assert everything(store) == before

    def test_a_failed_job_holds_its_own_key(self, store: Store) -> None:
        stored_in(store, State.FAILED, unique_key="k")
        assert store.retry("j").state is State.FAILED

    def test_a_child_is_blocked_again_while_its_parent_is_not_completed(self, store: Store) -> None:
        store.enqueue_many([spec("parent", priority=1), spec("j", after=("parent",))])
        run(store, OUTCOMES["completed"])
        run(store, OUTCOMES["dead"])
        store.retry("parent")
        assert store.retry("j").state is State.BLOCKED
        run(store, OUTCOMES["completed"])
        assert state_of(store) is State.PENDING

    def test_a_result_from_before_the_retry_is_refused(self, store: Store) -> None:
        store.enqueue(spec("j"))
        first = run(store, CRASHED)
        run(store, OUTCOMES["dead"])
        store.retry("j")
        claimed(store)
        before = everything(store)[0]
        assert len(ended(store, first, OUTCOMES["dead"]).refused) == 1
        assert everything(store)[0] == before

    def test_dead_letters_are_revived_oldest_first_and_in_portions(self, store: Store) -> None:
        for n in range(5):
            stored_in(store, State.DEAD, f"j{n}")
        stored_in(store, State.CANCELLED, "not-dead")
        assert store.retry_dead(limit=2) == 2
        everything(store)
        assert ids_claimed(store) == ["j0", "j1"]
        assert [store.retry_dead(limit=2) for _ in range(3)] == [2, 1, 0]
        assert ids_claimed(store) == ["j2", "j3", "j4"]

    def test_of_dead_letters_with_one_key_the_oldest_is_revived(self, store: Store) -> None:
        for n in range(3):
            stored_in(store, State.DEAD, f"j{n}", unique_key="k")
        stored_in(store, State.DEAD, "free")
        assert store.retry_dead(limit=3) == 2
        assert store.retry_dead(limit=3) == 0
        assert ids_claimed(store) == ["j0", "free"]
        everything(store)

    def test_a_dead_letter_whose_key_is_held_stays_dead(self, store: Store) -> None:
        stored_in(store, State.DEAD, unique_key="k")
        store.enqueue(spec("holder", unique_key="k"))
        assert store.retry_dead() == 0
        assert state_of(store) is State.DEAD

    def test_a_revived_child_is_blocked_while_its_parent_is_not_completed(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("parent", priority=1), spec("j", after=("parent",))])
        run(store, OUTCOMES["completed"])
        run(store, OUTCOMES["dead"])
        store.retry("parent")
        assert store.retry_dead() == 1
        assert state_of(store) is State.BLOCKED

    def test_what_has_not_started_waits_again_for_a_parent_that_is_retried(
        self, store: Store
    ) -> None:
        store.enqueue(spec("parent"))
        run(store, OUTCOMES["completed"])
        store.enqueue(spec("child", after=("parent",)))
        assert state_of(store, "child") is State.PENDING
        store.retry("parent")
        assert state_of(store, "child") is State.BLOCKED
        assert ids_claimed(store) == ["parent"]

    def test_an_old_failure_is_not_told_of_a_job_that_was_retried_and_cancelled(
        self, store: Store
    ) -> None:
        stored_in(store, State.DEAD)
        store.retry("j")
        job = store.cancel("j", by="a test")
        assert (job.state, job.exit_code, job.error) == (State.CANCELLED, None, None)
