"""Every fault that an examination looks for is found, and what may be mended is."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from forking import Children

from flam_store import JobFilter, State, Store, open_store
from flam_store.errors import StoreMisused
from flam_store.finding import Finding, Level
from flam_store.opening import looking_at
from flam_store.sqlite import examining, mending
from flam_store.sqlite.schema import KNOWN
from flam_store.sqlite.soundness import has_wal_reset_fault
from flam_store.testing.given import OUTCOMES, everything, run, spec, state_of, stored_in


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def filled(path: Path) -> None:
    with open_store(url(path)) as store:
        for state in State:
            stored_in(store, state, state.value, queue=state.value)


def spoil(path: Path, *statements: str) -> None:
    """Write what no verb would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            db.execute(statement)


def faults(path: Path) -> list[Finding]:
    with looking_at(url(path)) as store:
        return [each for each in store.examine() if each.level is not Level.PASS]


def contents(folder: Path) -> dict[str, str]:
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest()
            for each in folder.rglob("*") if each.is_file()}  # fmt: skip


BROKEN = {
    "a counter too high": (
        "counters", Level.FAIL, "UPDATE counters SET jobs = jobs + 1 WHERE state = 'dead'"),
    "a counter that is missing": ("counters", Level.FAIL, "DELETE FROM counters"),
    "a job that nobody holds": (
        "attempts", Level.FAIL, "DELETE FROM attempts WHERE state = 'running'"),
    "a job whose attempt has ended": (
        "attempts", Level.FAIL,
        "UPDATE attempts SET state = 'crashed', finished_at = 1 WHERE state = 'running'"),
    "an attempt of nobody": (
        "attempts", Level.FAIL, "UPDATE attempts SET worker = '' WHERE state = 'running'"),
    "an attempt without its job": (
        "attempts", Level.FAIL, "UPDATE jobs SET state = 'completed' WHERE state = 'processing'"),
    "an attempt with another number": (
        "attempts", Level.FAIL, "UPDATE jobs SET attempt = attempt + 1 WHERE state = 'processing'"),
    "a pending job without its flag": (
        "waiting", Level.FAIL, "UPDATE jobs SET ready = NULL WHERE state = 'pending'"),
    "a finished job with a flag": (
        "waiting", Level.FAIL, "UPDATE jobs SET ready = 1 WHERE state = 'completed'"),
    "a job blocked by nothing": ("waiting", Level.FAIL, "DELETE FROM dependencies"),
    "a job blocked for ever": (
        "waiting", Level.WARN, "UPDATE dependencies SET parent = 999"),
    "options that are none": ("rows", Level.FAIL, "UPDATE jobs SET options = '[]'"),
    "a job without a command": (
        "rows", Level.FAIL, "UPDATE jobs SET command = NULL, options = '{}' WHERE id = 'dead'"),
    "a time beyond the calendar": ("rows", Level.FAIL, "UPDATE jobs SET created_at = 1 << 60"),
    "an attempt beyond the calendar": (
        "rows", Level.FAIL, "UPDATE attempts SET started_at = -(1 << 60)"),
    "a worker of no queues": ("rows", Level.FAIL, "UPDATE workers SET queues = '5'"),
    "a heartbeat of tomorrow": (
        "clock", Level.WARN, "UPDATE workers SET heartbeat_at = heartbeat_at + 86400000"),
    "an attempt of nothing": (
        "integrity", Level.FAIL, "INSERT INTO labels (seq, key, value) VALUES (999, 'a', 'b')"),
    "a trigger that is missing": ("schema", Level.FAIL, "DROP TRIGGER jobs_moved"),
    "a trigger of another": (
        "schema", Level.FAIL,
        "CREATE TRIGGER theirs AFTER INSERT ON jobs BEGIN SELECT 1; END"),
    "an index of another": ("schema", Level.FAIL, "CREATE INDEX theirs ON jobs (command)"),
    "a table that refers to a job": (
        "schema", Level.FAIL, "CREATE TABLE theirs (job TEXT REFERENCES Jobs (id))"),
}  # fmt: skip


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77
exec "$2" -c '
import sys
from flam_store.opening import looking_at
with looking_at(f"sqlite:///{sys.argv[1]}") as store:
    for each in store.examine():
        print(each.level, each.subject, each.text)
' "$1"
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="mounting is for Linux")
def test_a_queue_that_cannot_be_written_is_a_fault(path: Path) -> None:
    filled(path)
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", str(path)]
    done = subprocess.run([*words, sys.executable], check=False, capture_output=True, text=True)
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    lines = [line for line in done.stdout.splitlines() if not line.startswith("pass")]
    assert lines == [f"fail file {path} cannot be written: no job can be enqueued or run"]


def test_a_sound_queue_has_no_faults(path: Path) -> None:
    filled(path)
    assert faults(path) == []


@pytest.mark.parametrize("case", BROKEN)
def test_a_fault_is_found_with_its_mend(path: Path, case: str) -> None:
    subject, level, statement = BROKEN[case]
    filled(path)
    spoil(path, statement)
    found = [each for each in faults(path) if each.subject == subject]
    assert [each.level for each in found if each.level is level], faults(path)
    assert all(each.mend for each in found)


MENDED = ("a counter too high", "a counter that is missing", "a pending job without its flag",
          "a finished job with a flag", "a job blocked by nothing")  # fmt: skip


@pytest.mark.parametrize("case", MENDED)
def test_what_the_rows_can_tell_is_mended_and_no_job_is_lost(path: Path, case: str) -> None:
    filled(path)
    with open_store(url(path)) as store:
        before = {job.id for job in store.jobs(limit=0).jobs}
    spoil(path, BROKEN[case][2])
    with open_store(url(path)) as store:
        repairs = store.mend()
        assert repairs
        assert all(repair.subject and repair.text for repair in repairs)
        assert store.mend() == ()
        assert {job.id for job in store.jobs(limit=0).jobs} == before
        everything(store)
    assert faults(path) == []


@pytest.mark.parametrize("case", sorted(set(BROKEN) - set(MENDED)))
def test_the_rest_is_left_as_it_is(path: Path, case: str) -> None:
    filled(path)
    spoil(path, BROKEN[case][2])
    before = faults(path)
    with open_store(url(path)) as store:
        assert store.mend() == ()
    assert faults(path) == before


def test_a_recount_forgets_no_queue(path: Path) -> None:
    with open_store(url(path)) as store:
        run_and_gone(store)
        spoil(path, "UPDATE counters SET jobs = 7")
        store.mend()
        assert [queue.name for queue in store.overview().queues] == ["default"]


def run_and_gone(store: Store) -> None:
    store.enqueue(spec("j"))
    run(store, OUTCOMES["completed"])
    store.purge(JobFilter())


def test_a_job_with_a_wrong_flag_is_claimed_again_after_the_mend(path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        spoil(path, "UPDATE jobs SET ready = NULL")
        store.mend()
        run(store, OUTCOMES["completed"])
        assert state_of(store) is State.COMPLETED


def tear(path: Path) -> None:
    """Damage the middle of the file, where rows are."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 20_000] = os.urandom(20_000)
    path.write_bytes(whole)


def test_damage_is_a_finding_and_changes_nothing(path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 1_000) for n in range(500))
    tear(path)
    before = contents(path.parent)
    found = faults(path)
    assert "integrity" in {each.subject for each in found}
    assert all("restore" in str(each.mend) for each in found if each.subject == "integrity")
    assert contents(path.parent) == before


@pytest.mark.parametrize("with_gate", [True, False])
def test_looking_makes_and_changes_nothing(path: Path, with_gate: bool) -> None:
    filled(path)
    if not with_gate:
        os.unlink(f"{path}-gate")
    before = contents(path.parent)
    assert faults(path) == []
    assert contents(path.parent) == before


def test_looking_leaves_a_wal_that_a_killed_process_left(path: Path, children: Children) -> None:
    def leave() -> None:
        open_store(url(path)).enqueue(spec("j"))
        os._exit(0)

    assert children.start(leave).wait() == 0
    wal = Path(f"{path}-wal")
    before = (path.read_bytes(), wal.read_bytes())
    assert before[1]
    assert faults(path) == []
    assert (path.read_bytes(), wal.read_bytes()) == before
    with open_store(url(path)) as store:
        assert state_of(store) is State.PENDING


def test_looking_sees_a_missing_queue_as_an_empty_one_and_an_empty_file_as_it_is(
    path: Path,
) -> None:
    with looking_at(url(path)) as store:
        assert everything(store) == ((), ())
        assert {each.level for each in store.examine()} == {Level.PASS}
    assert not path.exists()
    path.touch(mode=0o600)
    with looking_at(url(path)) as store:
        (schema,) = [each for each in store.examine() if each.subject == "schema"]
    assert (schema.level, "empty" in schema.text) == (Level.PASS, True)
    assert path.stat().st_size == 0


def test_looking_does_not_migrate_an_older_schema(path: Path) -> None:
    filled(path)
    spoil(path, f"PRAGMA user_version = {KNOWN - 1}")
    before = contents(path.parent)
    with looking_at(url(path)) as store:
        assert {each.level for each in store.examine()} == {Level.PASS}
    assert contents(path.parent) == before


def test_who_only_looks_cannot_write(path: Path) -> None:
    filled(path)
    with looking_at(url(path)) as store, pytest.raises(StoreMisused):
        store.enqueue(spec("j"))  # type: ignore[attr-defined]


def test_looking_and_writing_go_together(path: Path) -> None:
    filled(path)
    with looking_at(url(path)) as reader, open_store(url(path)) as writer:
        writer.enqueue(spec("new"))
        assert state_of(reader, "new") is State.PENDING
        assert {each.level for each in reader.examine()} == {Level.PASS}


def test_bells_of_the_dead_are_found_and_taken_away(path: Path) -> None:
    filled(path)
    bells = Path(f"{path}-bells")
    bells.mkdir(mode=0o700, exist_ok=True)
    os.mkfifo(bells / "dead", 0o600)
    alive = os.open(bells / "dead", os.O_RDONLY | os.O_NONBLOCK)
    assert faults(path) == []
    os.close(alive)
    (finding,) = faults(path)
    assert (finding.subject, finding.level) == ("bells", Level.WARN)
    with open_store(url(path)) as store:
        (repair,) = store.mend()
    assert repair.subject == "bells"
    assert faults(path) == []


def test_what_a_killed_restore_left_is_found_and_deleted_when_it_is_old(path: Path) -> None:
    filled(path)
    left = path.parent / f".{path.name}.0123.part"
    other = path.parent / ".other.db.0123.part"
    for each in (left, other):
        each.write_bytes(b"part")
    assert faults(path) == []
    for each in (left, other):
        os.utime(each, (1, 1))
    (finding,) = faults(path)
    assert (finding.subject, finding.level) == ("copies", Level.WARN)
    with open_store(url(path)) as store:
        assert [repair.subject for repair in store.mend()] == ["copies"]
    assert (left.exists(), other.exists()) == (False, True)
    assert faults(path) == []


def test_a_large_wal_is_found_and_emptied(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (examining, mending):
        monkeypatch.setattr(module, "LARGE_WAL_BYTES", 1_000)
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        (finding,) = [each for each in store.examine() if each.level is not Level.PASS]
        assert (finding.subject, finding.level) == ("wal", Level.WARN)
        assert [repair.subject for repair in store.mend()] == ["wal"]
        assert os.stat(f"{path}-wal").st_size == 0


@pytest.mark.parametrize(
    ("version", "faulty"),
    [((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True),
     ((3, 44, 6), False), ((3, 45, 0), True), ((3, 50, 6), True), ((3, 50, 7), False),
     ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False), ((4, 0, 0), False)],
)  # fmt: skip
def test_the_versions_with_the_wal_reset_fault(version: tuple[int, ...], faulty: bool) -> None:
    assert has_wal_reset_fault(version) is faulty
