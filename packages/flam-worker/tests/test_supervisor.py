from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from children import Children, until
from pools import Pools

from flam_store import State, Store
from flam_store.config_file import read_config
from flam_store.sqlite.schema import KNOWN
from flam_store.worker import Role, Stop
from flam_worker import child, supervisor
from flam_worker.identity import send
from flam_worker.recovery import Recovery
from flam_worker.settings import Settings
from flam_worker.supervisor import Supervisor


def drained(pools: Pools, announced: list[tuple[int, ...]], *, drain: bool = True) -> int:
    """Run a pool of two in this process until nothing is left to do; its exit code."""
    settings = Settings(
        home=pools.home, config=read_config(pools.home.config_path), store_url=pools.url,
        count=2, queues=None, drain=drain, supervisor="s1",
    )  # fmt: skip
    return Supervisor(settings, announced.append).run()


def test_a_supervisor_announces_its_workers_once(pools: Pools, children: Children) -> None:
    job = pools.enqueue("true")

    def run() -> Any:
        announced: list[tuple[int, ...]] = []
        return drained(pools, announced), announced

    code, (pids,) = children.fork(run).answer()
    assert code == 0
    assert len(set(pids)) == 2
    assert pools.job(job).state is State.COMPLETED
    assert pools.records() == ()


def test_a_pool_whose_queue_a_later_version_has_taken_over_finishes_its_jobs_and_ends(
    pools: Pools, tmp_path: Path
) -> None:
    pool = pools.foreground("--count", "2")
    job = pools.enqueue(f"until [ -e {tmp_path}/go-on ]; do sleep 0.05; done")
    pools.wait_for(job, State.PROCESSING)
    first = pools.supervisor()
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {KNOWN + 1}")
    send(first, signal.SIGUSR1)
    until(lambda: b"stopping: graceful" in pools.log.read_bytes(), "it ends")
    (tmp_path / "go-on").touch()
    assert pool.wait(60) == 5
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {KNOWN}")
    assert pools.job(job).state is State.COMPLETED
    assert "Install a later flam-store" in pools.log.read_text()


def test_a_worker_that_a_sweep_has_reaped_is_not_signalled(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    with pools.store():
        pass  # makes it

    def sweep(recovery: Recovery, store: Store) -> int:
        looks.append(1)
        workers = [each for each in store.workers() if each.role is Role.WORKER]
        if len(looks) == 1:
            store.request_stop([each.id for each in store.workers()], Stop.NOW)
            os.kill(os.getpid(), signal.SIGUSR1)
        elif len(looks) == 2:
            for pid in [each.process.pid for each in workers]:
                os.kill(pid, signal.SIGKILL)
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            recovery.reap()
        return 0

    def run() -> Any:
        return drained(pools, [], drain=False), len(looks)

    monkeypatch.setattr(Recovery, "sweep", sweep)
    monkeypatch.setattr(supervisor, "_OBEY_SECONDS", 0.0)
    code, times = children.fork(run).answer()
    assert code == 0
    assert times > 1
    assert pools.records(Role.SUPERVISOR) == ()


def test_its_workers_are_announced_before_the_first_sweep(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_READY_SECONDS", 60.0)
    pools.enqueue("true")
    announced: list[tuple[int, ...]] = []
    known: list[int] = []

    def sweep(recovery: Recovery, store: Store) -> int:
        known.append(len(announced))
        return 0

    def run() -> Any:
        monkeypatch.setattr(Recovery, "sweep", sweep)
        drained(pools, announced)
        return known

    assert children.fork(run).answer()[0] == 1


def test_a_fork_that_fails_is_tried_again_and_leaves_no_descriptor(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pools.enqueue("true")
    fork, failures = os.fork, [1, 2, 3]

    def failing() -> int:
        if failures:
            failures.pop()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    def run() -> Any:
        monkeypatch.setattr(os, "fork", failing)
        before = len(os.listdir("/dev/fd"))
        code = drained(pools, [])
        # Its own two of the signals stay until its process ends.
        return code, len(os.listdir("/dev/fd")) - before

    assert children.fork(run).answer() == (0, 2)
    assert pools.job(job).state is State.COMPLETED


def test_too_few_descriptors_for_a_worker_are_waited_for(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pools.enqueue("true")
    real, failures = child.fork_worker, [1, 2]

    def failing(settings: Settings, siblings: Sequence[child.Child]) -> child.Child:
        if failures:
            failures.pop()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(settings, siblings)

    monkeypatch.setattr(supervisor, "fork_worker", failing)
    assert children.fork(lambda: drained(pools, [])).answer() == 0
    assert pools.job(job).state is State.COMPLETED
