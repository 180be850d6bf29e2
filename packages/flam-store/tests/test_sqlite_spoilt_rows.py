"""Rows that another program has written: no reason to stop for anybody else's job."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from flam_store import JobSpec, State, open_store
from flam_store.outcome import Completed, Result
from flam_store.testing.given import WORKER, claimed
from flam_store.worker import ProcessId, Registration, Role

SPOILT = {
    "an array for options": ("options", "[]"),
    "a text for options": ("options", '"x"'),
    "args that are a number": ("options", '{"args": 5}'),
    "args of numbers": ("options", '{"args": [5]}'),
    "env that is an array": ("options", '{"env": [1]}'),
    "env of numbers": ("options", '{"env": {"A": 1}}'),
    "stdin that is a number": ("options", '{"stdin": 3}'),
    "hooks that are numbers": ("options", '{"on_success": 1, "on_failure": 2, "on_dead": 3}'),
    "hooks in a row that cannot be read": ("options", '{"on_dead": "x", "args": 5}'),
    "exit codes that are texts": ("options", '{"success_codes": ["0"]}'),
    "a time beyond the calendar": ("created_at", 9 * 10**18),
    "a time before the calendar": ("run_at", -9 * 10**18),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_row_can_be_looked_at_and_becomes_a_dead_letter(tmp_path: Path, case: str) -> None:
    column, value = SPOILT[case]
    path = tmp_path / "queue.db"
    worker = Registration(
        id="w",
        role=Role.WORKER,
        process=ProcessId(host="h", boot="b", pid=2, born="1"),
        lease=timedelta(seconds=30),
    )
    with open_store(f"sqlite:///{path}") as store:
        store.enqueue(JobSpec(command="true", id="spoilt"))
        store.enqueue(JobSpec(command="true", id="sound"))
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"UPDATE jobs SET {column} = ? WHERE id = 'spoilt'", (value,))
    db.close()
    with open_store(f"sqlite:///{path}") as store:
        assert [job.id for job in store.jobs().jobs] == ["sound", "spoilt"]
        assert store.overview().oldest_due_at is not None
        store.register(worker)
        (claim,) = store.finish([], worker_id="w", want=1).claims
        assert claim.job.id == "sound"
        assert store.job("spoilt").state is State.DEAD
        assert "cannot be read" in str(store.job("spoilt").error)


def test_a_hook_of_a_row_that_was_spoilt_meanwhile_is_left_out_and_the_outcome_stands(
    tmp_path: Path,
) -> None:
    path = tmp_path / "queue.db"
    for change in ("queue = '/'", "priority = 0, options = '{\"on_success\": 7}'",
                   "options = '{\"on_success\": \"\"}'", "created_at = 1 << 60"):  # fmt: skip
        with open_store(f"sqlite:///{path}") as store:
            job = store.enqueue(JobSpec(command="true", on_success="x"))
            claim = claimed(store)
            db = sqlite3.connect(path, isolation_level=None)
            db.execute(f"UPDATE jobs SET {change} WHERE seq = {job.seq}")
            db.close()
            run = Result(seq=job.seq, attempt=claim.attempt, outcome=Completed())
            assert store.finish([run], worker_id=WORKER).refused == ()
            assert [each.state for each in store.jobs(limit=1).jobs] == [State.COMPLETED]


def test_a_row_without_any_command_becomes_a_dead_letter(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with open_store(f"sqlite:///{path}") as store:
        store.enqueue(JobSpec(args=("true",), id="empty"))
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("UPDATE jobs SET options = '{}'")
    db.close()
    with open_store(f"sqlite:///{path}") as store:
        store.register(
            Registration(
                id="w",
                role=Role.WORKER,
                process=ProcessId(host="h", boot="b", pid=2, born="1"),
                lease=timedelta(seconds=30),
            )
        )
        assert store.finish([], worker_id="w", want=1).claims == ()
        assert store.job("empty").state is State.DEAD
