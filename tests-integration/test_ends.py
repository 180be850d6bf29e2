"""What follows from the end of a job: its children, its hooks, and its deletion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import Flam, until


def hooks(flam: Flam, of: str) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = flam.json("list", "--label", f"hook-of={of}")
    return jobs[::-1]


def drain(flam: Flam) -> None:
    done = flam.run("flam-worker", "--home", flam.home, "--drain")
    assert done.returncode == 0, done.stderr


def test_the_end_of_a_job_sets_off_what_it_names(flam: Flam) -> None:
    tell = 'echo "$FLAM_HOOK $FLAM_HOOK_JOB_ID $FLAM_HOOK_EXIT_CODE $FLAM_HOOK_ERROR"; cat'
    flam.ok("config", "set", "on-dead", tell)
    flam.ok("enqueue", "--id", "usage", "--no-retry-on", "64", "--", "sh", "-c", "exit 64")
    flam.ok("enqueue", "--id", "warned", "--success-codes", "0,3", "--on-success", tell,
            "--", "sh", "-c", "exit 3")  # fmt: skip
    flam.ok("enqueue", "--id", "after", "--after", "usage", "--after-policy", "any", "--", "true")
    flam.ok("enqueue", "--id", "never", "--after", "usage", "--", "true")
    drain(flam)
    assert [flam.state(job) for job in ("usage", "warned", "after", "never")] == [
        "dead", "completed", "completed", "blocked"
    ]  # fmt: skip
    (dead,), (good,) = hooks(flam, "usage"), hooks(flam, "warned")
    assert (dead["state"], good["state"]) == ("completed", "completed")
    first, told = flam.ok("logs", dead["id"]).splitlines()
    assert first == "on_dead usage 64 exit code 64, which is not retried"
    assert json.loads(told)["history"][0]["exit_code"] == 64
    assert flam.ok("logs", good["id"]).startswith("on_success warned 3 \n")
    assert hooks(flam, dead["id"]) == []


def test_a_dead_letter_that_a_blocked_job_needs_outlives_a_purge(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "parent", "--max-retries", "0", "--", "false")
    flam.ok("enqueue", "--id", "child", "--after", "parent", "--", "true")
    drain(flam)
    assert flam.json("dlq", "purge", "--yes") == {"count": 0}
    flam.ok("cancel", "child")
    assert flam.json("dlq", "purge", "--yes") == {"count": 1}


def test_a_running_pool_deletes_what_is_older_than_it_is_kept(flam: Flam) -> None:
    flam.ok("config", "set", "lease-seconds", "3")
    flam.start(1)
    flam.ok("enqueue", "--id", "old", "--", "echo", "out")
    flam.ok("wait", "old")
    flam.ok("config", "set", "keep-completed", "0")
    until(lambda: flam.ctl("show", "old").returncode == 3, "the job is deleted")
    folder = Path(flam.home) / "logs"
    until(lambda: not list(folder.glob("*/*-*.log")), "its output is deleted")
