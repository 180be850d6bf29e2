"""The least that must work with whatever versions of the packages stand beside each other.

Run in every mix that ``tools/ranges.py`` makes, so it uses nothing that the first release had not.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import SCRIPTS, Flam

with_cli = pytest.mark.skipif(not (SCRIPTS / "queuectl").exists(), reason="no flam-cli here")

ENQUEUE = """
import sys
from flam_store import JobSpec, open_store

with open_store(sys.argv[1]) as store:
    store.enqueue_many([
        JobSpec(command="echo $FLAM_JOB_ID", id="good"),
        JobSpec(command="exit 3", id="bad", max_retries=1, backoff_base=0),
        JobSpec(args=("true",), id="child", after=("good",)),
        JobSpec(command="true", id="unfinished", after=("bad",)),
    ])
"""
TELL = """
import sys
from flam_store import open_store

with open_store(sys.argv[1], create=False) as store:
    for job in reversed(store.jobs(limit=0).jobs):
        print(job.id, job.state, [str(attempt.state) for attempt in store.attempts(job.id)])
"""


def with_the_library(flam: Flam, program: str) -> str:
    url = f"sqlite:///{flam.home}/queue.db"
    done = subprocess.run(
        [sys.executable, "-c", program, url],
        check=False, capture_output=True, text=True, env=flam.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_worker_runs_what_the_library_has_enqueued(flam: Flam) -> None:
    flam.home.mkdir(mode=0o700)
    with_the_library(flam, ENQUEUE)
    done = flam.run("flam-worker", "--home", flam.home, "--count", "2", "--drain")
    assert done.returncode == 0, done.stderr
    assert with_the_library(flam, TELL).splitlines() == [
        "good completed ['completed']",
        "bad dead ['failed', 'failed']",
        "child completed ['completed']",
        "unfinished blocked []",
    ]


@with_cli
def test_queuectl_runs_jobs_and_tells_of_them(flam: Flam) -> None:
    flam.ok("worker", "start", "--count", "2")
    assert [worker["state"] for worker in flam.json("worker", "list")] == ["idle", "idle"]
    flam.ok("enqueue", '[{"id": "a", "command": "echo a"}, {"id": "b", "command": "exit 3"}]')
    flam.ok("enqueue", "--id", "long", "--", "sleep", "600")
    flam.ok("wait", "a", "--timeout", "60")
    assert flam.ok("logs", "a") == "a\n"
    assert flam.json("cancel", "long")[0]["state"] == "cancelled"
    assert flam.json("show", "b")["history"][0]["exit_code"] == 3
    flam.ok("queue", "pause", "default")
    flam.ok("queue", "resume", "default")
    flam.ok("worker", "stop", "--now")
    assert flam.json("worker", "list") == []
    assert flam.counts()["processing"] == 0
    assert flam.json("doctor")["sound"]
