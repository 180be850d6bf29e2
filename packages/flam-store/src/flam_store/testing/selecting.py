"""Conformance: cancelling and retrying many jobs, stretch by stretch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flam_store.job import JobFilter
from flam_store.selection import Selection, Sweep
from flam_store.state import FINISHED, RETRYABLE, State
from flam_store.store import Store
from flam_store.testing.given import (
    OUTCOMES,
    WORKER,
    claimed,
    ended,
    everything,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import Suite


def chosen(store: Store, **which: object) -> Selection:
    """All jobs that match now."""
    return Selection(which=JobFilter(**which), below=store.ledger(1, 0).given + 1)  # type: ignore[arg-type]


def swept(verb: Callable[[Selection], Sweep], selection: Selection) -> list[Sweep]:
    """The answers of the verb until nothing is left."""
    sweeps = [verb(selection)]
    while rest := sweeps[-1].rest:
        sweeps.append(verb(rest))
    return sweeps


def one_of_each(store: Store) -> dict[State, str]:
    for state in State:
        if state is not State.PROCESSING:
            stored_in(store, state, f"j-{state}", queue=str(state), labels={"k": str(state)})
    stored_in(store, State.PROCESSING, "j-processing", queue="processing")
    return {state: f"j-{state}" for state in State}


class Selecting(Suite):
    """``cancel_selected`` and ``retry_selected``."""

    def test_all_that_is_not_finished_is_cancelled(self, store: Store) -> None:
        ids = one_of_each(store)
        running = store.job(ids[State.PROCESSING])
        (sweep,) = swept(lambda s: store.cancel_selected(s, by="me"), chosen(store))
        assert (sweep.done, sweep.running, sweep.kept) == (4, ("j-processing",), 0)
        assert store.orders(WORKER).cancelled == {(running.seq, running.attempt)}
        for state, job_id in ids.items():
            expected = state if state in (*FINISHED, State.PROCESSING) else State.CANCELLED
            assert state_of(store, job_id) is expected
        everything(store)

    @pytest.mark.parametrize("state", State)
    def test_only_jobs_in_the_states_that_are_named_are_cancelled(
        self, store: Store, state: State
    ) -> None:
        ids = one_of_each(store)
        before = {job_id: store.job(job_id) for other, job_id in ids.items() if other != state}
        swept(lambda s: store.cancel_selected(s, by="me"), chosen(store, states=(state,)))
        assert {job_id: store.job(job_id) for job_id in before} == before
        if state in FINISHED:
            assert state_of(store, ids[state]) is state

    def test_a_queue_and_labels_narrow_it(self, store: Store) -> None:
        store.enqueue_many(
            spec(f"{queue}{n}", queue=queue, labels={"n": str(n)}) for queue in "ab" for n in (1, 2)
        )
        store.cancel_selected(chosen(store, queue="a", labels={"n": "1"}), by="me")
        cancelled = store.jobs(JobFilter(states=(State.CANCELLED,))).jobs
        assert [job.id for job in cancelled] == ["a1"]

    @pytest.mark.parametrize("limit", [1, 3, 7, 50])
    def test_stretches_make_a_whole(self, store: Store, limit: int) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(7))
        sweeps = swept(lambda s: store.cancel_selected(s, by="me", limit=limit), chosen(store))
        assert sum(each.done for each in sweeps) == 7
        assert len(sweeps) == -(-7 // limit)
        everything(store)

    def test_jobs_that_come_later_are_not_meant(self, store: Store, other: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(4))
        selection = chosen(store)
        other.enqueue(spec("late"))
        first = store.cancel_selected(selection, by="me", limit=2)
        other.enqueue(spec("later"))
        assert first.rest is not None
        store.cancel_selected(first.rest, by="me", limit=10)
        assert (state_of(store, "late"), state_of(store, "later")) == (State.PENDING, State.PENDING)
        assert store.overview().counts[State.CANCELLED] == 4

    def test_a_purge_of_what_was_done_does_not_stop_it(self, store: Store, other: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(4))
        first = store.cancel_selected(chosen(store), by="me", limit=2)
        other.purge(JobFilter(states=(State.CANCELLED,)))
        assert first.rest is not None
        assert store.cancel_selected(first.rest, by="me", limit=2) == Sweep(done=2)

    def test_nothing_that_matches_is_nothing_done(self, store: Store) -> None:
        store.enqueue(spec("j"))
        assert store.cancel_selected(chosen(store, queue="other"), by="me") == Sweep(done=0)
        dead = chosen(store, states=(State.DEAD,))
        assert store.cancel_selected(dead, by="me") == Sweep(done=0)
        pending = chosen(store, states=(State.PENDING,))
        assert store.retry_selected(pending) == Sweep(done=0)

    def test_all_that_can_be_retried_is_retried(self, store: Store) -> None:
        ids = one_of_each(store)
        (sweep,) = swept(store.retry_selected, chosen(store))
        assert (sweep.done, sweep.kept) == (len(RETRYABLE), 0)
        for state, job_id in ids.items():
            ended_before = state in FINISHED
            assert state_of(store, job_id) is (State.PENDING if ended_before else state)
            assert not ended_before or store.job(job_id).attempts == 0
        everything(store)

    def test_a_job_whose_key_is_held_stays_as_it_is(self, store: Store) -> None:
        stored_in(store, State.DEAD, "a", unique_key="k")
        stored_in(store, State.DEAD, "b")
        store.enqueue(spec("holder", unique_key="k"))
        sweep = store.retry_selected(chosen(store, states=(State.DEAD,)))
        assert (sweep.done, sweep.kept) == (1, 1)
        assert (state_of(store, "a"), state_of(store, "b")) == (State.DEAD, State.PENDING)

    def test_of_jobs_with_one_key_one_is_retried(self, store: Store) -> None:
        for job_id in ("a", "b"):
            stored_in(store, State.DEAD, job_id, unique_key="k")
        sweep = store.retry_selected(chosen(store))
        assert (sweep.done, sweep.kept) == (1, 1)
        everything(store)

    def test_the_children_of_a_retried_job_wait_again(self, store: Store) -> None:
        store.enqueue_many([spec("parent", priority=1), spec("child", after=("parent",))])
        ended(store, claimed(store), OUTCOMES["completed"])
        store.retry_selected(chosen(store, states=(State.COMPLETED,)))
        assert state_of(store, "child") is State.BLOCKED

    def test_wide_jobs_are_taken_as_many_at_a_time_as_narrow_ones(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}", stdin="x" * (1 << 20)) for n in range(12))
        for verb in (lambda rest: store.cancel_selected(rest, by="me"), store.retry_selected):
            assert [sweep.done for sweep in swept(verb, chosen(store))] == [12]

    def test_a_selection_may_go_by_a_piece_of_the_command(self, store: Store) -> None:
        store.enqueue_many(
            [spec("a", command="tar x"), spec("b"), spec("c", command=None, args=("TAR",))]
        )
        (sweep,) = swept(
            lambda rest: store.cancel_selected(rest, by="me"), chosen(store, command="tar")
        )
        assert sweep.done == 2
        assert state_of(store, "b") is State.PENDING
