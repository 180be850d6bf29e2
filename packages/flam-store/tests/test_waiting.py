"""Waiting until jobs are finished."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flam_store import JobNotFound, NotFinished, State, Store, open_store
from flam_store import wait_until_finished as wait
from flam_store.testing.given import OUTCOMES, run, spec, stored_in

AT_ONCE, LONG = timedelta(0), timedelta(seconds=60)


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{path}") as opened:
        yield opened


def test_jobs_that_are_finished_are_given_at_once_in_the_order_of_their_ids(store: Store) -> None:
    for state in (State.DEAD, State.COMPLETED, State.CANCELLED):
        stored_in(store, state, state.value)
    jobs = wait(store, ["completed", "dead", "completed", "cancelled"], timeout=AT_ONCE)
    assert [job.id for job in jobs] == ["completed", "dead", "completed", "cancelled"]
    assert wait(store, [], timeout=AT_ONCE) == ()


def test_it_waits_for_the_last(store: Store, path: Path) -> None:
    store.enqueue_many([spec("a"), spec("b")])

    def work() -> None:
        with open_store(f"sqlite:///{path}") as worker:
            run(worker, OUTCOMES["completed"])
            run(worker, OUTCOMES["dead"])

    working = threading.Thread(target=work)
    working.start()
    jobs = wait(store, ["a", "b"], timeout=LONG)
    working.join()
    assert [job.state for job in jobs] == [State.COMPLETED, State.DEAD]


def test_what_is_not_finished_in_time_is_named(store: Store) -> None:
    store.enqueue_many(spec(id_) for id_ in "abcde")
    store.cancel("a", by="a test")
    with pytest.raises(NotFinished, match=r"^4 jobs were not finished after 0 s: b, c, d, …\.$"):
        wait(store, "abcde", timeout=AT_ONCE)
    with pytest.raises(NotFinished, match=r"^1 job was not finished after 0.05 s: b\.$") as late:
        wait(store, "ab", timeout=timedelta(seconds=0.05))
    assert late.value.job_ids == ("b",)


def test_a_job_that_is_not_there_is_an_error(store: Store) -> None:
    with pytest.raises(JobNotFound):
        wait(store, ["nope"], timeout=AT_ONCE)
