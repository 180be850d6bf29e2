"""Looks at old jobs are short, whatever there is, and trust nothing that they read before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flam_store import State, Store, open_store
from flam_store.sqlite import expiring
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, OUTCOMES, run, spec, state_of, stored_in


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/queue.db", clock=clock) as opened:
        yield opened


def meanwhile(store: Any, monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Have it done between the reading and the writing of the next verb."""
    write = store._session.write

    def after_it(change: Any) -> Any:
        monkeypatch.undo()
        act()
        return write(change)

    monkeypatch.setattr(store._session, "write", after_it)


def test_a_look_ends_after_a_number_of_jobs_and_the_next_goes_on(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "_CHUNK", 2)
    monkeypatch.setattr(expiring, "_CHUNKS", 2)
    store.enqueue_many(spec(f"j{n}") for n in range(6))
    clock.advance(DAY)
    for _ in range(6):
        run(store, OUTCOMES["completed"])
    first = store.expire(State.COMPLETED, older_than=DAY / 2)
    assert (first.seqs, first.after) == ((), 4)
    second = store.expire(State.COMPLETED, older_than=DAY / 2, after=4)
    assert (second.seqs, second.after) == ((), None)


def test_a_job_that_was_retried_since_it_was_found_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_in(store, State.DEAD)
    other = stored_in(store, State.DEAD, "other")
    meanwhile(store, monkeypatch, lambda: store.retry("j"))
    assert store.expire(State.DEAD, older_than=timedelta(0)).seqs == (other.seq,)
    assert state_of(store) is State.PENDING


def test_a_job_that_has_become_needed_since_it_was_found_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_in(store, State.DEAD)
    meanwhile(store, monkeypatch, lambda: store.enqueue(spec("child", after=("j",))))
    assert store.expire(State.DEAD, older_than=timedelta(0)).seqs == ()
    assert state_of(store) is State.DEAD


def test_while_nothing_is_old_nothing_is_written(
    store: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for state in (State.COMPLETED, State.DEAD):
        stored_in(store, state, state.value)
    clock.advance(timedelta(hours=1))
    monkeypatch.setattr(store._session, "write", None)
    for state in (State.COMPLETED, State.DEAD, State.CANCELLED):
        assert store.expire(state, older_than=DAY).seqs == ()
    assert store.forget_minutes() == 0
