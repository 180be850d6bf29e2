"""Conformance: what an outcome does, and whose outcome counts."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from flam_store.job import Attempt, Claim
from flam_store.outcome import Completed, Dead, Result, Retry, When
from flam_store.state import AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    OUTCOMES,
    RETRY_DELAY,
    WORKER,
    claimed,
    ended,
    everything,
    failure,
    result,
    run,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import Suite

AFTER = {
    "completed": (State.COMPLETED, AttemptState.COMPLETED, 1),
    "retry": (State.FAILED, AttemptState.FAILED, 1),
    "dead": (State.DEAD, AttemptState.FAILED, 1),
    "cancelled": (State.CANCELLED, AttemptState.CANCELLED, 1),
    "released": (State.PENDING, AttemptState.RELEASED, 0),
}
each_outcome = pytest.mark.parametrize("name", OUTCOMES)


class Finishing(Suite):
    """The results of ``finish``."""

    @each_outcome
    def test_an_outcome_moves_the_job_and_ends_its_attempt(
        self, store: Store, other: Store, clock: FakeClock, name: str
    ) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        clock.advance(timedelta(seconds=2))
        given = attrs.evolve(result(claim, OUTCOMES[name]), output_bytes=12)
        assert other.finish([given], worker_id=WORKER).refused == ()
        job, (attempt,) = store.job("j"), store.attempts("j")
        assert (job.state, attempt.state, job.attempts) == AFTER[name]
        assert (job.attempt, attempt.attempt, attempt.output_bytes) == (1, 1, 12)
        assert job.updated_at == attempt.finished_at == clock.now
        assert store.running() == ()
        everything(store)

    @each_outcome
    def test_an_attempt_that_is_reported_late_has_its_own_times(
        self, store: Store, clock: FakeClock, name: str
    ) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        claimed_at = clock.now
        clock.advance(timedelta(seconds=9))
        when = When(began_ago=timedelta(seconds=5), ended_ago=timedelta(seconds=2))
        store.finish([attrs.evolve(result(claim, OUTCOMES[name]), when=when)], worker_id=WORKER)
        (attempt,) = store.attempts("j")
        assert attempt.started_at == claimed_at + timedelta(seconds=4)
        assert attempt.finished_at == claimed_at + timedelta(seconds=7)
        assert store.job("j").updated_at == clock.now
        everything(store)

    def test_no_attempt_began_before_it_was_claimed_nor_ended_later_than_now(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        claimed_at = clock.now
        clock.advance(timedelta(seconds=1))
        when = When(began_ago=timedelta(days=1), ended_ago=timedelta(seconds=-3))
        store.finish([attrs.evolve(result(claim, Completed()), when=when)], worker_id=WORKER)
        (attempt,) = store.attempts("j")
        assert (attempt.started_at, attempt.finished_at) == (claimed_at, clock.now)

    @each_outcome
    def test_a_job_tells_of_its_latest_attempt_where_its_state_rests_on_it(
        self, store: Store, name: str
    ) -> None:
        store.enqueue(spec("j"))
        run(store, OUTCOMES[name])
        job = store.job("j")
        told = {"completed": (0, None), "retry": (1, "exit code 1"), "dead": (1, "exit code 1")}
        assert (job.exit_code, job.error) == told.get(name, (None, None))

    @pytest.mark.parametrize(
        "state", [AttemptState.FAILED, AttemptState.TIMEOUT, AttemptState.CRASHED]
    )
    def test_an_attempt_keeps_how_it_failed(self, store: Store, state: AttemptState) -> None:
        store.enqueue(spec("j"))
        given = attrs.evolve(failure(state), cause="SIGKILL", exit_code=None, signal="SIGKILL")
        run(store, Dead(failure=given))
        (attempt,) = store.attempts("j")
        assert (attempt.state, attempt.cause, attempt.error) == (state, "SIGKILL", "exit code 1")
        assert (attempt.exit_code, attempt.signal) == (None, "SIGKILL")

    def test_a_retry_is_due_after_its_delay(self, store: Store, clock: FakeClock) -> None:
        store.enqueue(spec("j"))
        run(store, OUTCOMES["retry"])
        assert store.job("j").run_at == clock.now + RETRY_DELAY
        clock.advance(RETRY_DELAY - timedelta(milliseconds=1))
        assert store.finish((), worker_id=WORKER, want=1).claims == ()
        clock.advance(timedelta(milliseconds=1))
        assert claimed(store).attempt == 2

    def test_a_retry_without_a_delay_is_due_at_once(self, store: Store) -> None:
        store.enqueue(spec("j"))
        run(store, Retry(failure=failure(), delay=timedelta(0)))
        assert claimed(store).job.attempts == 2

    def test_a_released_job_keeps_its_place(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b")])
        run(store, OUTCOMES["released"])
        again = claimed(store)
        assert (again.job.id, again.job.attempts, again.attempt) == ("a", 1, 2)

    @each_outcome
    def test_only_completion_unblocks_children(self, store: Store, name: str) -> None:
        store.enqueue_many([spec("j"), spec("child", after=("j",))])
        run(store, OUTCOMES[name])
        expected = State.PENDING if name == "completed" else State.BLOCKED
        assert state_of(store, "child") is expected

    def test_several_results_are_one_step(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(5))
        held = [claimed(store) for _ in OUTCOMES]
        results = [result(claim, outcome)
                   for claim, outcome in zip(held, OUTCOMES.values(), strict=True)]  # fmt: skip
        assert store.finish(results, worker_id=WORKER).refused == ()
        assert [job.state for job in reversed(everything(store)[0])] == [
            state for state, _, _ in AFTER.values()
        ]


class Fencing(Suite):
    """A result counts only while its attempt holds its job."""

    @each_outcome
    @pytest.mark.parametrize("state", State)
    def test_a_late_result_changes_nothing_whatever_the_job_is_now(
        self, store: Store, clock: FakeClock, state: State, name: str
    ) -> None:
        late = self._lost_attempt(store)
        self._bring_into(store, state)
        before = everything(store)
        clock.advance(timedelta(seconds=1))
        given = result(late, OUTCOMES[name])
        assert store.finish([given], worker_id="late").refused == (given,)
        jobs, attempts = everything(store)
        # The job tells its latest attempt's error, and with it that attempt's note.
        assert [attrs.evolve(job, error=None) for job in jobs] == [
            attrs.evolve(job, error=None) for job in before[0]
        ]
        assert [attempt for attempt in attempts if not is_of(attempt, late)] == [
            attempt for attempt in before[1] if not is_of(attempt, late)
        ]
        (noted,) = (attempt for attempt in attempts if is_of(attempt, late))
        assert noted.state is AttemptState.CRASHED
        assert "reported later" in str(noted.error)

    def test_the_same_late_result_is_noted_once(self, store: Store) -> None:
        late = self._lost_attempt(store)
        ended(store, late, OUTCOMES["completed"])
        before = everything(store)
        ended(store, late, OUTCOMES["completed"])
        assert everything(store) == before

    @each_outcome
    def test_the_second_of_two_results_is_refused(self, store: Store, name: str) -> None:
        store.enqueue_many([spec("j"), spec("child", after=("j",))])
        claim = claimed(store)
        ended(store, claim, Completed())
        before = everything(store)
        second = result(claim, OUTCOMES[name])
        assert store.finish([second], worker_id=WORKER).refused == (second,)
        assert everything(store) == before

    def test_a_refused_result_stops_neither_the_others_nor_the_claim(self, store: Store) -> None:
        late = self._lost_attempt(store)
        store.enqueue_many([spec("good"), spec("next")])
        claimed(store)
        good = claimed(store)
        given = [result(late, Completed()), result(good, Completed())]
        turn = store.finish(given, worker_id=WORKER, want=1)
        assert turn.refused == (given[0],)
        assert [claim.job.id for claim in turn.claims] == ["next"]
        assert state_of(store, "good") is State.COMPLETED

    @pytest.mark.parametrize("fence", [(1, 0), (1, 2), (2, 1), (-1, 1)])
    def test_a_result_of_an_attempt_that_never_was_is_refused(
        self, store: Store, fence: tuple[int, int]
    ) -> None:
        first = stored_in(store, State.PROCESSING)
        before = everything(store)
        given = Result(
            seq=first.seq + fence[0] - 1, attempt=fence[1], outcome=OUTCOMES["completed"]
        )
        assert store.finish([given], worker_id=WORKER).refused == (given,)
        assert everything(store) == before

    def _lost_attempt(self, store: Store) -> Claim:
        store.enqueue(spec("parent", queue="parents"))
        run(store, OUTCOMES["completed"])
        store.enqueue(spec("j", after=("parent",)))
        late = claimed(store, worker_id="late")
        ended(store, late, CRASHED)
        return late

    def _bring_into(self, store: Store, state: State) -> None:
        """Move on the job, which failed and is due."""
        if state is State.FAILED:
            return
        now = claimed(store)
        outcomes = {
            State.PENDING: OUTCOMES["released"],
            State.COMPLETED: OUTCOMES["completed"],
            State.DEAD: OUTCOMES["dead"],
            State.CANCELLED: OUTCOMES["cancelled"],
            State.BLOCKED: OUTCOMES["dead"],
        }
        if state is not State.PROCESSING:
            ended(store, now, outcomes[state])
        if state is State.BLOCKED:
            store.retry("parent")
            store.retry("j")
        assert state_of(store) is state


def is_of(attempt: Attempt, claim: Claim) -> bool:
    return (attempt.seq, attempt.attempt) == (claim.job.seq, claim.attempt)
