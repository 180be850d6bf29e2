"""Jobs that are claimed together: in order, each reported as it was, none lost to a crash."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from children import Children, until
from jobs import claim
from pools import Pools
from test_loop import FOREVER, Started, worker

from flam_store import State
from flam_store.outcome import Completed, Released, Result, When
from flam_store.worker import Role
from flam_worker import loop
from flam_worker.group import Ended, Group
from flam_worker.identity import send
from flam_worker.orders import GRACEFUL
from flam_worker.pace import MOST, SHORT_SECONDS, Pace
from flam_worker.pool import recovery


class Steady(Pace):
    """Never changes the size."""

    def saw(self, seconds: float) -> None:
        pass

    def begin_anew(self) -> None:
        pass


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Pace", lambda: Steady(size=8))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch, eager: None) -> None:
    """No job lasts: what was claimed with it waits for its end."""
    monkeypatch.setattr(loop, "PATIENCE_SECONDS", 1000.0)
    monkeypatch.setattr(loop, "GROUP_SECONDS", 1000.0)


@contextmanager
def paused(pools: Pools) -> Iterator[None]:
    with pools.store() as store:
        store.pause("default", by="test")
        yield
        store.resume("default")


def enqueued_at_once(pools: Pools, *commands: str, **fields: Any) -> list[str]:
    with paused(pools):
        return [pools.enqueue(command, **fields) for command in commands]


# The pace


def test_a_worker_begins_with_one_at_a_time_and_takes_more_while_they_are_short() -> None:
    pace, sizes = Pace(), []
    for _ in range(500):
        pace.saw(0.0001)
        sizes.append(pace.size)
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST


def test_a_group_lasts_no_longer_than_a_moment() -> None:
    pace = Pace()
    for _ in range(500):
        pace.saw(0.004)
    assert pace.size in (4, 5)


@pytest.mark.parametrize("seconds", [SHORT_SECONDS, 60.0])
def test_after_a_job_that_lasts_they_are_taken_one_by_one(seconds: float) -> None:
    pace = Pace()
    for _ in range(500):
        pace.saw(0.0001)
    pace.saw(seconds)
    assert pace.size == 1


def test_jobs_of_ten_milliseconds_are_never_taken_together() -> None:
    pace = Pace()
    for _ in range(500):
        pace.saw(0.010)
        assert pace.size == 1


# What is reported


def test_of_several_each_has_its_own_times_and_a_single_one_ends_as_it_is_reported() -> None:
    def ended(seq: int) -> Ended:
        result = Result(seq=seq, attempt=1, outcome=Completed())
        return Ended(result=result, began=float(seq), ended=seq + 0.5)

    assert [each.when for each in Group(ended=[ended(1)]).results(9.0)] == [None]
    first, second = Group(ended=[ended(1), ended(2)]).results(9.0)
    assert first.when == When(began_ago=timedelta(seconds=8), ended_ago=timedelta(seconds=7.5))
    assert second.when == When(began_ago=timedelta(seconds=7), ended_ago=timedelta(seconds=6.5))


def test_what_was_not_begun_is_released() -> None:
    group = Group(waiting=deque([claim(), claim()]))
    group.put_all_back()
    assert not group.waiting
    assert all(isinstance(each.outcome, Released) for each in group.results(1.0))


# A worker with a group


def test_all_of_a_group_are_run_in_their_order_and_none_before_another_has_ended(
    pools: Pools, children: Children, patient: None
) -> None:
    told = pools.home.path / "told"
    jobs = enqueued_at_once(pools, *(f"echo {n} >> {told}; sleep 0.02" for n in range(8)))
    with worker(pools, children) as started:
        pools.wait_for(jobs[-1])
        started.tell(GRACEFUL)
        assert started.left()
    assert told.read_text().split() == [str(n) for n in range(8)]
    attempts = [pools.attempts(job) for job in jobs]
    assert [len(each) for each in attempts] == [1] * 8
    times = [(each[0].started_at, each[0].finished_at) for each in attempts]
    assert times == sorted(times)
    for (_, ended), (began, _) in pairwise(times):
        assert ended is not None
        assert ended <= began + timedelta(milliseconds=1)  # each is rounded by itself


def test_a_failure_is_reported_before_the_next_is_run(
    pools: Pools, children: Children, patient: None
) -> None:
    told = pools.home.path / "told"
    failing, last = enqueued_at_once(pools, "exit 3", f"touch {told}; {FOREVER}", max_retries=0)
    with worker(pools, children) as started:
        until(told.exists, "the next one runs")
        assert pools.job(failing).state is State.DEAD
        assert pools.job(last).state is State.PROCESSING
        started.tell(b"n")
        assert started.left()


def test_one_that_is_reported_after_others_of_its_group_began_after_them(
    pools: Pools, children: Children, patient: None
) -> None:
    before, failing, last = enqueued_at_once(
        pools, "sleep 0.1", "exit 3", "sleep 0.1", max_retries=0
    )
    with worker(pools, children) as started:
        pools.wait_for(last)
        started.tell(GRACEFUL)
        assert started.left()
    (long,), (failed,), (late,) = map(pools.attempts, (before, failing, last))
    assert failed.finished_at is not None
    assert late.finished_at is not None
    assert long.started_at < failed.started_at <= late.started_at
    assert failed.finished_at <= late.started_at + timedelta(milliseconds=1)


def test_what_waits_behind_a_job_that_lasts_is_put_back_and_what_had_ended_is_reported(
    pools: Pools, children: Children, eager: None
) -> None:
    jobs = enqueued_at_once(pools, "true", FOREVER, "true", "true")
    with worker(pools, children) as started:
        until(lambda: pools.history(jobs[3]) == ["released"], "it was put back")
        assert [pools.job(job).state for job in jobs] == [
            State.COMPLETED, State.PROCESSING, State.PENDING, State.PENDING,
        ]  # fmt: skip
        assert [pools.job(job).attempts for job in jobs] == [1, 1, 0, 0]
        with worker(pools, children) as other:
            pools.wait_for(jobs[2])
            pools.wait_for(jobs[3])
            other.tell(GRACEFUL)
            assert other.left()
        started.tell(b"n")
        assert started.left()


def test_a_group_that_lasts_too_long_all_together_is_put_back(
    pools: Pools, children: Children, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GROUP_SECONDS", 0.0)
    first, second = enqueued_at_once(pools, "true", "true")
    with worker(pools, children) as started:
        pools.wait_for(second)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.history(first) == ["completed"]
    assert pools.history(second) == ["released", "completed"]


def test_who_is_told_to_stop_begins_no_other_of_its_group(
    pools: Pools, children: Children, patient: None
) -> None:
    told = pools.home.path / "told"
    wait = f"touch {told}; while [ -e {told} ]; do sleep 0.01; done"
    first, second = enqueued_at_once(pools, wait, "true")
    with worker(pools, children) as started:
        until(told.exists, "the first one runs")
        started.tell(GRACEFUL)
        told.unlink()
        assert started.left()
    assert pools.job(first).state is State.COMPLETED
    assert pools.history(second) == ["released"]
    assert pools.job(second).attempts == 0


def test_one_that_is_cancelled_before_its_turn_is_not_run(
    pools: Pools, children: Children, patient: None
) -> None:
    told, forbidden = pools.home.path / "told", pools.home.path / "forbidden"
    wait = f"touch {told}; while [ -e {told} ]; do sleep 0.01; done"
    _, cancelled, last = enqueued_at_once(pools, wait, f"touch {forbidden}", "true")
    with worker(pools, children) as started:
        until(told.exists, "the first one runs")
        with pools.store() as store:
            store.cancel(cancelled, by="test")
        (record,) = pools.records(Role.WORKER)
        assert send(record.process, signal.SIGUSR1)
        told.unlink()
        pools.wait_for(last)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.job(cancelled).state is State.CANCELLED
    assert not forbidden.exists()


# Its death


def killed_at(pools: Pools, started: Started, path: Path) -> None:
    until(path.exists, "the job runs")
    started.child.kill()
    started.child.wait()


def swept(pools: Pools) -> int:
    with pools.store() as store:
        return recovery(pools.home).sweep(store)


def test_when_it_is_killed_what_had_ended_stands_and_only_what_ran_has_crashed(
    pools: Pools, children: Children, patient: None
) -> None:
    told, ran = pools.home.path / "told", pools.home.path / "ran"
    commands = [
        f"sleep 0.1; echo 1 >> {ran}; echo out",
        f"exec > /dev/null; touch {told}; {FOREVER}",
        "true",
    ]
    done, running, waiting = enqueued_at_once(pools, *commands, max_retries=0)
    with worker(pools, children) as started:
        killed_at(pools, started, told)
    with worker(pools, children) as other:
        assert swept(pools) == 2
        pools.wait_for(waiting)
        other.tell(GRACEFUL)
        assert other.left()
    assert pools.history(done) == ["completed"]
    assert pools.attempts(done)[0].output_bytes == 4
    assert pools.output(done) == "out\n"
    assert ran.read_text() == "1\n"
    assert pools.job(running).state is State.DEAD
    assert pools.history(running) == ["crashed"]
    (before,), (crashed,) = pools.attempts(done), pools.attempts(running)
    assert crashed.started_at >= before.started_at + timedelta(seconds=0.09)
    assert pools.history(waiting) == ["released", "completed"]
    assert pools.job(waiting).attempts == 1


def test_what_a_young_job_had_written_is_kept_when_its_worker_is_killed(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    monkeypatch.setattr("flam_worker.capture._LOOK_LEAST_SECONDS", 1000.0)
    told = pools.home.path / "told"
    (job,) = enqueued_at_once(pools, f"echo young; touch {told}; {FOREVER}", max_retries=0)
    with worker(pools, children) as started:
        killed_at(pools, started, told)
    assert swept(pools) == 1
    assert pools.history(job) == ["crashed"]
    assert pools.output(job) == "young\n"
    assert [path.name for path in pools.home.logs_path.iterdir()] == ["000"]
