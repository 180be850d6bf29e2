"""Conformance: when a worker that drains the queue may go."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, OUTCOMES, claimed, registration, run, spec, stored_in
from flam_store.testing.suite import SetQueue, Suite


def drained(store: Store, queues: Collection[str] | None = None) -> bool:
    """Whether a worker that is idle and asks for a job is told that all is done."""
    store.register(registration("idle"))
    turn = store.finish((), worker_id="idle", want=1, queues=queues)
    assert turn.claims == ()
    return turn.drained


class Draining(Suite):
    """``Turn.drained``: nothing is running, due, or on its way to a retry."""

    @pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
    def test_running_jobs_and_retries_on_their_way_hold_it_up(
        self, store: Store, other: Store, state: State
    ) -> None:
        stored_in(store, state)
        assert drained(other) is (state not in (State.PROCESSING, State.FAILED))

    def test_an_empty_queue_is_drained(self, store: Store) -> None:
        assert drained(store)

    def test_a_job_that_waits_for_its_producers_time_does_not_hold_it_up(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("a", delay=DAY))
        store.enqueue(spec("b", run_at=clock.now + DAY))
        assert drained(store)

    def test_a_due_job_that_a_limit_holds_back_holds_it_up(
        self, store: Store, set_queue: SetQueue
    ) -> None:
        set_queue("q", limit=1)
        store.enqueue_many([spec("a", queue="q"), spec("b", queue="q")])
        claimed(store)
        assert not drained(store)

    def test_a_job_of_a_paused_queue_does_not_hold_it_up(
        self, store: Store, set_queue: SetQueue
    ) -> None:
        stored_in(store, State.FAILED, "failed", queue="q")
        stored_in(store, State.PENDING, "due", queue="q")
        set_queue("q", paused=True)
        assert drained(store)

    def test_a_running_job_of_a_paused_queue_holds_it_up(
        self, store: Store, set_queue: SetQueue
    ) -> None:
        stored_in(store, State.PROCESSING, queue="q")
        set_queue("q", paused=True)
        assert not drained(store)

    def test_a_child_of_a_dead_parent_does_not_hold_it_up(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("child", after=("a",))])
        run(store, OUTCOMES["dead"])
        assert drained(store)

    def test_only_the_queues_that_are_served_count(self, store: Store) -> None:
        stored_in(store, State.PROCESSING, "running", queue="q")
        stored_in(store, State.FAILED, "failed", queue="r")
        assert drained(store, ["other"])
        assert not drained(store, ["other", "q"])
        assert not drained(store, ["other", "r"])

    def test_a_worker_that_got_a_job_is_not_told_that_all_is_done(self, store: Store) -> None:
        store.enqueue(spec("j"))
        store.register(registration())
        turn = store.finish((), worker_id="worker-1", want=5)
        assert len(turn.claims) == 1
        assert not turn.drained
