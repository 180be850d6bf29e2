"""Conformance: a job's relatives, and all that decides when it runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.errors import JobNotFound
from flam_store.job import JobFilter
from flam_store.relatives import MOST_COUNTED, Relative, Relatives
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    OUTCOMES,
    WORKER,
    claimed,
    claims,
    ended,
    registration,
    run,
    spec,
    stored_in,
)
from flam_store.testing.suite import Suite


class Kinship(Suite):
    """``relatives``."""

    def test_a_job_alone_has_none(self, store: Store) -> None:
        store.enqueue(spec("j"))
        assert store.relatives("j") == Relatives()

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(JobNotFound):
            store.relatives("nobody")

    def test_parents_and_children_have_their_states(self, store: Store) -> None:
        store.enqueue_many(
            [spec("p"), spec("j", after=("p",)), spec("c", after=("j",)), spec("d", after=("j",))]
        )
        found = store.relatives("j")
        assert found.parents == (Relative(id="p", state=State.PENDING),)
        assert found.children == (
            Relative(id="c", state=State.BLOCKED),
            Relative(id="d", state=State.BLOCKED),
        )
        assert store.relatives("p").children == (Relative(id="j", state=State.BLOCKED),)

    def test_those_that_hold_it_up_come_first(self, store: Store) -> None:
        for state in (State.COMPLETED, State.CANCELLED, State.DEAD):
            stored_in(store, state, str(state))
        store.enqueue(spec("waits", delay=timedelta(days=1)))
        store.enqueue(spec("j", after=("completed", "waits", "dead", "cancelled")))
        parents = [each.id for each in store.relatives("j").parents]
        assert set(parents[:2]) == {"dead", "cancelled"}
        assert parents[2:] == ["waits", "completed"]

    def test_a_deleted_parent_is_named_unless_it_was_completed(self, store: Store) -> None:
        stored_in(store, State.COMPLETED, "done")
        stored_in(store, State.DEAD, "dead")
        store.enqueue(spec("j", after=("done", "dead")))
        store.cancel("j", by="a test")
        store.purge(JobFilter(states=(State.COMPLETED, State.DEAD)))
        assert store.relatives("j").parents == (Relative(id="dead", state=None),)

    def test_more_than_asked_for_are_counted(self, store: Store) -> None:
        store.enqueue_many(spec(f"p{n}") for n in range(5))
        store.enqueue(spec("j", after=tuple(f"p{n}" for n in range(5))))
        store.enqueue_many(spec(f"c{n}", after=("j",)) for n in range(4))
        found = store.relatives("j", limit=2)
        assert (len(found.parents), found.more_parents) == (2, 3)
        assert (len(found.children), found.more_children) == (2, 2)

    def test_they_are_counted_up_to_a_bound(self, store: Store) -> None:
        store.enqueue(spec("j"))
        store.enqueue_many(spec(f"c{n}", after=("j",)) for n in range(MOST_COUNTED + 50))
        assert store.relatives("j", limit=10).more_children == MOST_COUNTED


class Standings(Suite):
    """``standing``."""

    def test_an_unknown_job_is_not_found(self, store: Store) -> None:
        with pytest.raises(JobNotFound):
            store.standing("nobody")

    @pytest.mark.parametrize("state", State)
    def test_it_tells_of_a_job_in_any_state(
        self, store: Store, clock: FakeClock, state: State
    ) -> None:
        stored_in(store, state)
        found = store.standing("j")
        attempts = store.attempts("j")
        assert (found.job, found.at) == (store.job("j"), clock.now)
        assert found.latest == (attempts[-1] if attempts else None)
        assert found.relatives == store.relatives("j")
        assert found.workers == store.workers()

    def test_it_tells_of_the_queue_and_what_runs_there(self, store: Store) -> None:
        store.enqueue_many(spec(f"m{n}", queue="mail") for n in range(9))
        store.enqueue(spec("other"))
        claims(store, 8)
        store.limit("mail", 8)
        store.pause("mail", by="ann", note="why")
        found = store.standing("m8")
        assert (found.queue.name, found.queue.concurrency) == ("mail", 8)
        assert (found.queue.paused_by, found.queue.note) == ("ann", "why")
        assert found.queue.counts[State.PROCESSING] == 8
        assert found.running == ("m0", "m1", "m2", "m3", "m4")
        assert store.standing("other").running == ()

    def test_the_latest_attempt_is_told(self, store: Store) -> None:
        store.enqueue(spec("j"))
        for _ in range(2):
            run(store, OUTCOMES["released"])
        claimed(store)
        latest = store.standing("j").latest
        assert latest is not None
        assert (latest.attempt, latest.worker) == (3, WORKER)

    def test_jobs_ahead_are_those_that_would_be_claimed_before_it(self, store: Store) -> None:
        store.enqueue_many(
            [
                *(spec(f"first{n}") for n in range(3)),
                spec("j"),
                spec("behind"),
                spec("urgent", priority=1),
                spec("low", priority=-1),
                spec("later", priority=5, delay=timedelta(days=1)),
                spec("elsewhere", queue="other", priority=9),
            ]
        )
        assert store.standing("j").ahead == 4
        assert store.standing("urgent").ahead == 0
        assert store.standing("low").ahead == 6
        assert store.standing("later").ahead == 0

    def test_jobs_ahead_are_counted_up_to_a_bound(self, store: Store) -> None:
        store.enqueue_many(spec(f"a{n}") for n in range(MOST_COUNTED + 50))
        store.enqueue(spec("j"))
        assert store.standing("j").ahead == MOST_COUNTED

    def test_workers_are_told_as_they_are_registered(self, store: Store) -> None:
        store.enqueue(spec("j"))
        store.register(registration(queues=("mail",)))
        claim = claimed(store)
        ended(store, claim, OUTCOMES["released"])
        (worker,) = store.standing("j").workers
        assert worker.id == WORKER
