"""Schedules through the installed executables."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

from conftest import Flam, until

YEAR_MS = 366 * 86_400_000


def make_due(flam: Flam, name: str) -> None:
    """As if nobody had looked since a tick some years ago; the next one is far."""
    with closing(sqlite3.connect(flam.home / "queue.db", isolation_level=None)) as db:
        at = round(time.time() * 1_000) - 2 * YEAR_MS
        db.execute("UPDATE schedules SET next_at = ? WHERE name = ?", (at, name))


def job_of(flam: Flam, name: str) -> Any:
    found = until(lambda: flam.json("list", "--label", f"schedule={name}"), f"a job of {name}")
    assert len(found) == 1
    return found[0]


def test_what_is_due_is_run_by_a_pool_that_drains(flam: Flam) -> None:
    flam.ok(
        "schedule", "add", "year", "--cron", "@yearly", "--catch-up", "last", "--", "echo", "hi"
    )
    make_due(flam, "year")
    flam.ok("worker", "start", "--foreground", "--drain")
    job = job_of(flam, "year")
    assert (job["state"], flam.ok("logs", job["id"])) == ("completed", "hi\n")
    caught, missed = flam.json("schedule", "show", "year")["ticks"]
    assert (caught["job"], caught["state"]) == (job["id"], "completed")
    assert "missed" in missed["skipped"]


def test_a_running_pool_notices_a_schedule_that_becomes_due(flam: Flam) -> None:
    flam.ok("config", "set", "lease-seconds", "1d")
    flam.start(2)
    added = flam.ctl("schedule", "add", "year", "--cron", "@yearly", "--catch-up", "last", "--",
                     "true")  # fmt: skip
    assert (added.returncode, added.stderr) == (0, "")
    make_due(flam, "year")
    flam.ok("schedule", "add", "tell", "--cron", "@yearly", "--", "true")
    flam.ok("wait", job_of(flam, "year")["id"])
    by_hand = flam.ok("schedule", "run", "tell").strip()
    flam.ok("wait", by_hand)
    flam.ok("doctor")


def test_schedules_survive_a_backup_and_its_restore(flam: Flam) -> None:
    flam.ok("schedule", "add", "daily", "--cron", "@daily", "--timezone", "UTC", "--", "true")
    flam.ok("schedule", "run", "daily")
    before = flam.json("schedule", "show", "daily")
    copy = flam.home.parent / "copy"
    flam.ok("backup", copy)
    flam.ok("schedule", "remove", "daily")
    flam.ok("restore", copy)
    assert flam.json("schedule", "show", "daily") == before
