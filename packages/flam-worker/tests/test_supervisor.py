from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

import pytest
from children import Children
from pools import Pools

from flam_store import State
from flam_worker import child, supervisor
from flam_worker.settings import Settings
from flam_worker.supervisor import Supervisor


def drained(pools: Pools, announced: list[tuple[int, ...]]) -> int:
    """Run a pool of two in this process until nothing is left to do; its exit code."""
    settings = Settings(
        home=pools.home, store_url=pools.url, count=2, queues=None, drain=True, supervisor="s1"
    )
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
