"""What a script reads: exactly these keys, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from flam_store import State, Store, open_store, shapes
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    OUTCOMES,
    WORKER,
    claimed,
    registration,
    run,
    spec,
    stored_in,
)

JOB = [
    "id", "command", "state", "queue", "priority", "attempts", "max_retries", "created_at",
    "updated_at", "run_at", "exit_code", "error", "args", "backoff_base", "backoff_max",
    "backoff_jitter", "timeout", "cwd", "env", "stdin_bytes", "after", "after_policy", "unique_key",
    "labels", "success_codes", "no_retry_on", "on_success", "on_failure", "on_dead",
]  # fmt: skip
ATTEMPT = [
    "attempt", "state", "worker", "started_at", "finished_at", "exit_code", "signal", "cause",
    "error", "output_bytes",
]  # fmt: skip


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{path}", clock=FakeClock()) as store:
        yield store


@pytest.mark.parametrize("state", State)
def test_a_job_has_exactly_its_keys_in_every_state(store: Store, state: State) -> None:
    shape = shapes.job(stored_in(store, state))
    assert list(shape) == JOB
    assert shape["state"] == state.value
    assert json.loads(json.dumps(shape)) == shape


def test_a_jobs_values_are_those_a_script_expects(store: Store) -> None:
    job = store.enqueue(
        spec(
            "j",
            command=None,
            args=("printf", "a b"),
            env={"TOKEN": "hush", "EMPTY": ""},
            stdin="hush\u20ac",
            timeout=timedelta(seconds=1.5),
            labels={"a": "b"},
            delay=timedelta(milliseconds=1),
        )
    )
    shape = shapes.job(job)
    assert shape["command"] == "printf 'a b'"
    assert shape["args"] == ["printf", "a b"]
    assert (shape["timeout"], shape["stdin_bytes"], shape["labels"]) == (1.5, 7, {"a": "b"})
    assert shape["created_at"] == "2027-01-15T08:00:00.000000Z"
    assert shape["run_at"] == "2027-01-15T08:00:00.001000Z"
    assert shape["env"] == {"TOKEN": "***", "EMPTY": "***"}
    assert "hush" not in json.dumps(shape)


def test_history_is_a_list_of_attempts_oldest_first(store: Store) -> None:
    store.enqueue(spec("j"))
    run(store, OUTCOMES["released"])
    claimed(store)
    shape = shapes.job_with_history(store.job("j"), store.attempts("j"))
    assert list(shape) == [*JOB, "history"]
    assert [list(attempt) for attempt in shape["history"]] == [ATTEMPT, ATTEMPT]
    first, second = shape["history"]
    assert (first["attempt"], first["state"]) == (1, "released")
    assert (second["attempt"], second["state"], second["worker"]) == (2, "running", WORKER)
    assert second["finished_at"] is second["exit_code"] is second["signal"] is None


def test_the_overview_has_every_state_and_its_workers(store: Store) -> None:
    stored_in(store, State.PROCESSING)
    (record,) = store.workers()
    worker = shapes.worker(record, "running", 1.5, 1024)
    shape = shapes.overview(store.overview(), [worker])
    assert list(shape) == ["counts", "queues", "workers", "oldest_due_at", "rates"]
    assert shape["counts"] == {state.value: int(state is State.PROCESSING) for state in State}
    assert list(worker) == ["id", "pid", "host", "state", "job", "started_at", "cpu_percent",
                            "rss_bytes"]  # fmt: skip
    assert (worker["job"], worker["pid"]) == ("j", registration().process.pid)
    (queue,) = shape["queues"]
    assert list(queue) == ["name", "counts", "paused_at", "paused_by", "note", "concurrency"]
    assert [list(rate) for rate in shape["rates"]] == [
        ["seconds", "completed", "failed", "wait_seconds", "run_seconds"]
    ] * 2
    assert json.loads(json.dumps(shape)) == shape


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC), "9999-12-31T23:59:59.999000Z"),
    ],
)
def test_an_instant_is_iso_8601_in_utc_with_six_decimals(at: datetime, text: str) -> None:
    assert shapes.instant(at) == text
    assert datetime.fromisoformat(text) == at
    assert shapes.instant(None) is None
    elsewhere = timezone(timedelta(hours=2 if at.year < 2000 else -2))
    assert shapes.instant(at.astimezone(elsewhere)) == text


def test_a_job_of_the_first_and_of_the_last_year_can_be_stored_and_shown(store: Store) -> None:
    for job_id, year in (("first", 1), ("last", 9999)):
        store.enqueue(spec(job_id, run_at=datetime(year, 6, 1, tzinfo=UTC)))
        run_at = shapes.job(store.job(job_id))["run_at"]
        assert run_at == f"{year:04}-06-01T00:00:00.000000Z"
