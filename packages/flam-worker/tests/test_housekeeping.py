from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from children import until
from pools import Pools

from flam_store import Config, State, Store, open_store
from flam_store.errors import StoreBusy
from flam_store.job import Expired
from flam_store.output import Logs
from flam_store.sqlite import expiring
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import everything, spec, stored_in
from flam_worker import housekeeping
from flam_worker.housekeeping import Housekeeping

LONG = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(pools: Pools, clock: FakeClock) -> Iterator[Store]:
    with open_store(pools.url, clock=clock) as opened:
        yield opened


def ids(store: Store) -> set[str]:
    return {job.id for job in store.jobs(limit=0).jobs}


def test_with_no_time_set_everything_stays(pools: Pools, store: Store, clock: FakeClock) -> None:
    for state in State:
        stored_in(store, state, state.value, queue=state.value)
    before = everything(store)
    clock.advance(timedelta(days=999))
    Housekeeping(pools.home, Config()).look(store, LONG)
    assert everything(store) == before


@pytest.mark.parametrize(
    ("key", "state"), [("keep_completed", State.COMPLETED), ("keep_dead", State.DEAD)]
)
def test_jobs_go_with_their_output_when_their_time_is_over(
    pools: Pools, store: Store, clock: FakeClock, key: str, state: State
) -> None:
    pools.configure(**{key: 60})
    kept = Housekeeping(pools.home, Config())
    logs = Logs(pools.home.logs_path)
    for each in State:
        stored_in(store, each, each.value, queue=each.value)
    job = store.job(state.value)
    with open(logs.create(job.seq, 1), "wb") as output:
        output.write(b"out")
    clock.advance(timedelta(seconds=59))
    kept.look(store, LONG)
    assert state.value in ids(store)
    clock.advance(timedelta(seconds=1))
    kept.look(store, LONG)
    assert ids(store) == {*map(str, State), "blocked-parent"} - {state.value}
    assert not logs.path_of(job.seq, 1).exists()


def test_one_look_is_bounded_and_the_next_goes_on(
    pools: Pools, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_MOST_SLICES", 3)
    pools.configure(keep_completed=0, keep_dead=0)
    kept, looks = Housekeeping(pools.home, Config()), []
    expire = store.expire

    def one_at_a_time(state: State, **how: Any) -> Expired:
        looks.append(state)
        return expire(state, **how, limit=1)

    monkeypatch.setattr(store, "expire", one_at_a_time)
    for n in range(3):
        stored_in(store, State.COMPLETED, f"c{n}")
        stored_in(store, State.DEAD, f"d{n}")
    kept.look(store, LONG)
    assert ids(store) == {"c1", "c2", "d1", "d2"}
    assert looks == [State.COMPLETED, State.DEAD]
    kept.look(store, LONG)
    kept.look(store, LONG)
    assert ids(store) == set()


def test_old_jobs_far_behind_young_ones_are_found_in_the_course_of_some_looks(
    pools: Pools, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "_CHUNK", 2)
    monkeypatch.setattr(expiring, "_CHUNKS", 1)
    pools.configure(keep_completed=60)
    clock.advance(timedelta(days=1))
    for n in range(9):
        stored_in(store, State.COMPLETED, f"ahead{n}")
    clock.advance(-timedelta(days=1))
    for n in range(9):
        stored_in(store, State.COMPLETED, f"old{n}")
    clock.advance(timedelta(minutes=1))
    kept = Housekeeping(pools.home, Config())
    for _ in range(6):
        kept.look(store, LONG)
    assert ids(store) == {f"ahead{n}" for n in range(9)}


def test_young_jobs_beyond_the_oldest_are_read_a_stretch_a_look(
    pools: Pools, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "_CHUNK", 1)
    monkeypatch.setattr(expiring, "_CHUNKS", 1)
    pools.configure(keep_completed=60)
    for n in range(3):
        stored_in(store, State.COMPLETED, f"j{n}")
    kept, looks = Housekeeping(pools.home, Config()), []
    expire = store.expire

    def noted(state: State, *, older_than: timedelta, after: int) -> Expired:
        looks.append(after)
        return expire(state, older_than=older_than, after=after)

    monkeypatch.setattr(store, "expire", noted)
    for _ in range(5):
        kept.look(store, LONG)
    assert looks == [0, 0, 0, 1, 0, 2, 0, 3, 0, 0]


def test_without_time_nothing_is_done(pools: Pools, store: Store) -> None:
    pools.configure(keep_completed=0)
    stored_in(store, State.COMPLETED)
    Housekeeping(pools.home, Config()).look(store, timedelta(0))
    assert ids(store) == {"j"}


def test_a_config_that_was_spoilt_is_told_of_once_and_the_last_good_one_holds(
    pools: Pools, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    pools.configure(keep_dead=0)
    kept = Housekeeping(pools.home, Config())
    kept.look(store, LONG)
    pools.home.config_path.write_text("{")
    for _ in range(3):
        stored_in(store, State.DEAD)
        kept.look(store, LONG)
        assert ids(store) == set()
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    pools.configure()
    assert len(errors) == 1
    assert "config.json" in errors[0].getMessage()


def test_what_fails_is_a_line_and_tried_again(
    pools: Pools, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pools.configure(keep_dead=0)
    kept = Housekeeping(pools.home, Config())
    stored_in(store, State.DEAD)

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("queue.db", 1.0)

    with monkeypatch.context() as patched:
        patched.setattr(store, "expire", busy)
        kept.look(store, LONG)
    assert "cannot be deleted" in caplog.text
    kept.look(store, LONG)
    assert ids(store) == set()


def test_a_pool_deletes_what_is_old_while_it_runs_and_heeds_a_changed_config(pools: Pools) -> None:
    pools.configure(lease_seconds=3)
    done = pools.enqueue("echo out", id="done")
    with pools.store() as store:
        store.enqueue(spec("later", delay=timedelta(days=1)))
    pools.start()
    seq = pools.wait_for(done).seq
    logs = Logs(pools.home.logs_path)
    assert logs.path_of(seq, 1).exists()
    pools.configure(lease_seconds=3, keep_completed=0)
    with pools.store() as store:
        until(lambda: ids(store) == {"later"}, "the end of what is old")
    until(lambda: not logs.path_of(seq, 1).exists(), "the end of its output")
