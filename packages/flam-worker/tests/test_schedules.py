"""A real pool enqueues and runs what schedules are due for."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from children import Children, until
from pools import Pools

from flam_store import Config, JobFilter, JobSpec, State, Store, open_store
from flam_store.clock import system_clock
from flam_store.finding import Level
from flam_store.schedule import CatchUp, ScheduleSpec
from flam_store.worker import Registration, Role
from flam_worker import supervisor, watchers
from flam_worker.identity import this_process
from flam_worker.settings import Settings

THREE_YEARS_MS = 3 * 366 * 86_400_000


@contextmanager
def years_ago(pools: Pools) -> Iterator[Store]:
    """The queue, by a clock that is behind: what is added now, is due already."""
    with open_store(pools.url, clock=lambda: system_clock() - THREE_YEARS_MS) as store:
        yield store


def due(pools: Pools, name: str = "s", command: str = "true", **fields: object) -> None:
    """A schedule that missed some ticks, of which the last is made up for."""
    job = JobSpec(command=command, **fields)  # type: ignore[arg-type]
    spec = ScheduleSpec(name=name, cron="@yearly", catch_up=CatchUp.LAST, job=job)
    with years_ago(pools) as store:
        store.add_schedule(spec)


def job_of(pools: Pools, name: str = "s") -> Callable[[], str | None]:
    """The id of its only job, once there is one."""

    def look() -> str | None:
        with pools.store() as store:
            jobs = store.jobs(JobFilter(labels={"schedule": name})).jobs
            assert len(jobs) <= 1
            return jobs[0].id if jobs else None

    return look


def found(pools: Pools, name: str = "s") -> str:
    until(job_of(pools, name), f"a job of {name}")
    job = job_of(pools, name)()
    assert job is not None
    return job


def let_it_look(pools: Pools) -> None:
    """Have the supervisor look around; every look begins with its lease."""
    (before,) = pools.records(Role.SUPERVISOR)
    with pools.store() as store:
        watchers.tell(store)

    def has_begun() -> bool:
        (now,) = pools.records(Role.SUPERVISOR)
        return now.heartbeat_at > before.heartbeat_at

    until(has_begun, "a look")


def test_a_pool_enqueues_what_is_due_when_it_starts_and_runs_it(pools: Pools) -> None:
    due(pools)
    pools.start()
    pools.wait_for(found(pools))
    with pools.store() as store:
        assert [bool(tick.job) for tick in store.ticks("s")] == [True, False]


def test_a_schedule_that_is_added_while_a_pool_sleeps_is_noticed_when_it_is_told(
    pools: Pools,
) -> None:
    pools.configure(lease_seconds=86_400)  # otherwise it looks every eight hours
    pools.start(2)
    pools.wait_for(pools.enqueue("true"))
    due(pools)
    with pools.store() as store:
        watchers.tell(store)
    pools.wait_for(found(pools))


def test_it_wakes_for_the_next_tick_without_being_told(pools: Pools) -> None:
    """The tick comes in a moment by the pool's clock, although the lease is a day."""
    pools.configure(lease_seconds=86_400)
    with pools.store() as store:
        store.add_schedule(ScheduleSpec(name="s", cron="@yearly", job=JobSpec(command="true")))
        at = store.schedule("s").next_at
    assert at is not None
    soon(pools, at.timestamp())
    pools.start()
    pools.wait_for(found(pools))


def soon(pools: Pools, at: float) -> None:
    """Bring the tick near: it comes two seconds from now."""
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute("UPDATE schedules SET next_at = ? WHERE next_at = ?",
                   (system_clock() + 2_000, round(at * 1_000)))  # fmt: skip


def test_a_pool_of_one_queue_enqueues_for_all(pools: Pools) -> None:
    due(pools, queue="mail")
    pools.start(queues=("other",))
    assert pools.job(found(pools)).state is State.PENDING
    pools.start(queues=("mail",))
    pools.wait_for(found(pools))


def test_a_drain_runs_what_is_due_and_waits_for_no_tick(pools: Pools) -> None:
    due(pools)
    assert pools.foreground("--drain").wait(60) == 0
    assert pools.job(found(pools)).state is State.COMPLETED
    with pools.store() as store:
        assert store.schedule("s").next_at is not None


def test_its_jobs_have_the_policy_of_the_config_at_that_time(pools: Pools) -> None:
    pools.start()
    pools.configure(max_retries=7)
    for _ in range(2):  # the look that was under way may have read the configuration of before
        let_it_look(pools)
    due(pools)
    with pools.store() as store:
        watchers.tell(store)
    assert pools.job(found(pools)).max_retries == 7


def test_a_config_that_cannot_be_read_leaves_the_one_of_the_start(pools: Pools) -> None:
    settings = Settings(
        home=pools.home, config=Config(max_retries=5), store_url=pools.url, count=1,
        queues=None, drain=False, supervisor="s1",
    )  # fmt: skip
    pools.configure(max_retries=7)
    assert settings.renewed().config.max_retries == 7
    pools.home.config_path.write_text("{")
    assert settings.renewed() == settings


def test_a_schedule_that_cannot_be_read_is_logged_and_the_pool_goes_on(pools: Pools) -> None:
    due(pools, "bad")
    due(pools, "good")
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute("UPDATE schedules SET spec = '[]' WHERE name = 'bad'")
    process = pools.foreground()
    pools.wait_for(found(pools, "good"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    told = [line for line in pools.log.read_text().splitlines() if "schedule bad" in line]
    assert len(told) == 1
    assert job_of(pools, "bad")() is None


def test_several_pools_enqueue_a_tick_once(pools: Pools) -> None:
    for number in range(3):
        due(pools, f"s{number}")
    for _ in range(3):
        pools.foreground()
    for number in range(3):
        pools.wait_for(found(pools, f"s{number}"))
    with pools.store() as store:
        assert len(store.jobs().jobs) == 3


def test_a_supervisor_without_schedules_opens_the_store_no_more_often(
    pools: Pools, children: Children
) -> None:
    def look() -> float:
        settings = Settings(
            home=pools.home, config=Config(lease_seconds=3_000), store_url=pools.url, count=1,
            queues=None, drain=False, supervisor="s1",
        )  # fmt: skip
        watching = supervisor.Supervisor(settings, lambda pids: None)
        watching._register()
        watching._look_after()
        return watching._look_at - time.monotonic()

    with pools.store():
        pass
    assert children.fork(look).answer() > 500
    due(pools)
    with pools.store() as store:
        store.forget("s1")
    assert children.fork(look).answer() <= supervisor._MOST_TICK_WAIT_SECONDS


def test_who_watches_the_schedules_is_seen(pools: Pools) -> None:
    with pools.store() as store:
        assert not watchers.is_watched(store)
        assert list(watchers.examine(store)) == []
    due(pools)
    with pools.store() as store:
        (finding,) = watchers.examine(store)
        assert (finding.level, "no worker runs" in finding.text) == (Level.WARN, True)
        store.pause_schedule("s", by="ann")
        assert list(watchers.examine(store)) == []
        store.resume_schedule("s")
        store.register(
            Registration(
                id="w", role=Role.WORKER, process=this_process(), lease=timedelta(minutes=1)
            )
        )
        assert not watchers.is_watched(store)
        store.forget("w")
    pools.start()
    with pools.store() as store:
        assert watchers.is_watched(store)
        assert list(watchers.examine(store)) == []
    os.kill(pools.supervisor().pid, signal.SIGTERM)
