"""Conformance: cancelling jobs, pausing and limiting queues."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.errors import JobNotFound, QueueNotFound, SpecError, WrongState
from flam_store.state import FINISHED, AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    OUTCOMES,
    WORKER,
    claimed,
    ended,
    everything,
    ids_claimed,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import Suite

WAITING = (State.PENDING, State.BLOCKED, State.FAILED)
ENDS_OTHERWISE = ("retry", "dead", "released", "cancelled")


class Steering(Suite):
    """``cancel``, ``pause``, ``resume`` and ``limit``."""

    @pytest.mark.parametrize("state", WAITING)
    def test_a_waiting_job_is_cancelled_at_once(
        self, store: Store, other: Store, clock: FakeClock, state: State
    ) -> None:
        stored_in(store, state)
        job = store.cancel("j", by="somebody")
        assert job == other.job("j")
        assert (job.state, job.updated_at) == (State.CANCELLED, clock.now)
        everything(store)
        assert "j" not in ids_claimed(store)

    @pytest.mark.parametrize("state", sorted(FINISHED))
    def test_a_finished_job_cannot_be_cancelled(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(WrongState) as refused:
            store.cancel("j", by="somebody")
        assert (refused.value.job_id, refused.value.state) == ("j", state)
        assert everything(store) == before

    def test_an_unknown_job_cannot_be_cancelled(self, store: Store) -> None:
        with pytest.raises(JobNotFound):
            store.cancel("nobody", by="somebody")

    def test_the_worker_of_a_running_job_is_asked_to_end_it(
        self, store: Store, other: Store
    ) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        assert other.cancel("j", by="somebody").state is State.PROCESSING
        assert store.orders(WORKER).cancelled == {(claim.job.seq, claim.attempt)}
        assert store.renew(WORKER).cancelled == {(claim.job.seq, claim.attempt)}
        ended(store, claim, OUTCOMES["cancelled"])
        assert state_of(store, "j") is State.CANCELLED
        assert store.orders(WORKER).cancelled == frozenset()

    @pytest.mark.parametrize("outcome", ENDS_OTHERWISE)
    def test_a_job_that_was_to_be_cancelled_is_cancelled_however_it_fails(
        self, store: Store, outcome: str
    ) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store.cancel("j", by="somebody")
        assert ended(store, claim, OUTCOMES[outcome]).refused == ()
        job = store.job("j")
        assert (job.state, job.run_at) == (State.CANCELLED, claim.job.run_at)
        everything(store)
        assert ids_claimed(store) == []

    def test_a_crash_of_its_worker_does_not_revive_a_cancelled_job(self, store: Store) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store.cancel("j", by="somebody")
        ended(store, claim, CRASHED)
        assert state_of(store, "j") is State.CANCELLED
        (attempt,) = store.attempts("j")
        assert attempt.state is AttemptState.CRASHED

    def test_a_job_that_completes_all_the_same_is_completed(self, store: Store) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store.cancel("j", by="somebody")
        ended(store, claim, OUTCOMES["completed"])
        assert state_of(store, "j") is State.COMPLETED

    def test_the_next_attempt_of_a_cancelled_job_is_not_cancelled(self, store: Store) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store.cancel("j", by="somebody")
        ended(store, claim, OUTCOMES["cancelled"])
        store.retry("j")
        assert claimed(store).attempt == 2
        assert store.orders(WORKER).cancelled == frozenset()

    def test_a_child_of_a_cancelled_job_stays_blocked_until_it_is_retried_and_done(
        self, store: Store
    ) -> None:
        store.enqueue(spec("parent"))
        store.enqueue(spec("child", after=("parent",)))
        store.cancel("parent", by="somebody")
        assert (state_of(store, "child"), ids_claimed(store)) == (State.BLOCKED, [])
        store.retry("parent")
        ended(store, claimed(store), OUTCOMES["completed"])
        assert ids_claimed(store) == ["child"]

    def test_a_pause_is_told_with_who_and_why(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        info = store.pause("q", by="ann", note="disk is full")
        assert (info.name, info.paused_at, info.paused_by, info.note) == (
            "q", clock.now, "ann", "disk is full")  # fmt: skip
        assert other.overview().queues == (info,)

    def test_a_second_pause_keeps_the_time_of_the_first(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.pause("q", by="ann")
        clock.advance(timedelta(seconds=1))
        second = store.pause("q", by="bob")
        assert (second.paused_at, second.paused_by) == (first.paused_at, "bob")

    def test_the_end_of_a_pause_gives_the_jobs_back(self, store: Store, other: Store) -> None:
        store.enqueue(spec("j", queue="q"))
        store.pause("q", by="ann")
        assert ids_claimed(other) == []
        assert store.resume("q").paused_at is None
        assert ids_claimed(other) == ["j"]

    def test_a_queue_that_was_not_paused_can_be_resumed(self, store: Store) -> None:
        store.enqueue(spec("j", queue="q"))
        assert store.resume("q").name == "q"

    def test_a_queue_that_nobody_has_named_cannot_be_resumed(self, store: Store) -> None:
        with pytest.raises(QueueNotFound) as refused:
            store.resume("q")
        assert refused.value.queue == "q"

    def test_a_limit_holds_and_can_be_lifted(self, store: Store) -> None:
        for number in range(3):
            store.enqueue(spec(f"j{number}", queue="q"))
        assert store.limit("q", 2).concurrency == 2
        assert ids_claimed(store) == ["j0", "j1"]
        assert store.limit("q", None).concurrency is None
        assert ids_claimed(store) == ["j2"]

    def test_a_limit_and_a_pause_leave_each_other_alone(self, store: Store) -> None:
        store.limit("q", 2)
        assert store.pause("q", by="ann").concurrency == 2
        assert store.limit("q", 3).paused_by == "ann"
        assert store.resume("q").concurrency == 3

    @pytest.mark.parametrize("wrong", [0, -1, True, 1.5, 2**31, "2"])
    def test_a_limit_is_a_positive_integer(self, store: Store, wrong: int) -> None:
        with pytest.raises(SpecError, match="concurrency"):
            store.limit("q", wrong)
        assert store.overview().queues == ()

    @pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 201])
    def test_a_queue_has_a_valid_name(self, store: Store, name: str) -> None:
        with pytest.raises(SpecError, match="queue"):
            store.pause(name, by="ann")
        with pytest.raises(SpecError, match="queue"):
            store.resume(name)
        with pytest.raises(SpecError, match="queue"):
            store.limit(name, 1)
        assert store.overview().queues == ()
