"""A backup of a queue at work, and the way back."""

from __future__ import annotations

import os
import signal
import stat
from collections import Counter
from pathlib import Path

import pytest
from conftest import Flam, until
from test_kill import history, is_alive, pids, supervisor_of

JOBS = 400


def started(flam: Flam, written: Path) -> int:
    return len(written.read_text().split()) if written.exists() else 0


def test_every_job_of_a_backup_that_was_made_at_work_runs_after_a_restore(flam: Flam) -> None:
    written, backup = flam.home.parent / "written", flam.home.parent / "backup"
    gate = flam.home.parent / "gate"
    held = f"until [ -e {gate} ]; do sleep 0.02; done; "
    specs = "".join(
        f'{{"id": "job-{number}", "command": "{held if number > JOBS // 2 else ""}'
        f'echo $FLAM_JOB_ID >> {written}"}}\n'
        for number in range(JOBS)
    )
    flam.ok("enqueue", "--file", "-", input=specs)
    flam.start(4)
    until(lambda: started(flam, written) > JOBS // 10, "the jobs run")
    made = flam.json("backup", backup)
    gate.touch()
    assert (made["jobs"], made["size_bytes"]) == (JOBS, backup.stat().st_size)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    flam.until_quiet()
    flam.ok("worker", "stop")
    assert flam.counts()["completed"] == JOBS

    restored = flam.json("restore", backup)
    before = flam.counts()
    assert restored["jobs"] == JOBS == sum(before.values())
    # Of jobs as short as these a worker claims up to 32 at once.
    assert restored["processing"] == before["processing"] <= 4 * 32
    assert 0 < before["completed"] < JOBS
    written.unlink()
    flam.start(4)
    flam.until_quiet()
    flam.ok("worker", "stop")
    assert flam.counts()["completed"] == JOBS
    ran = Counter(written.read_text().split())
    assert len(ran) == JOBS - before["completed"]
    assert set(ran.values()) == {1}
    assert flam.ctl("doctor").returncode == 0


def test_what_was_processing_is_recovered_as_crashed(flam: Flam) -> None:
    gate, backup = flam.home.parent / "gate", flam.home.parent / "backup"
    command = f"[ $FLAM_ATTEMPT -gt 1 ] || until [ -e {gate} ]; do sleep 0.02; done; echo done"
    flam.ok("enqueue", "--id", "slow", "--", "sh", "-c", command)
    flam.start(1)
    until(lambda: flam.state("slow") == "processing", "the job runs")
    flam.ok("backup", backup)
    gate.touch()
    flam.until_quiet()
    flam.ok("worker", "stop")
    assert flam.json("restore", backup)["processing"] == 1
    flam.ok("worker", "start", "--foreground", "--drain")
    assert history(flam, "slow") == [(1, "crashed"), (2, "completed")]


def test_a_restore_is_refused_while_workers_run(flam: Flam) -> None:
    backup = flam.home.parent / "backup"
    flam.ok("enqueue", "--id", "old", "--", "true")
    flam.ok("backup", backup)
    flam.start(2)
    flam.ok("enqueue", "--id", "new", "--delay", "1d", "--", "true")
    refused = flam.ctl("restore", backup)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
    assert all(str(pid) in refused.stderr for pid in pids(flam))
    assert flam.state("new") == "pending"
    flam.ok("worker", "stop")
    flam.ok("restore", backup)
    assert flam.ctl("show", "new").returncode == 3


@pytest.mark.parametrize("damage", [None, b"no database at all " * 999, b""])
def test_a_wal_that_a_killed_pool_left_does_no_harm(flam: Flam, damage: bytes | None) -> None:
    backup = flam.home.parent / "backup"
    flam.ok("enqueue", "--id", "old", "--", "true")
    flam.ok("backup", backup)
    flam.start(1)
    (worker,) = pids(flam)
    supervisor = supervisor_of(worker)
    lines = "".join('{"command": "true", "delay": "1d"}\n' for _ in range(500))
    flam.ok("enqueue", "--file", "-", input=lines)
    for pid in (supervisor, worker):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(worker) and not is_alive(supervisor), "the pool is dead")
    assert os.stat(flam.home / "queue.db-wal").st_size > 0
    if damage is not None:
        (flam.home / "queue.db").write_bytes(damage)
    kept = flam.json("restore", backup)["kept"]
    assert os.listdir(kept)
    assert [job["id"] for job in flam.json("list")] == ["old"]
    assert flam.ctl("doctor").returncode == 0
    flam.ok("worker", "start", "--foreground", "--drain")
    assert flam.state("old") == "completed"


def test_the_queue_that_was_replaced_can_be_put_back_and_looked_at(flam: Flam) -> None:
    backup = flam.home.parent / "backup"
    flam.ok("enqueue", "--id", "old", "--", "true")
    flam.ok("backup", backup)
    flam.ok("enqueue", "--id", "new", "--", "true")
    kept = Path(flam.json("restore", backup)["kept"])
    other = Flam(kept, flam.environ)
    assert [job["id"] for job in other.json("list")] == ["new", "old"]
    flam.ok("restore", kept / "queue.db")
    assert [job["id"] for job in flam.json("list")] == ["new", "old"]


def test_a_backup_never_overwrites_unless_it_is_told_to(flam: Flam) -> None:
    backup = flam.home.parent / "backup"
    backup.write_text("precious")
    flam.ok("enqueue", "--", "true")
    refused = flam.ctl("backup", backup)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
    assert backup.read_text() == "precious"
    before = os.umask(0)
    try:
        flam.ok("backup", "--force", backup)
    finally:
        os.umask(before)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert sorted(path.name for path in flam.home.parent.iterdir()) == ["backup", "home"]


def test_a_backup_for_which_there_is_no_room_leaves_nothing(flam: Flam) -> None:
    lines = "".join(f'{{"command": "true", "stdin": "{"x" * 9_999}"}}\n' for _ in range(2_000))
    flam.ok("enqueue", "--file", "-", input=lines)
    backup = flam.home.parent / "backup"
    failed = flam.ctl("backup", backup, preexec_fn=short_of_room)
    assert (failed.returncode, failed.stdout) == (5, "")
    assert failed.stderr.count("\n") == 1
    assert sorted(path.name for path in flam.home.parent.iterdir()) == ["home"]


def short_of_room() -> None:
    """No file may grow beyond 4 MiB."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))


@pytest.mark.parametrize(("content", "code"), [(b"", 5), (b"no database " * 999, 5), (None, 2)])
def test_what_is_no_backup_is_refused_and_nothing_is_changed(
    flam: Flam, content: bytes | None, code: int
) -> None:
    backup = flam.home.parent / "backup"
    flam.ok("enqueue", "--id", "job", "--", "true")
    if content is not None:
        backup.write_bytes(content)
        backup.chmod(0o600)
    refused = flam.ctl("restore", backup)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (code, "", 1)
    assert str(backup) in refused.stderr
    assert flam.state("job") == "pending"
    assert not list(flam.home.glob("before-restore-*"))
