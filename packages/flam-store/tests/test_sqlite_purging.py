"""A purge looks before it locks, and trusts nothing that it read before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flam_store import JobFilter, State, Store, open_store
from flam_store.sqlite import purging
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, spec, state_of, stored_in


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/queue.db", clock=clock) as opened:
        yield opened


def meanwhile(store: Any, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have it done between the reading and the writing of the next verb."""
    write = store._session.write

    def after_it(change: Any) -> Any:
        monkeypatch.undo()
        act()
        return write(change)

    monkeypatch.setattr(store._session, "write", after_it)


@pytest.mark.parametrize(
    "which",
    [
        JobFilter(labels={"a": "other"}),
        JobFilter(queue="other"),
        JobFilter(states=(State.COMPLETED,)),
        JobFilter(states=(State.PENDING,)),
        JobFilter(labels={"a": "b"}),
    ],
)
def test_while_nothing_is_to_be_deleted_nobody_is_kept_waiting(
    store: Any, monkeypatch: pytest.MonkeyPatch, which: JobFilter
) -> None:
    for n in range(3):
        stored_in(store, State.DEAD, f"j{n}", labels={"a": "b"})
    monkeypatch.setattr(store._session, "write", None)
    assert store.purge(which, older_than=DAY) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.retry("j"),
        lambda store: store.enqueue(spec("child", after=("j",))),
    ],
    ids=["retried", "needed"],
)
def test_a_job_that_has_changed_since_it_was_found_stays_and_the_others_go(
    store: Store, monkeypatch: pytest.MonkeyPatch, change: Callable[[Store], object]
) -> None:
    stored_in(store, State.DEAD)
    other = stored_in(store, State.DEAD, "other")
    meanwhile(store, monkeypatch, lambda: change(store))
    before = store.job("j")
    assert store.purge(JobFilter(), limit=1) == (other.seq,)
    assert store.purge(JobFilter()) == ()
    assert store.job("j").id == before.id


def test_many_that_stay_are_looked_at_in_stretches(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_LONGEST_LOOK", 2)
    clock.advance(DAY)
    for n in range(5):
        stored_in(store, State.CANCELLED, f"young{n}")
    clock.advance(-DAY)
    old = [stored_in(store, State.CANCELLED, f"old{n}").seq for n in range(4)]
    assert store.purge(JobFilter(), older_than=timedelta(0), limit=3) == tuple(old[:3])
    assert store.purge(JobFilter(), older_than=timedelta(0), limit=3) == tuple(old[3:])
    assert state_of(store, "young0") is State.CANCELLED


def test_those_that_were_stored_too_late_to_be_old_are_not_looked_at(
    store: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    look = purging._purgeable

    def noted(db: Any, seqs: list[int], asked: Any) -> list[int]:
        looked_at.extend(seqs)
        return look(db, seqs, asked)

    old = [stored_in(store, State.COMPLETED, f"old{n}").seq for n in range(3)]
    clock.advance(2 * DAY)
    for n in range(40):
        stored_in(store, State.COMPLETED, f"new{n}")
        clock.advance(timedelta(minutes=1))
    monkeypatch.setattr(purging, "_purgeable", noted)
    assert store.purge(JobFilter(), older_than=DAY, limit=10) == tuple(old)
    assert set(looked_at) == set(old)
