from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from children import Children

from flam_store import Claim, JobFilter, JobSpec, State, Store, open_store
from flam_store.finding import Finding, Level
from flam_store.home import Home
from flam_store.names import new_id
from flam_store.outcome import Completed, Result
from flam_store.output import Logs
from flam_store.worker import ProcessId, Registration, Role
from flam_worker import checkup, leftovers
from flam_worker.environment import COOKIE, cookie
from flam_worker.identity import boot, host, this_process

BARE = {"PATH": os.environ["PATH"]}
LEASE = timedelta(seconds=30)
WORKER = f"worker-{new_id()}"
"""Of this run alone: what carries its cookie is ended, also if it is of another run."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(path=tmp_path / "home")
    made.ensure()
    return made


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with open_store(f"sqlite:///{home.database_path}") as made:
        yield made


def found(home: Home) -> list[Finding]:
    return list(checkup.examine(home, {}))


def faults(home: Home) -> list[tuple[Level, str]]:
    return [(each.level, each.subject) for each in found(home) if each.level is not Level.PASS]


def repaired(home: Home) -> list[str]:
    return [each.text for each in checkup.repair(home, {})]


def dead() -> ProcessId:
    return ProcessId(host=host(), boot=boot(), pid=2**22 + 9, born="1")


def register(store: Store, process: ProcessId, name: str = WORKER, **fields: object) -> None:
    given = {"role": Role.WORKER, "lease": LEASE} | fields
    store.register(Registration(id=name, process=process, **given))  # type: ignore[arg-type]


def held(store: Store, process: ProcessId) -> Claim:
    register(store, process)
    store.enqueue(JobSpec(command="true", id="j"))
    (claim,) = store.finish((), worker_id=WORKER, want=1).claims
    return claim


def end(store: Store, claim: Claim) -> None:
    outcome = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())
    assert store.finish([outcome], worker_id=claim.worker).refused == ()


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mode, path.lstat().st_size)
            for path in (folder, *folder.rglob("*"))}  # fmt: skip


def test_a_queue_at_work_is_sound(home: Home, store: Store) -> None:
    register(store, this_process(), "boss", role=Role.SUPERVISOR)
    held(store, this_process())
    assert faults(home) == []
    assert repaired(home) == []
    assert store.job("j").state is State.PROCESSING


def test_every_subject_has_a_line(home: Home, store: Store) -> None:
    store.enqueue(JobSpec(command="true"))
    subjects = {each.subject for each in found(home)}
    assert subjects == {
        "directory", "room", "config", "sqlite", "file system", "wal", "integrity", "schema",
        "counters", "attempts", "waiting", "rows", "clock", "output", "workers", "processes",
    }  # fmt: skip


def test_where_there_is_nothing_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "missing")
    assert faults(home) == []
    assert sum("not there yet" in each.text for each in found(home)) == 2
    assert repaired(home) == []
    assert not home.path.exists()
    home.ensure()
    before = snapshot(home.path)
    assert faults(home) == []
    assert repaired(home) == []
    assert snapshot(home.path) == before


def test_a_dead_workers_job_is_a_fault_and_put_back_as_a_pool_does_it(
    home: Home, store: Store
) -> None:
    held(store, dead())
    register(store, dead(), "boss", role=Role.SUPERVISOR)
    assert faults(home) == [(Level.FAIL, "workers"), (Level.WARN, "workers")]
    assert len(repaired(home)) == 2
    assert store.job("j").state is State.FAILED
    assert [each.state for each in store.attempts("j")] == ["crashed"]
    assert store.workers() == ()
    assert faults(home) == []


def test_a_job_of_nobody_known_is_a_fault_and_put_back(home: Home, store: Store) -> None:
    held(store, this_process())
    with closing(sqlite3.connect(home.database_path, isolation_level=None)) as db:
        db.execute("DELETE FROM workers")
    assert faults(home) == [(Level.FAIL, "workers")]
    assert repaired(home)
    assert store.job("j").state is State.FAILED


def test_the_dead_of_an_earlier_boot_are_told_as_such(home: Home, store: Store) -> None:
    register(store, ProcessId(host=host(), boot="earlier x", pid=1, born="1"))
    (finding,) = [each for each in found(home) if each.level is Level.WARN]
    assert "booted" in finding.text


def test_a_silent_worker_is_told_and_left_to_its_pool(home: Home, store: Store) -> None:
    register(store, this_process(), lease=timedelta(milliseconds=1))
    register(
        store,
        ProcessId(host="elsewhere", boot="b", pid=7, born="1"),
        "far",
        lease=timedelta(milliseconds=1),
    )
    texts = [each for each in found(home) if each.level is Level.WARN]
    assert len(texts) == 2
    assert any("elsewhere" in str(each.mend) for each in texts)
    assert repaired(home) == []
    assert len(store.workers()) == 2


def bearing(children: Children, mark: str) -> subprocess.Popen[bytes]:
    environment = BARE | {COOKIE: mark}
    return children.sleeping(environment=environment, start_new_session=True)


def test_what_an_ended_attempt_left_is_found_and_ended(
    home: Home, store: Store, children: Children
) -> None:
    claim = held(store, this_process())
    process = bearing(children, cookie(claim))
    assert faults(home) == []
    end(store, claim)
    (finding,) = [each for each in found(home) if each.level is Level.WARN]
    assert str(process.pid) in finding.text
    (text,) = repaired(home)
    assert "1-1" in text
    assert children.ended(process) == -15
    assert faults(home) == []


@pytest.mark.parametrize(
    "mark", ["{worker}:1:2", "other:1:1", "{worker}:9:1", "{worker}:1", "", "::", "x:1:1e3",
             "{worker}:-1:1", "{worker}:1:" + "9" * 30],
)  # fmt: skip
def test_whoever_carries_no_cookie_of_an_ended_attempt_is_left_alone(
    home: Home, store: Store, children: Children, mark: str
) -> None:
    claim = held(store, this_process())
    end(store, claim)
    process = bearing(children, mark.format(worker=claim.worker))
    assert faults(home) == []
    assert repaired(home) == []
    assert process.poll() is None


def test_who_examines_does_not_end_itself_nor_what_it_runs_under(home: Home, store: Store) -> None:
    claim = held(store, this_process())
    end(store, claim)
    script = (
        "import sys, pathlib\n"
        "from flam_store import open_store\n"
        "from flam_store.output import Logs\n"
        "from flam_worker import leftovers\n"
        "store = open_store(sys.argv[1])\n"
        "print(len(leftovers.find(store)))\n"
        "print(len(list(leftovers.end(Logs(pathlib.Path('x')), store))))\n"
    )
    environment = {**os.environ, COOKIE: cookie(claim)}
    done = subprocess.run(
        ["sh", "-c", 'python=$1; shift; "$python" "$@"; echo alive', "sh",
         sys.executable, "-c", script, f"sqlite:///{home.database_path}"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "0", "alive"]
    assert leftovers.find(store) == ()


def test_output_of_purged_jobs_is_found_and_deleted(home: Home, store: Store) -> None:
    claim = held(store, this_process())
    logs = Logs(home.logs_path)
    os.close(logs.create(claim.job.seq, 1))
    end(store, claim)
    store.purge(JobFilter())
    assert faults(home) == [(Level.WARN, "output")]
    assert repaired(home)
    assert faults(home) == []


def garbage(home: Home) -> None:
    home.database_path.write_bytes(b"no database " * 999)


def torn(home: Home) -> None:
    with open_store(f"sqlite:///{home.database_path}") as store:
        store.enqueue_many(JobSpec(command="true", stdin="x" * 999) for _ in range(500))
    whole = bytearray(home.database_path.read_bytes())
    whole[8_192:-8_192] = os.urandom(len(whole) - 16_384)
    home.database_path.write_bytes(whole)


def writable(home: Home) -> None:
    home.database_path.chmod(0o666)


def corrupt_config(home: Home) -> None:
    home.config_path.write_text("{")
    home.config_path.chmod(0o600)


def foreign(home: Home) -> None:
    home.database_path.unlink()
    with closing(sqlite3.connect(home.database_path)) as db:
        db.execute("CREATE TABLE theirs (x)")
    home.database_path.chmod(0o600)


def a_folder(home: Home) -> None:
    home.database_path.unlink()
    home.database_path.mkdir(mode=0o700)


def spoilt_register(home: Home) -> None:
    with closing(sqlite3.connect(home.database_path, isolation_level=None)) as db:
        db.execute("INSERT INTO workers VALUES "
                   "('w', 'worker', NULL, 'h', 'b', 1, '1', '5', 1, 1 << 60, 1, NULL)")  # fmt: skip


@pytest.mark.parametrize(
    "happen", [garbage, torn, writable, corrupt_config, foreign, a_folder, spoilt_register]
)
def test_whatever_is_broken_is_a_line_and_no_error(
    home: Home, happen: Callable[[Home], None]
) -> None:
    open_store(f"sqlite:///{home.database_path}").close()
    happen(home)
    before = snapshot(home.path)
    assert Level.FAIL in {each.level for each in found(home)}
    assert all(each.text for each in found(home))
    assert snapshot(home.path) == before
    repaired(home)
    left = {each.level for each in found(home)}
    assert (Level.FAIL in left) is (happen is not writable)


def test_a_url_that_names_no_engine_is_a_fault(home: Home) -> None:
    findings = list(checkup.examine(home, {"FLAM_STORE_URL": "other://u:secret@h/db"}))
    (fault,) = [each for each in findings if each.level is Level.FAIL]
    assert "secret" not in fault.text
    assert fault.mend
    assert "unset FLAM_STORE_URL" in fault.mend
    assert fault.mend not in fault.text
    assert list(checkup.repair(home, {"FLAM_STORE_URL": "other://h/db"})) == []
