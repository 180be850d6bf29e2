"""Jobs that are taken from one queue to another, and jobs in a program's own transaction."""

from __future__ import annotations

import signal
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from conftest import Flam, until

from flam_store import JobSpec, open_store, transaction

JOBS = 200


@pytest.fixture
def elsewhere(flam: Flam) -> Flam:
    return attrs.evolve(flam, home=flam.home.parent / "elsewhere")


def filled(flam: Flam, written: Path) -> None:
    specs = "".join(
        f'{{"id": "job-{number}", "command": "echo $FLAM_JOB_ID >> {written}"}}\n'
        for number in range(JOBS)
    )
    flam.ok("enqueue", "--file", "-", input=specs)


def test_what_is_left_of_a_queue_at_work_is_done_elsewhere(flam: Flam, elsewhere: Flam) -> None:
    written, export = flam.home.parent / "written", flam.home.parent / "jobs.ndjson"
    filled(flam, written)
    flam.start(2)
    until(written.exists, "the jobs run")
    flam.ok("worker", "stop")
    flam.ok("export", export)
    assert stat.S_IMODE(export.stat().st_mode) == 0o600
    before = flam.counts()
    elsewhere.ok("import", export)
    assert elsewhere.counts() == before
    assert elsewhere.ok("export") == flam.ok("export")
    elsewhere.ok("worker", "start", "--foreground", "--drain")
    assert elsewhere.counts()["completed"] == JOBS
    assert sorted(written.read_text().split()) == sorted(f"job-{n}" for n in range(JOBS))
    assert elsewhere.ctl("doctor").returncode == 0


@pytest.mark.parametrize(("point", "jobs"), [("committing", 0), ("committed", JOBS)])
def test_an_import_that_is_killed_around_its_commit_is_whole_or_nothing(
    flam: Flam, elsewhere: Flam, point: str, jobs: int
) -> None:
    filled(flam, flam.home.parent / "written")
    faulty = {**flam.environ, "FLAM_FAULTS": f"this process may fail: {point}=kill"}
    elsewhere.ok("init")
    killed = elsewhere.ctl("import", input=flam.ok("export"), env=faulty)
    assert killed.returncode == -signal.SIGKILL
    assert sum(elsewhere.counts().values()) == jobs
    assert elsewhere.ctl("doctor").returncode == 0


def test_a_job_of_a_programs_own_transaction_is_run_and_its_tables_are_no_fault(
    flam: Flam,
) -> None:
    flam.ok("init")
    database = flam.home / "queue.db"
    open_store(f"sqlite:///{database}").close()
    flam.start(1)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("CREATE TABLE shop_orders (job TEXT)")
        with transaction(db) as queue:
            db.execute("INSERT INTO shop_orders VALUES ('a')")
            queue.enqueue(JobSpec(command="true", id="a"))
    flam.ok("wait", "a", "--timeout", "60")
    flam.ok("worker", "stop")
    assert "shop_orders" in flam.ok("doctor")
