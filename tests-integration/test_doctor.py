"""What is wrong is told, and what is safe to mend is mended, over the installed executables."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Flam, until
from test_kill import history, is_alive, pids, supervisor_of


def examined(flam: Flam, *words: str) -> dict[str, Any]:
    """The document that doctor prints, with whatever exit code belongs to it."""
    done = flam.ctl("--json", "doctor", *words)
    document: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0 if document["sound"] else 1, "")
    return document


def faults(flam: Flam) -> set[tuple[str, str]]:
    return {(each["level"], each["subject"])
            for each in examined(flam)["findings"] if each["level"] != "pass"}  # fmt: skip


def mended(flam: Flam) -> set[str]:
    return {each["subject"] for each in examined(flam, "--repair")["repairs"]}


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in (folder, *folder.rglob("*"))}  # fmt: skip


def spoil(flam: Flam, statement: str) -> None:
    with closing(sqlite3.connect(flam.home / "queue.db", isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(statement)


@pytest.fixture
def used(flam: Flam) -> Flam:
    """A queue that has run some jobs, and has one that waits."""
    flam.ok("enqueue", '[{"id": "a", "command": "echo a"}, {"id": "b", "command": "true"}]')
    flam.ok("enqueue", "--id", "bad", "--max-retries", "0", "--", "sh", "-c", "echo no; exit 1")
    flam.ok("worker", "start", "--foreground", "--drain")
    flam.ok("enqueue", "--id", "later", "--delay", "1d", "--", "true")
    return flam


def test_where_there_is_nothing_it_says_so(flam: Flam) -> None:
    assert faults(flam) == set()
    assert not flam.home.exists()


def test_a_used_queue_is_sound_and_a_look_changes_nothing(used: Flam) -> None:
    before = contents(used.home)
    assert faults(used) == set()
    assert contents(used.home) == before
    assert mended(used) == set()
    assert contents(used.home) == before


def test_a_queue_at_work_is_sound(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "long", "--", "sleep", "1000")
    flam.start(2)
    until(lambda: flam.state("long") == "processing", "the job runs")
    assert faults(flam) == set()
    assert mended(flam) == set()
    assert flam.state("long") == "processing"
    assert len(pids(flam)) == 2


def a_log(flam: Flam) -> Path:
    return next(flam.home.glob("logs/000/*.log"))


def loose(name: str, mode: int) -> Callable[[Flam], None]:
    return lambda flam: (flam.home / name).chmod(mode)


def another_log(flam: Flam) -> None:
    path = flam.home / "logs" / "007" / "7001-1.log"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)


def silent_bell(flam: Flam) -> None:
    folder = flam.home / "queue.db-bells"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.mkfifo(folder / "dead", 0o600)


def configured(text: str) -> Callable[[Flam], None]:
    def configure(flam: Flam) -> None:
        (flam.home / "config.json").write_text(text)
        (flam.home / "config.json").chmod(0o600)

    return configure


def said(statement: str) -> Callable[[Flam], None]:
    return lambda flam: spoil(flam, statement)


BROKEN: dict[str, tuple[Callable[[Flam], Any], set[tuple[str, str]], bool]] = {
    "an open directory": (loose("", 0o770), {("fail", "directory")}, True),
    "a database that others write": (
        loose("queue.db", 0o662), {("fail", "directory"), ("fail", "queue")}, True),
    "logs that others read": (lambda flam: a_log(flam).chmod(0o644), {("warn", "directory")}, True),
    "a corrupt config": (configured("{"), {("fail", "config")}, False),
    "a config that fights itself": (
        configured('{"backoff_base": 9, "backoff_max": 1}'), {("warn", "config")}, False),
    "wrong counters": (
        said("UPDATE counters SET jobs = 9 WHERE state = 'dead'"), {("fail", "counters")}, True),
    "a flag that is missing": (
        said("UPDATE jobs SET ready = NULL WHERE id = 'later'"),
        {("fail", "waiting"), ("fail", "integrity")}, True),
    "an index that is missing": (said("DROP INDEX jobs_due"), {("fail", "schema")}, False),
    "a job of nobody": (
        said("UPDATE jobs SET state = 'processing', ready = NULL WHERE id = 'later'"),
        {("fail", "attempts")}, False),
    "a row that cannot be read": (
        said("UPDATE jobs SET options = '[]' WHERE id = 'bad'"), {("fail", "rows")}, False),
    "a time in the future": (
        said("UPDATE jobs SET updated_at = updated_at + 9999999 WHERE id = 'bad'"),
        {("warn", "clock")}, False),
    "a worker that is silent": (
        said("INSERT INTO workers VALUES ('w', 'worker', NULL, 'elsewhere', 'b', 1, '1', NULL, 1, "
             "1, 1, NULL)"), {("warn", "workers")}, False),
    "output that is gone": (lambda flam: a_log(flam).unlink(), {("warn", "output")}, False),
    "output of another queue": (another_log, {("warn", "output")}, False),
    "a bell of the dead": (silent_bell, {("warn", "bells")}, True),
    "garbage": (lambda flam: (flam.home / "queue.db").write_bytes(b"none " * 999),
                {("fail", "queue")}, False),
    "half a database": (lambda flam: os.truncate(flam.home / "queue.db", 30_000),
                        {("fail", "queue")}, False),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found_and_only_what_is_safe_is_mended(used: Flam, case: str) -> None:
    happen, expected, is_safe = BROKEN[case]
    happen(used)
    before = contents(used.home)
    assert faults(used) == expected
    assert contents(used.home) == before
    for line in used.ctl("doctor").stdout.splitlines():
        assert line.startswith(("pass  ", "warn  ", "fail  ", "      ")) or line.endswith(".")
    assert bool(mended(used)) is is_safe
    assert faults(used) == (set() if is_safe else expected)
    if is_safe:
        assert {job["id"] for job in used.json("list")} == {"a", "b", "bad", "later"}


def test_output_of_purged_jobs_is_deleted(used: Flam) -> None:
    path = a_log(used)
    kept = path.read_bytes()
    used.ok("dlq", "purge")
    used.ok("purge", "--state", "completed", "--older-than", "0s")
    assert faults(used) == set()
    path.write_bytes(kept)
    path.chmod(0o600)
    assert faults(used) == {("warn", "output")}
    assert mended(used) == {"output"}
    assert not path.exists()
    assert faults(used) == set()


def test_what_a_killed_pool_held_is_put_back_by_repair_without_a_pool(flam: Flam) -> None:
    told = flam.home.parent / "told"
    flam.ok("enqueue", "--id", "long", "--", "sh", "-c", f"echo $$ > {told}; sleep 1000")
    flam.start(2)
    first = int(until(lambda: told.exists() and told.read_text(), "the job runs"))
    workers = list(pids(flam))
    supervisor = supervisor_of(workers[0])
    for pid in (supervisor, *workers):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(is_alive, (supervisor, *workers))), "the pool is dead")
    assert {("fail", "workers"), ("warn", "workers")} <= faults(flam)
    assert is_alive(first)
    assert "workers" in mended(flam)
    assert not is_alive(first)
    assert history(flam, "long") == [(1, "crashed")]
    assert flam.state("long") == "failed"
    assert faults(flam) == set()
    assert pids(flam) == {}


def test_what_an_ended_attempt_left_is_ended(used: Flam) -> None:
    with closing(sqlite3.connect(used.home / "queue.db")) as db:
        ((worker, seq),) = db.execute(
            "SELECT worker, seq FROM attempts ORDER BY seq LIMIT 1"
        ).fetchall()
    environment = {**used.environ, "FLAM_COOKIE": f"{worker}:{seq}:1"}
    with subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True) as process:
        assert faults(used) == {("warn", "processes")}
        assert process.poll() is None
        assert mended(used) == {"processes"}
        assert process.wait() == -signal.SIGTERM
    assert faults(used) == set()


def test_damage_in_the_middle_is_told_line_by_line(used: Flam) -> None:
    lines = "".join(f'{{"command": "true", "stdin": "{"x" * 999}"}}\n' for _ in range(300))
    used.ok("enqueue", "--file", "-", input=lines)
    path = used.home / "queue.db"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 20_000] = os.urandom(20_000)
    path.write_bytes(whole)
    before = contents(used.home)
    assert ("fail", "integrity") in faults(used)
    done = used.ctl("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert "queuectl restore FILE" in done.stdout
    assert contents(used.home) == before
