from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from children import Child, Children, lives, number_in, until
from pools import Pools

from flam_store import State
from flam_store.config_file import read_config
from flam_store.outcome import Dead, Result
from flam_store.output import Logs
from flam_store.worker import Role
from flam_worker import loop
from flam_worker.decide import failure_of
from flam_worker.end import Crashed
from flam_worker.identity import send
from flam_worker.loop import Worker
from flam_worker.orders import GRACEFUL, NOW, Inbox
from flam_worker.settings import Settings
from flam_worker.signals import Signals

FOREVER = "sleep 1000"


class Started:
    """A worker in a process of its own, and the pipe by which it is told to stop."""

    def __init__(self, pools: Pools, children: Children, words: bytes) -> None:
        reader, self._writer = os.pipe()
        os.write(self._writer, words)
        settings = Settings(
            home=pools.home, config=read_config(pools.home.config_path), store_url=pools.url,
            count=1, queues=None, drain=False, supervisor="s",
        )  # fmt: skip

        def run() -> Any:
            inbox = Inbox(Signals(), reader)
            with settings.open() as store:
                worker = Worker(settings, settings.config, store, inbox)
                worker.register()
                worker.run()
                worker.leave()
            return "left"

        self.child: Child = children.fork(run)
        os.close(reader)

    def tell(self, word: bytes) -> None:
        os.write(self._writer, word)

    def left(self) -> bool:
        return bool(self.child.answer() == "left")

    def close(self) -> None:
        os.close(self._writer)


@contextmanager
def worker(pools: Pools, children: Children, words: bytes = b"") -> Iterator[Started]:
    with closing(Started(pools, children, words)) as made:
        yield made


def change(pools: Pools, statement: str) -> None:
    """Do what the store has no verb for."""
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute("PRAGMA busy_timeout = 10000")
        db.execute(statement)


def nudge(pools: Pools) -> None:
    (record,) = pools.records(Role.WORKER)
    assert send(record.process, signal.SIGUSR1)


def begun(path: Path) -> str:
    return f"echo $$ > {path}; {FOREVER}"


@pytest.mark.parametrize("words", [GRACEFUL, NOW])
def test_a_worker_that_was_told_to_stop_before_its_first_turn_takes_no_job(
    pools: Pools, children: Children, words: bytes
) -> None:
    job = pools.enqueue("true")
    with worker(pools, children, words) as started:
        assert started.left()
    assert (pools.job(job).state, pools.history(job)) == (State.PENDING, [])
    assert pools.records() == ()


def test_a_pool_whose_workers_can_leave_no_record_says_so_in_a_line(pools: Pools) -> None:
    job = pools.enqueue("true")
    (pools.home.path / "run").write_text("in the way")
    process = pools.foreground("--drain")
    assert process.wait(60) == 5
    assert f"{pools.home.path / 'run'} cannot take a worker's record: File exists" in (
        pools.log.read_text()
    )
    assert "Traceback" not in pools.log.read_text()
    assert pools.history(job) == []


def test_a_worker_that_is_told_to_stop_at_once_puts_its_job_back(
    pools: Pools, children: Children, tmp_path: Path
) -> None:
    job = pools.enqueue(begun(tmp_path / "pid"))
    with worker(pools, children) as started:
        pid = number_in(tmp_path / "pid")
        started.tell(NOW)
        assert started.left()
    assert not lives(pid)
    assert (pools.job(job).state, pools.job(job).attempts) == (State.PENDING, 0)


def test_a_cancelled_job_is_ended_when_its_worker_is_told_to_look(
    pools: Pools, children: Children, tmp_path: Path
) -> None:
    job = pools.enqueue(begun(tmp_path / "pid"))
    with worker(pools, children) as started:
        pid = number_in(tmp_path / "pid")
        change(pools, "UPDATE attempts SET cancel_requested_at = 1")
        nudge(pools)
        pools.wait_for(job, State.CANCELLED)
        assert not lives(pid)
        after = pools.enqueue("true")
        pools.wait_for(after)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.history(job) == ["cancelled"]


def test_a_worker_that_was_taken_for_lost_ends_its_command_and_changes_nothing(
    pools: Pools, children: Children, tmp_path: Path
) -> None:
    job = pools.enqueue(begun(tmp_path / "pid"), max_retries=0)
    with worker(pools, children) as started:
        pid = number_in(tmp_path / "pid")
        with pools.store() as store:
            (claim,) = store.running()
            outcome = Dead(failure=failure_of(Crashed("taken for lost")))
            result = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=outcome)
            assert store.finish([result], worker_id=claim.worker).refused == ()
            (record,) = store.workers()
            store.forget(record.id)
        assert send(record.process, signal.SIGUSR1)
        until(lambda: not lives(pid), "the end of the command")
        after = pools.enqueue("true")
        pools.wait_for(after)
        started.tell(GRACEFUL)
        assert started.left()
    assert (pools.job(job).state, pools.history(job)) == (State.DEAD, ["crashed"])


def test_an_idle_worker_that_is_unknown_registers_again(pools: Pools, children: Children) -> None:
    pools.configure(lease_seconds=3)
    first = pools.enqueue("true")
    with worker(pools, children) as started:
        pools.wait_for(first)
        until(lambda: pools.records()[0].job is None)
        change(pools, "DELETE FROM workers")
        until(pools.records, "the worker's record")
        second = pools.enqueue("true")
        pools.wait_for(second)
        started.tell(GRACEFUL)
        assert started.left()


def test_a_worker_keeps_its_results_while_nobody_can_write(
    pools: Pools, children: Children, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = pools.enqueue(f"echo $$ > {tmp_path / 'pid'}; while [ ! -e {go} ]; do sleep 0.01; done")
    with worker(pools, children) as started:
        pid = number_in(tmp_path / "pid")
        with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
            db.execute("PRAGMA busy_timeout = 10000")
            db.execute("BEGIN IMMEDIATE")
            go.touch()
            until(lambda: not lives(pid), "the end of the command")
            db.execute("ROLLBACK")
        pools.wait_for(job)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.history(job) == ["completed"]


def test_output_that_cannot_be_kept_is_an_end_and_no_crash(
    pools: Pools, children: Children
) -> None:
    (pools.home.logs_path / "000").write_text("in the way of a folder")
    job = pools.enqueue("true", max_retries=0)
    with worker(pools, children) as started:
        pools.wait_for(job, State.DEAD)
        started.tell(GRACEFUL)
        assert started.left()
    (attempt,) = pools.attempts(job)
    assert attempt.cause == "not started"
    assert "output" in str(attempt.error)


def test_how_much_was_written_is_recorded_also_beyond_what_is_kept(
    pools: Pools, children: Children
) -> None:
    pools.configure(log_max_bytes=512)
    job = pools.enqueue("printf 12345; head -c 5000 /dev/zero")
    with worker(pools, children) as started:
        pools.wait_for(job)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.attempts(job)[0].output_bytes == 5005


def test_a_job_whose_output_cannot_be_kept_waits_without_using_up_attempts(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = Logs.create_nameless, [1, 2]

    def failing(logs: Logs, worker: str, seq: int) -> int:
        if failures:
            failures.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create(logs, worker, seq)

    monkeypatch.setattr(Logs, "create_nameless", failing)
    job = pools.enqueue("true", max_retries=0)
    with worker(pools, children) as started:
        pools.wait_for(job)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.job(job).attempts == 1
    assert pools.history(job) == ["released", "released", "completed"]


def test_output_that_finds_its_place_taken_is_missed_and_ends_no_worker(
    pools: Pools, children: Children
) -> None:
    (pools.home.logs_path / "000" / "1-1.log").mkdir(parents=True)
    job, after = pools.enqueue("echo lost"), pools.enqueue("echo kept")
    with worker(pools, children) as started:
        pools.wait_for(after)
        started.tell(GRACEFUL)
        assert started.left()
    assert pools.history(job) == ["completed"]
    assert pools.output(after) == "kept\n"


def test_short_jobs_leave_a_file_only_if_they_wrote_anything(
    pools: Pools, children: Children
) -> None:
    jobs = [pools.enqueue(command) for command in ("true", "echo one", "true", "echo two")]
    with worker(pools, children) as started:
        pools.wait_for(jobs[-1])
        started.tell(GRACEFUL)
        assert started.left()
    assert [pools.attempts(job)[0].output_bytes for job in jobs] == [0, 4, 0, 4]
    assert [pools.output(job) for job in jobs if pools.attempts(job)[0].output_bytes] == [
        "one\n", "two\n",
    ]  # fmt: skip
    assert [path.name for path in pools.home.logs_path.iterdir()] == ["000"]


def test_a_worker_without_means_obeys_at_once(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(logs: Logs, worker: str, seq: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Logs, "create_nameless", failing)
    monkeypatch.setattr(loop, "_LEAST_PAUSE_SECONDS", 1000.0)
    monkeypatch.setattr(loop, "_MOST_PAUSE_SECONDS", 1000.0)
    job = pools.enqueue("true")
    with worker(pools, children) as started:
        until(lambda: pools.history(job) == ["released"], "it was put back")
        started.tell(GRACEFUL)
        assert started.left()
    assert (pools.job(job).state, pools.job(job).attempts) == (State.PENDING, 0)
