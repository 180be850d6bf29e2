"""Conformance: which jobs are claimed, and in which order."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from flam_store.state import AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    DAY,
    OUTCOMES,
    RETRY_DELAY,
    WORKER,
    claimed,
    claims,
    ended,
    everything,
    ids_claimed,
    registration,
    result,
    run,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import SetQueue, Suite


class Claiming(Suite):
    """The claims of ``finish``."""

    @pytest.mark.parametrize("state", State)
    def test_only_a_pending_or_failed_job_is_claimed_when_it_is_due(
        self, store: Store, clock: FakeClock, state: State
    ) -> None:
        stored_in(store, state)
        clock.advance(RETRY_DELAY)
        expected = ["j"] if state in (State.PENDING, State.FAILED) else []
        assert ids_claimed(store) == expected

    def test_a_claim_is_an_attempt_that_runs(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        stored = store.enqueue(spec("j", delay=timedelta(seconds=1)))
        clock.advance(timedelta(seconds=3))
        claim = claimed(store)
        job = other.job("j")
        assert claim.job == job
        assert (job.state, job.attempts, job.attempt) == (State.PROCESSING, 1, 1)
        assert (job.updated_at, job.run_at) == (clock.now, stored.run_at)
        (attempt,) = other.attempts("j")
        assert other.running() == (claim,)
        assert (attempt.seq, attempt.attempt) == (job.seq, claim.attempt)
        assert (attempt.state, attempt.worker) == (AttemptState.RUNNING, WORKER)
        assert (attempt.started_at, attempt.finished_at) == (clock.now, None)

    @pytest.mark.parametrize("seed", range(8))
    @pytest.mark.parametrize("queues", [None, ("q0", "q2", "nowhere", "q3")])
    def test_many_at_once_are_those_that_would_be_claimed_one_by_one(
        self, store: Store, seed: int, queues: tuple[str, ...] | None
    ) -> None:
        chance = random.Random(seed)
        store.limit("q0", chance.randint(1, 4))
        store.limit("q1", 1)
        store.pause("q3", by="test")
        store.enqueue_many(
            spec(f"j{n}", queue=f"q{chance.randrange(5)}", priority=chance.randrange(3))
            for n in range(40)
        )
        at_once = claims(store, 25, queues=queues)
        jobs = {claim.job.id for claim in at_once}
        store.finish([result(claim, OUTCOMES["released"]) for claim in at_once], worker_id=WORKER)
        one_by_one = [each for _ in range(25) for each in ids_claimed(store, 1, queues=queues)]
        assert [claim.job.id for claim in at_once] == one_by_one
        assert len(jobs) == len(at_once) > 5
        everything(store)

    def test_the_highest_priority_is_first_and_then_who_came_first(self, store: Store) -> None:
        priorities = [0, 5, -3, 5, 0, 2**31 - 1, -(2**31)]
        store.enqueue_many(
            spec(f"j{n}", priority=priority, queue=f"q{n % 3}")
            for n, priority in enumerate(priorities)
        )
        assert ids_claimed(store) == ["j5", "j1", "j3", "j0", "j4", "j2", "j6"]

    def test_a_job_waits_for_its_time_and_then_takes_its_place(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("later", delay=timedelta(seconds=2), priority=1))
        store.enqueue(spec("now"))
        store.enqueue(spec("next"))
        assert claimed(store).job.id == "now"
        clock.advance(timedelta(seconds=2) - timedelta(milliseconds=1))
        assert store.overview().oldest_due_at == store.job("next").run_at
        clock.advance(timedelta(milliseconds=1))
        assert ids_claimed(store) == ["later", "next"]

    def test_two_sessions_never_claim_the_same_job(self, store: Store, other: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(10))
        turns = [claimed(session, worker_id=name).job.id
                 for _ in range(5) for session, name in ((store, "a"), (other, "b"))]  # fmt: skip
        assert turns == [f"j{n}" for n in range(10)]
        assert claims(store) == ()

    def test_only_the_queues_asked_for_are_served(self, store: Store) -> None:
        store.enqueue_many(spec(queue, queue=queue) for queue in ("a", "b", "c"))
        assert ids_claimed(store, queues=[]) == []
        assert ids_claimed(store, queues=["d"]) == []
        assert ids_claimed(store, queues=["c", "a", "d", "c", "a"]) == ["a", "c"]
        assert ids_claimed(store) == ["b"]

    def test_no_more_is_claimed_than_wanted(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(5))
        assert ids_claimed(store, want=0) == []
        assert ids_claimed(store, want=2) == ["j0", "j1"]

    def test_an_unregistered_worker_gets_nothing_but_its_results_count(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b")])
        claim = claimed(store)
        turn = store.finish([result(claim, OUTCOMES["completed"])], worker_id="nobody", want=1)
        assert (turn.claims, turn.refused) == ((), ())
        assert (state_of(store, "a"), state_of(store, "b")) == (State.COMPLETED, State.PENDING)

    def test_a_forgotten_worker_gets_nothing(self, store: Store) -> None:
        store.enqueue(spec("j"))
        store.register(registration())
        store.forget(WORKER)
        assert store.finish((), worker_id=WORKER, want=1).claims == ()

    def test_finishing_and_claiming_are_one_step(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("child", after=("a",))])
        claim = claimed(store)
        turn = store.finish([result(claim, OUTCOMES["completed"])], worker_id=WORKER, want=1)
        assert [each.job.id for each in turn.claims] == ["child"]
        assert everything(store)[0][0].state is State.PROCESSING

    def test_a_paused_queue_gives_no_jobs(self, store: Store, set_queue: SetQueue) -> None:
        store.enqueue_many([spec("a", queue="p", priority=9), spec("b")])
        set_queue("p", paused=True)
        assert ids_claimed(store) == ["b"]
        set_queue("p", paused=False)
        assert ids_claimed(store) == ["a"]

    def test_a_limit_counts_the_running_jobs_of_all_workers(
        self, store: Store, other: Store, set_queue: SetQueue
    ) -> None:
        set_queue("p", limit=2)
        store.enqueue_many([*(spec(f"p{n}", queue="p", priority=1) for n in range(4)), spec("d")])
        first = claimed(store, worker_id="a")
        assert ids_claimed(other, worker_id="b") == ["p1", "d"]
        assert ids_claimed(store, worker_id="a") == []
        ended(store, first, OUTCOMES["retry"])
        assert ids_claimed(other, worker_id="b") == ["p2"]

    def test_the_answer_tells_when_the_next_job_is_due(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.register(registration())
        assert store.finish((), worker_id=WORKER, want=1).next_due_in is None
        store.enqueue_many([spec("far", delay=DAY), spec("near", delay=timedelta(seconds=9))])
        clock.advance(timedelta(seconds=1))
        assert store.finish((), worker_id=WORKER, want=1).next_due_in == timedelta(seconds=8)

    def test_a_blocked_job_is_not_waiting_for_a_time(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("child", after=("a",), delay=DAY)])
        claimed(store)
        assert store.finish((), worker_id=WORKER, want=1).next_due_in is None

    def test_a_clock_set_back_delays_nothing_that_was_due(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("j"))
        clock.advance(-DAY)
        claim = run(store, OUTCOMES["completed"])
        assert claim.job.id == "j"
