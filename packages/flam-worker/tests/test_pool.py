from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from children import Children, lives, number_in, until
from commands import signals_in
from pools import Pools, until_gone

import flam_worker
from flam_store import State
from flam_store.output import Logs
from flam_store.worker import Role
from flam_worker.identity import Presence, born, presence, send, send_to
from flam_worker.pool import (
    PoolNotStarted,
    PoolOptions,
    PoolTimeout,
    sightings,
    start_pool,
    stop_pools,
)

SHORT_LEASE = 3
FOREVER = "sleep 1000"
SECRET_OR_FOREIGN = {
    "FLAM_STORE_URL", "FLAM_TOKEN", "PGPASSWORD", "NOTIFY_SOCKET", "WATCHDOG_USEC", "_PYI_X", "PEX",
}  # fmt: skip


class Gated:
    """A job that says its shell's process id and ends when it is let go."""

    def __init__(self, pools: Pools, name: str = "gated", **fields: object) -> None:
        self._folder = pools.home.path.parent
        self._name = name
        begun, go, done = self._path("begun"), self._path("go"), self._path("done")
        wait = f"while [ ! -e '{go}' ]; do sleep 0.02; done"
        command = f"echo $$ > '{begun}'; {wait}; echo x >> '{done}'"
        self.id = pools.enqueue(command, **{"id": name} | fields)

    @property
    def pid(self) -> int:
        return number_in(self._path("begun"))

    def forget_pid(self) -> None:
        self._path("begun").unlink()

    def let_go(self) -> None:
        self._path("go").touch()

    @property
    def times_done(self) -> int:
        done = self._path("done")
        return done.read_text().count("x") if done.exists() else 0

    def _path(self, what: str) -> Path:
        return self._folder / f"{self._name}.{what}"


def kept_output(pools: Pools, job_id: str, attempt: int = 1) -> str:
    seq = pools.job(job_id).seq
    return Logs(pools.home.logs_path).path_of(seq, attempt).read_text()


def until_stopping(pools: Pools, count: int = 1) -> None:
    """Wait until the register says that workers are to stop."""

    def asked() -> bool:
        return sum(each.stop is not None for each in pools.records(Role.WORKER)) >= count

    until(asked, "the wish to stop")


# Starting, running, stopping


def test_a_pool_runs_what_is_enqueued_before_and_after_its_start(pools: Pools) -> None:
    early = pools.enqueue("echo early")
    pids = pools.start(2)
    late = pools.enqueue("echo late >&2; exit 0")
    assert pools.wait_for(early).attempts == 1
    assert pools.wait_for(late).exit_code == 0
    assert kept_output(pools, early) == "early\n"
    assert kept_output(pools, late) == "late\n"
    assert sorted(pids) == sorted(each.process.pid for each in pools.records(Role.WORKER))
    assert all(map(lives, pids))


def test_the_workers_are_ready_when_the_start_returns(pools: Pools) -> None:
    pids = pools.start(3)
    with pools.store() as store:
        seen = sightings(store.workers())
    assert sorted(each.record.process.pid for each in seen) == sorted(pids)
    assert {each.state for each in seen} == {"idle"}
    assert all(each.rss_bytes and each.cpu_percent is not None for each in seen)


def test_a_second_start_adds_its_workers_and_one_stop_ends_all(pools: Pools) -> None:
    pids = [*pools.start(2), *pools.start(1)]
    assert len(set(pids)) == 3
    supervisors = [each.process.pid for each in pools.records(Role.SUPERVISOR)]
    assert len(supervisors) == 2
    assert pools.stop() == 3
    assert not any(map(lives, [*pids, *supervisors]))
    assert pools.records() == ()
    assert list((pools.home.path / "run").iterdir()) == []


def test_with_no_pool_there_is_nothing_to_stop(pools: Pools) -> None:
    assert pools.stop() == 0


def test_a_pool_serves_only_the_queues_that_it_was_given(pools: Pools) -> None:
    pools.start(queues=("images", "mail"))
    other = pools.enqueue("true")
    mail = pools.enqueue("true", queue="mail")
    images = pools.enqueue("true", queue="images")
    pools.wait_for(mail)
    pools.wait_for(images)
    assert pools.job(other).state is State.PENDING


def test_a_failing_job_is_tried_again_and_buried(pools: Pools) -> None:
    job = pools.enqueue("exit 3", max_retries=2, backoff_base=0)
    pools.start()
    assert pools.wait_for(job, State.DEAD).exit_code == 3
    assert pools.history(job) == ["failed"] * 3


def test_ends_of_all_kinds_are_recorded(pools: Pools) -> None:
    never = {"max_retries": 0}
    jobs = {
        pools.enqueue("kill -KILL $$", **never): ("failed", "SIGKILL"),
        pools.enqueue(FOREVER, timeout=timedelta(seconds=0.1), **never): ("timeout", "timeout"),
        pools.enqueue("true", cwd="/no/such/directory", **never): ("failed", "not started"),
        pools.enqueue("exit 9", **never): ("failed", "exit 9"),
    }
    pools.start(2)
    for job_id, wanted in jobs.items():
        pools.wait_for(job_id, State.DEAD)
        (attempt,) = pools.attempts(job_id)
        assert (attempt.state.value, attempt.cause) == wanted


def test_the_environment_of_a_job_is_its_own(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRET_OR_FOREIGN:
        monkeypatch.setenv(name, pools.url if name == "FLAM_STORE_URL" else "hush-hush")
    monkeypatch.setenv("PLAIN", "kept")
    monkeypatch.setenv("OVER", "worker")
    job = pools.enqueue("env", id="e1", queue="q", env={"OVER": "spec", "NEW": "a b"})
    pools.start()
    pools.wait_for(job)
    lines = kept_output(pools, job).splitlines()
    assert {"FLAM_JOB_ID=e1", "FLAM_ATTEMPT=1", "FLAM_QUEUE=q"} <= set(lines)
    assert {"OVER=spec", "NEW=a b", "PLAIN=kept"} <= set(lines)
    assert not {line.partition("=")[0] for line in lines} & SECRET_OR_FOREIGN
    assert "hush-hush" not in kept_output(pools, job)


def test_a_job_has_no_files_terminal_or_signals_of_its_pool(pools: Pools) -> None:
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    text = (
        "n=0; while [ $n -lt 64 ]; do [ ! -e /proc/$$/fd/$n ] || echo $n; n=$((n + 1)); done;"
        "read stat < /proc/$$/stat; set -- ${stat##*) }; echo $5;"
        "grep -E '^Sig(Blk|Ign)' /proc/$$/status | cut -f 2; cat"
    )
    job = pools.enqueue(text)
    pools.start(2)
    pools.wait_for(job)
    *files_and_terminal, blocked, ignored = kept_output(pools, job).split()
    assert files_and_terminal == ["0", "1", "2", "0"]
    assert (signals_in(blocked), signals_in(ignored)) == ([], [])


def test_workers_are_seen_running_and_then_stopping(pools: Pools) -> None:
    job = Gated(pools)
    pools.start()
    assert lives(job.pid)

    def states() -> set[str]:
        with pools.store() as store:
            return {each.state for each in sightings(store.workers())}

    assert states() == {"running"}
    with pytest.raises(PoolTimeout):
        pools.stop(timeout=0)
    assert states() == {"stopping"}
    job.let_go()
    pools.stop()
    assert states() == set()


# Promise 5: shutdown


def test_a_graceful_stop_lets_the_job_finish_and_takes_no_other(pools: Pools) -> None:
    job = Gated(pools)
    pools.start()
    assert job.pid
    other = pools.enqueue("true")
    with pytest.raises(PoolTimeout) as caught:
        pools.stop(timeout=0)
    assert caught.value.left == 1
    until_stopping(pools)
    job.let_go()
    pools.stop()
    assert pools.job(job.id).state is State.COMPLETED
    assert pools.history(job.id) == ["completed"]
    assert pools.job(other).state is State.PENDING


def test_a_stop_now_ends_the_command_and_puts_its_job_back_uncounted(pools: Pools) -> None:
    job = Gated(pools)
    pools.start()
    pid = job.pid
    assert pools.stop(now=True) == 1
    assert not lives(pid)
    stored = pools.job(job.id)
    assert (stored.state, stored.attempts, stored.attempt) == (State.PENDING, 0, 1)
    assert pools.history(job.id) == ["released"]


def test_two_graceful_stops_at_once_are_one_and_not_a_stop_now(
    pools: Pools, children: Children
) -> None:
    job = Gated(pools)
    pools.start()
    assert job.pid
    first = children.fork(pools.stop)
    until_stopping(pools)
    for _ in range(2):  # the same wish once more, without waiting for its fulfilment
        with pytest.raises(PoolTimeout):
            pools.stop(timeout=0)
    job.let_go()
    assert first.answer() == 1
    assert pools.history(job.id) == ["completed"]


def test_a_stop_now_outweighs_a_graceful_one_that_waits(pools: Pools, children: Children) -> None:
    job = Gated(pools)
    pools.start()
    pid = job.pid
    waiting = children.fork(pools.stop)
    until_stopping(pools)
    assert pools.stop(now=True) == 1
    assert waiting.answer() == 1
    assert not lives(pid)
    assert pools.history(job.id) == ["released"]


def test_the_end_of_the_grace_ends_the_command_and_puts_its_job_back(pools: Pools) -> None:
    pools.configure(shutdown_grace=0.1)
    job = Gated(pools)
    pools.start()
    pid = job.pid
    assert pools.stop() == 1
    assert not lives(pid)
    assert (pools.job(job.id).attempts, pools.history(job.id)) == (0, ["released"])


def test_one_sigterm_to_the_supervisor_lets_the_job_finish(pools: Pools) -> None:
    job = Gated(pools)
    process = pools.foreground()
    assert job.pid
    process.send_signal(signal.SIGTERM)
    until(lambda: "stopping: graceful" in pools.log.read_text(), "the wish to stop")
    job.let_go()
    assert process.wait(60) == 0
    assert pools.history(job.id) == ["completed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_to_the_supervisor_ends_the_command(pools: Pools, number: int) -> None:
    job = Gated(pools)
    process = pools.foreground()
    pid = job.pid
    process.send_signal(number)
    until(lambda: "stopping: graceful" in pools.log.read_text(), "the wish to stop")
    process.send_signal(number)
    assert process.wait(60) == 0
    assert not lives(pid)
    assert (pools.job(job.id).attempts, pools.history(job.id)) == (0, ["released"])


def test_a_ctrl_c_that_reaches_the_whole_pool_is_one_graceful_stop(pools: Pools) -> None:
    job = Gated(pools)
    process = pools.foreground("--count", "2", start_new_session=True)
    assert job.pid
    until(lambda: len(pools.records(Role.WORKER)) == 2)
    os.killpg(process.pid, signal.SIGINT)
    until(lambda: "stopping: graceful" in pools.log.read_text(), "the wish to stop")
    job.let_go()
    assert process.wait(60) == 0
    assert pools.history(job.id) == ["completed"]


def test_an_idle_pool_in_the_foreground_stops_with_exit_code_0(pools: Pools) -> None:
    process = pools.foreground("--count", "2")
    until(lambda: len(pools.records(Role.WORKER)) == 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert pools.records() == ()


def test_a_worker_that_is_told_to_stop_by_itself_is_replaced(pools: Pools) -> None:
    (pid,) = pools.start()
    os.kill(pid, signal.SIGTERM)
    until_gone([pid])
    until(lambda: [each.process.pid for each in pools.records(Role.WORKER)] not in ([], [pid]))


# Promise 2: crashes


def test_a_job_whose_worker_was_killed_runs_again(pools: Pools) -> None:
    job = Gated(pools)
    pools.start()
    first = job.pid
    worker = pools.worker_of(job.id)
    job.forget_pid()
    pools.kill(worker)
    second = job.pid  # once it has begun again
    assert not lives(first)
    assert lives(second)
    job.let_go()
    pools.wait_for(job.id)
    assert pools.history(job.id) == ["crashed", "completed"]
    assert job.times_done == 1
    assert worker not in [each.process for each in pools.records()]


def test_a_worker_that_dies_of_a_signal_without_a_name_is_replaced(pools: Pools) -> None:
    if sys.platform != "linux":
        pytest.skip("real-time signals")
    (pid,) = pools.start()
    os.kill(pid, signal.SIGRTMIN + 5)
    until_gone([pid])
    job = pools.enqueue("true")
    pools.wait_for(job)


def test_a_job_that_kills_its_worker_each_time_becomes_a_dead_letter(pools: Pools) -> None:
    job = pools.enqueue("kill -9 $PPID; sleep 1000", max_retries=1)
    pools.start()
    pools.wait_for(job, State.DEAD)
    assert pools.history(job) == ["crashed", "crashed"]
    after = pools.enqueue("true")
    pools.wait_for(after)


def test_a_pool_of_which_everything_was_killed_is_recovered_by_the_next(pools: Pools) -> None:
    job = Gated(pools)
    waiting = pools.enqueue("true", priority=-1)
    pools.start(1)
    first = job.pid
    pools.kill(pools.supervisor(), *(each.process for each in pools.records(Role.WORKER)))
    assert lives(first)
    job.forget_pid()
    pools.start(1)
    second = job.pid
    assert not lives(first)
    assert lives(second)
    job.let_go()
    pools.wait_for(job.id)
    pools.wait_for(waiting)
    assert pools.history(job.id) == ["crashed", "completed"]
    assert job.times_done == 1
    assert len(pools.records()) == 2


def test_workers_of_a_foreground_pool_whose_supervisor_was_killed_finish_and_leave(
    pools: Pools,
) -> None:
    job = Gated(pools)
    process = pools.foreground("--count", "2")
    assert job.pid
    until(lambda: "ready, workers: 2" in pools.log.read_text())
    pids = [each.process.pid for each in pools.records(Role.WORKER)]
    holder = pools.worker_of(job.id).pid
    process.kill()
    process.wait(60)
    until_gone([pid for pid in pids if pid != holder])
    assert lives(holder)
    other = pools.enqueue("true")
    job.let_go()
    until_gone(pids)
    assert pools.history(job.id) == ["completed"]
    assert pools.job(other).state is State.PENDING
    assert pools.records(Role.WORKER) == ()


def test_a_background_pool_outlives_its_supervisor(pools: Pools) -> None:
    job = Gated(pools)
    pids = pools.start(2)
    assert job.pid
    first = pools.supervisor()
    pools.kill(first)
    until(lambda: [each.process for each in pools.records(Role.SUPERVISOR)] not in ([], [first]))
    other = pools.enqueue("true")
    pools.wait_for(other)
    job.let_go()
    until_gone(pids)
    assert pools.history(job.id) == ["completed"]
    until(lambda: len(pools.records(Role.WORKER)) == 2)
    assert len(pools.records(Role.SUPERVISOR)) == 1


def test_a_pool_that_was_to_stop_has_no_successor(pools: Pools) -> None:
    job = Gated(pools)
    pids = pools.start(2)
    assert job.pid
    with pytest.raises(PoolTimeout):
        pools.stop(timeout=0)
    until_stopping(pools)
    pools.kill(pools.supervisor())
    job.let_go()
    until_gone(pids)
    assert pools.history(job.id) == ["completed"]
    assert pools.records(Role.WORKER) == ()


def test_a_stopped_worker_is_replaced_and_its_job_run_again_after_its_lease(pools: Pools) -> None:
    pools.configure(lease_seconds=SHORT_LEASE)
    job = Gated(pools)
    pools.start()
    first = job.pid
    worker = pools.worker_of(job.id)
    job.forget_pid()
    assert send(worker, signal.SIGSTOP)
    second = job.pid
    assert not lives(first)
    assert lives(second)
    assert born(worker.pid) != worker.born
    job.let_go()
    pools.wait_for(job.id)
    # On a machine too busy to renew so short a lease there may be released ones between.
    first_state, *_, last_state = pools.history(job.id)
    assert (first_state, last_state) == ("crashed", "completed")


# Drain


def test_a_drain_ends_by_itself_when_all_is_done(pools: Pools) -> None:
    jobs = [pools.enqueue("true") for _ in range(20)]
    process = pools.foreground("--drain", "--count", "2")
    assert process.wait(60) == 0
    assert {pools.job(job).state for job in jobs} == {State.COMPLETED}
    assert pools.records() == ()


def test_a_drain_waits_for_retries(pools: Pools) -> None:
    job = pools.enqueue("[ $FLAM_ATTEMPT = 3 ]", backoff_base=0.3, backoff_jitter=0)
    assert pools.foreground("--drain").wait(60) == 0
    assert pools.history(job) == ["failed", "failed", "completed"]


def test_a_drain_waits_for_what_others_run(pools: Pools) -> None:
    job = Gated(pools)
    child = pools.enqueue("true", after=(job.id,))
    process = pools.foreground("--drain", "--count", "2")
    assert job.pid
    until(lambda: "ready, workers: 2" in pools.log.read_text())
    assert process.poll() is None
    job.let_go()
    assert process.wait(60) == 0
    assert pools.job(child).state is State.COMPLETED


def test_a_drain_does_not_wait_for_what_is_far_off(pools: Pools) -> None:
    later = pools.enqueue("true", delay=timedelta(days=1))
    blocked = pools.enqueue("true", after=(later,))
    paused = pools.enqueue("true", queue="paused")
    done = pools.enqueue("true")
    with closing(sqlite3.connect(pools.home.database_path, isolation_level=None)) as db:
        db.execute("INSERT INTO queues (name, paused_at) VALUES ('paused', 1)")
    assert pools.foreground("--drain").wait(60) == 0
    states = [pools.job(job).state for job in (later, blocked, paused, done)]
    assert states == [State.PENDING, State.BLOCKED, State.PENDING, State.COMPLETED]


@pytest.mark.parametrize("time", range(4))
def test_a_drain_in_the_background_says_that_it_was_ready_though_it_is_over_soon(
    pools: Pools, time: int
) -> None:
    pids = pools.start(4, drain=True)
    assert len(set(pids)) == 4
    until_gone(pids)
    until(lambda: pools.records() == ())


def test_a_drain_obeys_a_stop(pools: Pools) -> None:
    job = Gated(pools)
    process = pools.foreground("--drain")
    assert job.pid
    process.send_signal(signal.SIGTERM)
    until(lambda: "stopping: graceful" in pools.log.read_text())
    job.let_go()
    assert process.wait(60) == 0


# What goes wrong


@pytest.fixture
def moved_database(pools: Pools) -> Iterator[Path]:
    """The database of a running idle pool, renamed away; it is put back in the end.

    The pool has to stop without waiting for its next look around, or for anything else.
    """
    pools.configure(lease_seconds=3600, shutdown_grace=3600)
    pools.start()
    away = pools.home.path.parent / "away.db"
    names = {pools.home.database_path.with_name(f"queue.db{end}"): Path(f"{away}{end}")
             for end in ("", "-wal", "-shm")}  # fmt: skip
    pids = [each.process.pid for each in pools.records()]
    for here, there in names.items():
        if here.exists():
            here.rename(there)
    yield away
    for pid in pids:
        if then := born(pid):
            send_to(pid, then, signal.SIGTERM)
    until_gone(pids)
    for here, there in names.items():
        here.unlink(missing_ok=True)
        if there.exists():
            there.rename(here)


def test_a_pool_whose_database_is_taken_away_makes_no_new_one(
    pools: Pools, moved_database: Path
) -> None:
    log = pools.home.logs_path / "flam-worker.log"
    until(lambda: "ended with exit code 5" in log.read_text(), "a worker that notices")
    assert not pools.home.database_path.exists()
    assert moved_database.exists()


def test_a_damaged_database_is_told_with_its_exit_code_and_left_as_it_is(pools: Pools) -> None:
    pools.home.database_path.write_bytes(b"nonsense" * 1000)
    pools.home.database_path.chmod(0o600)
    with pytest.raises(PoolNotStarted) as caught:
        pools.start()
    log = (pools.home.logs_path / "flam-worker.log").read_text()
    left = pools.home.database_path.read_bytes()
    pools.home.database_path.unlink()
    assert caught.value.exit_code == 5
    assert str(pools.home.logs_path) in str(caught.value)
    assert left == b"nonsense" * 1000
    assert "Traceback" not in log
    assert len(log.splitlines()) == 1


def test_a_corrupt_config_is_told_with_its_exit_code(pools: Pools) -> None:
    pools.home.config_path.write_text("{nonsense")
    pools.home.config_path.chmod(0o600)
    with pytest.raises(PoolNotStarted) as caught:
        pools.start()
    assert caught.value.exit_code == 2
    assert pools.home.config_path.read_text() == "{nonsense"


def test_a_config_that_becomes_corrupt_keeps_no_running_pool_from_recovering_a_job(
    pools: Pools,
) -> None:
    job = Gated(pools)
    pools.start()
    supervisor = pools.supervisor()
    first, worker = job.pid, pools.worker_of(job.id)
    job.forget_pid()
    pools.home.config_path.write_text("{nonsense")
    pools.home.config_path.chmod(0o600)
    assert send(worker, signal.SIGKILL)
    second = job.pid  # once it has begun again, in a worker that was forked since
    assert pools.home.config_path.read_text() == "{nonsense"
    pools.home.config_path.unlink()
    assert not lives(first)
    assert lives(second)
    job.let_go()
    pools.wait_for(job.id)
    assert pools.supervisor() == supervisor
    assert presence(supervisor) is Presence.ALIVE


def test_arguments_that_the_pool_refuses_are_told_with_their_exit_code(pools: Pools) -> None:
    before = os.listdir("/dev/fd")
    with pytest.raises(PoolNotStarted) as caught:
        pools.start(0)
    assert caught.value.exit_code == 2
    assert os.listdir("/dev/fd") == before


def test_a_data_directory_open_to_others_starts_nothing(pools: Pools) -> None:
    pools.home.path.chmod(0o777)
    process = pools.foreground()
    assert process.wait(60) == 6
    assert "chmod" in pools.log.read_text()
    pools.home.path.chmod(0o700)


def test_a_umask_of_nothing_leaves_no_file_open_to_others(
    tmp_path: Path, plain_environment: None
) -> None:
    before = os.umask(0)
    try:
        with Pools(tmp_path / "open" / "home") as pools:
            job = pools.enqueue("echo hello; yes | head -c 2000; umask")
            pools.configure(log_max_bytes=512)
            pools.start(2)
            pools.wait_for(job)
            found = [pools.home.path, *pools.home.path.rglob("*")]
            open_to_others = {
                str(path): oct(mode)
                for path in found
                if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077
            }
            assert {path.name for path in found} >= {"queue.db", "run", "flam-worker.log"}
            assert open_to_others == {}
    finally:
        os.umask(before)


def test_files_named_like_modules_where_a_pool_is_started_are_harmless(
    pools: Pools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("queue", "signal", "json", "select", "sqlite3", "attrs", "flam_store", "psutil"):
        (trap / f"{name}.py").write_text("raise SystemExit('a stranger was imported')")
    monkeypatch.chdir(trap)
    job = pools.enqueue("pwd")
    pools.start()
    pools.wait_for(job)
    assert kept_output(pools, job).strip() == os.path.realpath(trap)


def test_the_store_of_a_pool_can_be_named_without_a_word_in_its_arguments(
    pools: Pools, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    pids = pools.start(store_url=url)
    pools.url = url
    job = pools.enqueue("true")
    pools.wait_for(job)
    if sys.platform == "linux":
        for pid in [*pids, pools.supervisor().pid]:
            assert b"other.db" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert pools.stop() == 1
    assert not pools.home.database_path.exists()


def test_two_data_directories_do_not_know_of_each_other(pools: Pools, tmp_path: Path) -> None:
    pools.start()
    with Pools(tmp_path / "second") as second:
        second.start()
        assert second.stop() == 1
        assert len(pools.records(Role.WORKER)) == 1
        assert all(lives(each.process.pid) for each in pools.records())


# The program


def run(*words: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-P", "-m", "flam_worker", *words]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_the_version_is_said_on_standard_output() -> None:
    said = run("--version")
    assert (said.returncode, said.stdout) == (0, f"flam-worker {flam_worker.__version__}\n")
    assert said.stderr == ""


def test_another_platform_is_refused_in_one_line_before_anything_of_it_is_needed() -> None:
    text = """
import argparse, json, os, runpy, sys
sys.modules["fcntl"] = None
sys.platform = "amiga"
sys.argv[1:] = ["--help"]
runpy.run_module("flam_worker", run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "flam-worker: Flam runs on Linux and macOS, not on amiga.\n"


def test_the_help_names_every_option() -> None:
    said = run("--help")
    assert (said.returncode, said.stderr) == (0, "")
    for option in ("--home", "--store-url", "--count", "--queue", "--drain", "--version"):
        assert option in said.stdout
    assert "--ready-fd" not in said.stdout


@pytest.mark.parametrize(
    "words",
    [("--count", "0"), ("--count", "257"), ("--count", "-1"), ("--count", "two"),
     ("--count", "1e1"), ("--queue", "no such name"), ("--queue", ""), ("--nonsense",),
     ("extra",), ("--home",),
     ("--home", ""), ("--store-url", "redis://x")],
)  # fmt: skip
def test_wrong_words_end_with_2_and_a_line(words: tuple[str, ...], tmp_path: Path) -> None:
    home = () if "--home" in words else ("--home", str(tmp_path / "home"))
    said = run(*home, *words)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("flam-worker: ")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [("--cuont", "No such option: --cuont. Did you mean --count? See"),
     ("--nonsense=3", "No such option: --nonsense. See"),
     ("", "'' is too much"), ("extra", "'extra' is too much: flam-worker takes options only"),
     ("--count=0", "--count: '0' is no number from 1 to 256")],
)  # fmt: skip
def test_a_wrong_word_is_told_with_what_was_meant(word: str, told: str) -> None:
    assert told in run(word, "2").stderr


def test_a_relative_data_directory_stays_where_it_was_meant(
    tmp_path: Path, plain_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Pools(tmp_path / "here") as pools:
        start_pool(
            PoolOptions(home=Path("here"), store_url=None, count=1, queues=None, drain=False)
        )
        with pools.store() as store:
            assert stop_pools(store, now=False, timeout_seconds=60) == 1
