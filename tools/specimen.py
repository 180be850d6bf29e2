#!/usr/bin/env python3
"""Writes a small queue with something of everything, by the flam-store that is installed.

Into a folder of ``tests-integration/databases``: ``queue.db``, and in ``contents.json`` what that
version tells of it. Every later version must open it and find the same. ``release.py`` adds one
for each release of flam-store.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from flam_store import shapes
from flam_store.job import Claim, JobSpec
from flam_store.opening import open_store
from flam_store.outcome import Cancelled, Completed, Dead, Failure, Outcome, Released, Result, Retry
from flam_store.state import AttemptState
from flam_store.store import Store
from flam_store.worker import ProcessId, Registration, Role

LATER = datetime(2100, 1, 1, tzinfo=UTC)
BEGIN_MILLIS = 1_767_225_600_000  # 2026-01-01
WORKER, SUPERVISOR = "worker-of-the-specimen", "supervisor-of-the-specimen"
FAILURE = Failure(state=AttemptState.FAILED, cause="exit 1", error="exit code 1", exit_code=1)
TIMEOUT = Failure(state=AttemptState.TIMEOUT, cause="timeout", error="ran longer than 1 s")
ENDS: dict[str, Outcome] = {
    "completed": Completed(),
    "failed": Retry(failure=FAILURE, delay=timedelta(seconds=2)),
    "dead": Dead(failure=TIMEOUT),
    "cancelled": Cancelled(signal="SIGTERM"),
    "released": Released(reason="the worker was stopped"),
}


def main(folder: Path) -> int:
    """Write both files; the folder must not exist."""
    folder.mkdir(parents=True)
    path = folder / "queue.db"
    with open_store(f"sqlite:///{path.absolute()}", clock=seconds()) as store:
        fill(store)
        told = contents(store)
    told = {"schema": packed(path), **told}
    (folder / "contents.json").write_text(json.dumps(told, indent=1) + "\n")
    for left in ("queue.db-gate", "queue.db-wal", "queue.db-shm"):
        (folder / left).unlink(missing_ok=True)
    for bells in folder.glob("queue.db-bells*"):
        bells.rmdir()
    if left_over := set(os.listdir(folder)) - {"queue.db", "contents.json"}:
        raise SystemExit(f"specimen.py: there is more in {folder}: {' '.join(left_over)}")
    print(f"{folder}: schema {told['schema']}, {path.stat().st_size:,} bytes")
    return 0


def seconds() -> Callable[[], int]:
    """A clock that is a second later at each look, from the same time in every specimen."""
    ticks = itertools.count(BEGIN_MILLIS, 1000)
    return lambda: next(ticks)


def fill(store: Store) -> None:
    """Jobs in every state, and all else that a queue has."""
    for registration in registrations():
        store.register(registration)
    for name, outcome in ENDS.items():
        store.enqueue(JobSpec(command=f"echo {name}", id=name, queue=name))
        end(store, claim(store, name), outcome)
    store.retry("completed")
    end(store, claim(store, "completed"), Completed())
    store.enqueue(JobSpec(command="echo processing", id="processing", queue="processing"))
    claim(store, "processing")
    store.enqueue_many(waiting())
    store.cancel("cancelled-before", by="somebody")
    store.pause("paused", by="somebody", note="until Monday")
    store.limit("limited", 1)
    if hasattr(store, "add_schedule"):
        add_schedules(store)


def registrations() -> Iterator[Registration]:
    here = ProcessId(host="host-of-the-specimen", boot="boot", pid=4242, born="17")
    common: dict[str, Any] = {"process": here, "lease": timedelta(seconds=1)}
    yield Registration(id=SUPERVISOR, role=Role.SUPERVISOR, **common)
    yield Registration(id=WORKER, role=Role.WORKER, supervisor=SUPERVISOR, **common)


def waiting() -> Iterator[JobSpec]:
    """Jobs that wait: of one queue in no order, for a time, for others, for nobody."""
    for name, priority in (("low", -1), ("first", 0), ("second", 0), ("high", 7)):
        yield JobSpec(command=f"echo {name}", id=name, queue="order", priority=priority)
    yield JobSpec(command="echo later", id="later", run_at=LATER)
    yield JobSpec(command="echo child", id="child", after=("later", "completed"))
    yield JobSpec(command="echo free", id="free", after=("completed",))
    yield JobSpec(command="echo paused", id="paused", queue="paused")
    yield JobSpec(command="echo limited", id="limited", queue="limited")
    yield JobSpec(command="echo no", id="cancelled-before", queue="paused")
    yield JobSpec(
        args=("sh", "-c", 'cat; echo "$GREETING"'),
        id="rare",
        stdin="Grüße\n",
        env={"GREETING": "hello"},
        cwd="/",
        timeout=timedelta(seconds=30),
        max_retries=5,
        backoff_base=1.5,
        backoff_max=60,
        backoff_jitter=0.25,
        unique_key="rare",
        labels={"batch": "7", "color": "grün"},
    )
    if "on_success" in attrs.fields_dict(JobSpec):
        later_fields: dict[str, Any] = {"after_policy": "any", "success_codes": (0, 3),
                                        "no_retry_on": (4,), "on_success": "echo done"}  # fmt: skip
        yield JobSpec(command="exit 3", id="hooked", after=("dead",), **later_fields)


def add_schedules(store: Store) -> None:
    from flam_store.schedule import CatchUp, Overlap, ScheduleSpec

    job = JobSpec(command="echo nightly", queue="scheduled", labels={"kind": "report"})
    nightly: dict[str, Any] = {"timezone": "Europe/Berlin", "overlap": Overlap.SKIP, "job": job}
    store.add_schedule(ScheduleSpec(name="nightly", cron="30 2 * * *", **nightly))
    rare: dict[str, Any] = {
        "cron": "0 0 1 1 *",
        "catch_up": CatchUp.LAST,
        "job": JobSpec(command="echo year"),
    }
    store.add_schedule(ScheduleSpec(name="stopped", **rare))
    store.pause_schedule("stopped", by="somebody")
    store.run_schedule("nightly")


def claim(store: Store, queue: str) -> Claim:
    (claimed,) = store.finish((), worker_id=WORKER, want=1, queues=[queue]).claims
    return claimed


def end(store: Store, claimed: Claim, outcome: Outcome) -> None:
    seq, attempt = claimed.job.seq, claimed.attempt
    result = Result(seq=seq, attempt=attempt, outcome=outcome, output_bytes=0)
    store.finish([result], worker_id=WORKER)


def contents(store: Store) -> dict[str, Any]:
    """What the commands tell of it with ``--json``; the jobs newest first."""
    overview = store.overview()
    told = {
        "jobs": [
            shapes.job_with_history(job, store.attempts(job.id)) for job in store.jobs(limit=0).jobs
        ],
        "counts": {state.value: count for state, count in overview.counts.items()},
        "queues": [shapes.queue(queue) for queue in overview.queues],
    }
    if hasattr(store, "schedules"):
        told["schedules"] = [shapes.schedule(each) for each in store.schedules()]
    return told


def packed(path: Path) -> int:
    """Make it one small file, with pages as small as they can be, and tell its schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        db.execute("PRAGMA page_size = 512")
        db.execute("VACUUM")
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        ((schema,),) = db.execute("PRAGMA user_version").fetchall()
    return int(schema)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: specimen.py FOLDER")
    sys.exit(main(Path(sys.argv[1])))
