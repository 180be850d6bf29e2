"""Queues that earlier versions have written, and one of a later version."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Flam

DATABASES = sorted(path.parent for path in Path(__file__).parent.glob("databases/*/queue.db"))
RUN = {"completed", "failed", "released", "processing", "low", "first", "second", "high",
       "free", "limited", "rare", "hooked"}  # fmt: skip


@pytest.fixture(params=DATABASES, ids=lambda path: path.name)
def told(request: pytest.FixtureRequest, flam: Flam) -> dict[str, Any]:
    """What the version that wrote the queue told of it. The queue is in the data directory."""
    flam.home.mkdir(mode=0o700)
    shutil.copyfile(request.param / "queue.db", flam.home / "queue.db")
    os.chmod(flam.home / "queue.db", 0o600)
    contents: dict[str, Any] = json.loads((request.param / "contents.json").read_text())
    return contents


def statement(flam: Flam, sql: str) -> Any:
    with closing(sqlite3.connect(flam.home / "queue.db", isolation_level=None)) as db:
        return db.execute(sql).fetchall()


def finished(flam: Flam) -> dict[str, Any]:
    return {job["id"]: job for job in flam.json("list", "--limit", "0")
            if job["state"] == "completed"}  # fmt: skip


def agrees(now: Any, then: Any) -> None:
    """What was told then is told now; there may be more of it."""
    for new, old in zip(now, then, strict=True):
        assert {key: new[key] for key in old} == old


def test_there_is_a_specimen_of_every_schema() -> None:
    files = [json.loads((path / "contents.json").read_text()) for path in DATABASES]
    assert {1, 2} <= {each["schema"] for each in files}


def test_a_queue_of_an_earlier_version_is_told_as_it_was(flam: Flam, told: dict[str, Any]) -> None:
    agrees(flam.json("list", "--limit", "0"), [_without_history(job) for job in told["jobs"]])
    assert flam.counts() == told["counts"]
    agrees(flam.json("queue", "list"), told["queues"])
    agrees(flam.json("schedule", "list"), told.get("schedules", []))


def test_the_history_of_its_jobs_is_told_as_it_was(flam: Flam, told: dict[str, Any]) -> None:
    for job in (job for job in told["jobs"] if job["history"]):
        agrees(flam.json("show", job["id"])["history"], job["history"])


def test_it_is_whole(flam: Flam, told: dict[str, Any]) -> None:
    assert flam.json("doctor")["sound"]


def test_its_jobs_are_run_in_their_order_and_leave_it_whole(
    flam: Flam, told: dict[str, Any]
) -> None:
    flam.ok("config", "set", "lease_seconds", "3")  # so often does a pool look for lost workers
    flam.ok("worker", "start", "--foreground", "--drain")
    wanted = RUN & {job["id"] for job in told["jobs"]}
    done = finished(flam)
    assert wanted <= done.keys()
    starts = {name: flam.json("show", name)["history"][-1]["started_at"]
              for name in ("high", "first", "second", "low")}  # fmt: skip
    assert sorted(starts, key=starts.__getitem__) == ["high", "first", "second", "low"]
    assert flam.ok("logs", "rare") == "Grüße\nhello\n"
    lost = flam.json("show", "processing")["history"]
    assert [attempt["state"] for attempt in lost] == ["crashed", "completed"]
    assert {name: flam.state(name) for name in ("later", "child", "paused", "dead")} == {
        "later": "pending", "child": "blocked", "paused": "pending", "dead": "dead",
    }  # fmt: skip
    flam.ok("config", "unset", "lease_seconds")  # of which doctor warns
    findings = flam.json("doctor")["findings"]
    waits = "schedules"  # for a worker, and none runs
    assert {each["subject"] for each in findings if each["level"] != "pass"} <= {waits}
    (schema,) = (each["text"] for each in findings if each["subject"] == "schema")
    assert schema.endswith("as Flam made it")


def test_it_can_be_backed_up_exported_and_imported(
    flam: Flam, told: dict[str, Any], tmp_path: Path
) -> None:
    lines = flam.ok("export")
    assert len(lines.splitlines()) == len(["first line", *told["jobs"], "last line"])
    flam.ok("backup", tmp_path / "copy.db")
    other = Flam(tmp_path / "other", flam.environ)
    assert other.ctl("import", "-", input=lines).returncode == 0
    assert len(other.json("list", "--limit", "0")) == len(told["jobs"])


@pytest.mark.parametrize("arguments", [
    ("enqueue", "--", "true"), ("list",), ("status",), ("worker", "start"), ("worker", "stop"),
], ids=" ".join)  # fmt: skip
def test_queuectl_says_that_a_queue_is_of_a_later_version(
    flam: Flam, arguments: tuple[str, ...]
) -> None:
    flam.ok("enqueue", "--id", "old", "--", "true")
    known = made_later(flam)
    refused(flam.ctl(*arguments), flam, known)


def test_flam_worker_says_that_a_queue_is_of_a_later_version(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "old", "--", "true")
    known = made_later(flam)
    refused(flam.run("flam-worker", "--home", flam.home, "--drain"), flam, known)


def made_later(flam: Flam) -> int:
    """Give the queue the number of a later schema; the one that this version knows."""
    ((known,),) = statement(flam, "PRAGMA user_version")
    statement(flam, f"PRAGMA user_version = {known + 1}")
    return int(known)


def refused(done: Any, flam: Flam, known: int) -> None:
    """In one line, with what to do, and with the queue left as it is."""
    assert (done.returncode, done.stdout) == (5, "")
    (line,) = done.stderr.splitlines()
    assert f"queue.db was made by schema {known + 1}; this Flam knows up to {known}" in line
    assert line.endswith("Install a later flam-store.")
    assert statement(flam, "SELECT id, state FROM jobs") == [("old", "pending")]


def _without_history(job: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key != "history"}
