from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from children import Children, lives, number_in, until

from flam_store import Claim, JobSpec, State, Store, open_store
from flam_store.home import Home
from flam_store.names import new_id
from flam_store.outcome import Completed, Result
from flam_store.output import Logs
from flam_store.testing.clock import FakeClock
from flam_store.worker import ProcessId, Registration, Role, Turn
from flam_worker import pool, tree
from flam_worker import recovery as recovering
from flam_worker.environment import COOKIE, cookie
from flam_worker.footprint import Footprint, read
from flam_worker.identity import boot, born, host
from flam_worker.recovery import Recovery, Stoppages

WORKER = f"worker-{new_id()}"
"""Of this run alone: recovery ends all that carry its cookie, also those of another run."""
LEASE = timedelta(seconds=30)
BARE = {"PATH": os.environ["PATH"]}


class SteadyClock:
    """The monotonic clock of a recovery."""

    def __init__(self) -> None:
        self.now = 1000.0

    def advance(self, duration: timedelta) -> None:
        self.now += duration.total_seconds()


def watch_for_a_lease(recovery: Recovery, store: Store, steady: SteadyClock) -> None:
    """Sweep as often as a supervisor does, for exactly a lease, in which nobody is lost."""
    for _ in range(3):
        assert recovery.sweep(store) == 0
        steady.advance(LEASE / 3)
    assert recovery.sweep(store) == 0


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    swapped = SimpleNamespace(monotonic=lambda: clock.now, sleep=time.sleep)
    monkeypatch.setattr(recovering, "time", swapped)
    return clock


@pytest.fixture
def wall() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, wall: FakeClock) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'queue.db'}", clock=wall) as made:
        yield made


@pytest.fixture
def recovery(tmp_path: Path, steady: SteadyClock) -> Recovery:
    return recovery_in(tmp_path)


def recovery_in(folder: Path, **fields: Any) -> Recovery:
    given: dict[str, Any] = {"orphans": dict, "reap": lambda: None}
    return Recovery(logs=Logs(folder / "logs"), run_folder=folder / "run", **given | fields)


def process_of(pid: int) -> ProcessId:
    return ProcessId(host=host(), boot=boot(), pid=pid, born=str(born(pid)))


def dead_process() -> ProcessId:
    return ProcessId(host=host(), boot=boot(), pid=2**22 + 9, born="1")


def elsewhere(pid: int = 4242) -> ProcessId:
    return ProcessId(host="elsewhere", boot="another", pid=pid, born="1")


def register(store: Store, process: ProcessId, worker: str = WORKER, **fields: Any) -> None:
    given: dict[str, Any] = {"role": Role.WORKER, "lease": LEASE}
    store.register(Registration(id=worker, process=process, **given | fields))


def held(store: Store, process: ProcessId, job_id: str = "j", **fields: Any) -> Claim:
    """A job that is held by a worker with this process."""
    register(store, process)
    store.enqueue(JobSpec(**{"command": "true", "id": job_id} | fields))
    (claim,) = store.finish((), worker_id=WORKER, want=1).claims
    return claim


def running_command(children: Children, claim: Claim, **more: Any) -> subprocess.Popen[bytes]:
    """A process that bears the attempt's cookie.

    It is waited for: a program has no environment yet when whoever started it hears that it runs.
    """
    environment = BARE | {COOKIE: cookie(claim)}
    process = children.sleeping(environment=environment, start_new_session=True, **more)
    until(lambda: psutil.Process(process.pid).environ().get(COOKIE) is not None, "its cookie")
    return process


def state(store: Store) -> tuple[State, list[str]]:
    return store.job("j").state, [each.state.value for each in store.attempts("j")]


def ids(store: Store) -> list[str]:
    return [record.id for record in store.workers()]


# A worker that died


def test_what_a_dead_worker_ran_is_recorded_as_crashed_and_due_again(
    store: Store, recovery: Recovery
) -> None:
    held(store, dead_process())
    assert recovery.sweep(store) == 1
    assert state(store) == (State.FAILED, ["crashed"])
    (attempt,) = store.attempts("j")
    assert (attempt.cause, attempt.error) == ("crashed", "crashed: its worker died")
    register(store, process_of(os.getpid()), "worker-2")
    (again,) = store.finish((), worker_id="worker-2", want=1).claims
    assert (again.attempt, again.job.attempts) == (2, 2)


def test_a_dead_worker_is_taken_out_of_the_register_with_its_footprint(
    store: Store, recovery: Recovery
) -> None:
    claim = held(store, dead_process())
    footprint = Footprint(recovery.run_folder, WORKER)
    footprint.note(claim.job.seq, claim.attempt, 2**22 + 9)
    footprint.close()
    recovery.sweep(store)
    assert ids(store) == []
    assert list(recovery.run_folder.iterdir()) == []


def test_a_dead_worker_that_held_nothing_is_taken_out_of_the_register(
    store: Store, recovery: Recovery
) -> None:
    register(store, dead_process())
    register(store, dead_process(), "supervisor-1", role=Role.SUPERVISOR)
    assert recovery.sweep(store) == 0
    assert ids(store) == []


def test_a_worker_of_an_earlier_boot_is_dead_at_once(store: Store, recovery: Recovery) -> None:
    held(store, ProcessId(host=host(), boot="earlier", pid=os.getpid(), born="1"))
    assert recovery.sweep(store) == 1


def test_a_job_whose_retries_are_used_up_becomes_a_dead_letter(
    store: Store, recovery: Recovery
) -> None:
    held(store, dead_process(), max_retries=0)
    recovery.sweep(store)
    assert state(store) == (State.DEAD, ["crashed"])


def test_a_job_that_kills_its_worker_each_time_ends_among_the_dead_letters(
    store: Store, recovery: Recovery
) -> None:
    held(store, dead_process(), max_retries=2)
    for _ in range(2):
        assert recovery.sweep(store) == 1
        register(store, dead_process())
        assert store.finish((), worker_id=WORKER, want=1).claims
    assert recovery.sweep(store) == 1
    assert state(store) == (State.DEAD, ["crashed"] * 3)


def test_the_old_processes_are_gone_before_the_job_may_run_again(
    store: Store, recovery: Recovery, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = running_command(children, held(store, dead_process())).pid
    living: list[bool] = []
    finish: Callable[..., Turn] = store.finish

    def watched(results: Sequence[Result], **more: Any) -> Turn:
        living.append(lives(pid))
        return finish(results, **more)

    monkeypatch.setattr(store, "finish", watched)
    assert recovery.sweep(store) == 1
    assert living == [False]


def test_a_process_known_by_its_output_only_is_ended(
    store: Store, recovery: Recovery, children: Children, tmp_path: Path
) -> None:
    claim = held(store, dead_process())
    fd = recovery.logs.create(claim.job.seq, claim.attempt)
    process = children.sleeping(environment=BARE, start_new_session=True, stdout=fd)
    os.close(fd)
    assert recovery.sweep(store) == 1
    assert children.ended(process) == -signal.SIGTERM


def test_a_process_known_by_its_output_is_found_behind_a_link(
    store: Store, children: Children, tmp_path: Path, steady: SteadyClock
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    recovery = recovery_in(tmp_path / "x" / ".." / "link")
    (tmp_path / "x").mkdir()
    claim = held(store, dead_process())
    fd = recovery.logs.create(claim.job.seq, claim.attempt)
    process = children.sleeping(environment=BARE, start_new_session=True, stdout=fd)
    os.close(fd)
    assert recovery.sweep(store) == 1
    assert children.ended(process) == -signal.SIGTERM


def test_a_process_known_by_the_footprint_only_is_ended(
    store: Store, recovery: Recovery, children: Children
) -> None:
    claim = held(store, dead_process())
    process = children.sleeping(environment=BARE, start_new_session=True)
    footprint = Footprint(recovery.run_folder, WORKER)
    footprint.note(claim.job.seq, claim.attempt, process.pid)
    footprint.close()
    assert recovery.sweep(store) == 1
    assert children.ended(process) == -signal.SIGTERM


@pytest.mark.parametrize("fence", [(1, 2), (2, 1)])
def test_the_footprint_of_another_attempt_ends_nobody(
    store: Store, recovery: Recovery, children: Children, fence: tuple[int, int]
) -> None:
    held(store, dead_process())
    pid = children.sleeping(environment=BARE, start_new_session=True).pid
    footprint = Footprint(recovery.run_folder, WORKER)
    footprint.note(*fence, pid)
    footprint.close()
    assert recovery.sweep(store) == 1
    assert lives(pid)


def test_a_footprint_whose_number_is_another_s_by_now_ends_nobody(
    store: Store, recovery: Recovery, children: Children
) -> None:
    claim = held(store, dead_process())
    pid = children.sleeping(environment=BARE, start_new_session=True).pid
    recovery.run_folder.mkdir()
    record = f"{claim.job.seq} {claim.attempt} {pid} 1 0.5"
    (recovery.run_folder / WORKER).write_text(record)
    assert recovery.sweep(store) == 1
    assert lives(pid)


def test_orphans_that_the_dead_left_to_this_process_are_ended(
    store: Store, children: Children, tmp_path: Path, steady: SteadyClock
) -> None:
    process = children.sleeping(environment=BARE, start_new_session=True)
    orphan = {process.pid: str(born(process.pid))}
    recovery = recovery_in(tmp_path, orphans=lambda: orphan if lives(process.pid) else {})
    held(store, dead_process())
    assert recovery.sweep(store) == 1
    assert children.ended(process) == -signal.SIGTERM


def test_what_ignores_sigterm_is_killed_before_the_job_may_run_again(
    store: Store,
    recovery: Recovery,
    children: Children,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovering, "_GRACE_SECONDS", 0.05)
    claim = held(store, dead_process())
    ready = tmp_path / "ready"
    text = f"trap '' TERM; echo 1 > {ready}; while :; do sleep 1000; done"
    environment = BARE | {COOKIE: cookie(claim)}
    process = children.program(["sh", "-c", text], environment=environment, start_new_session=True)
    number_in(ready)
    assert recovery.sweep(store) == 1
    assert children.ended(process) == -signal.SIGKILL


def test_a_job_is_not_put_back_while_its_processes_cannot_be_ended(
    store: Store, tmp_path: Path, steady: SteadyClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(tree, "_KILL_PATIENCE_SECONDS", 0.0)
    left = {os.getpid(): str(born(os.getpid()))}
    recovery = recovery_in(tmp_path, orphans=lambda: left)
    claim = held(store, dead_process())
    footprint = Footprint(recovery.run_folder, WORKER)
    footprint.note(claim.job.seq, claim.attempt, 2**22 + 9)
    footprint.close()
    assert recovery.sweep(store) == 0
    assert state(store) == (State.PROCESSING, ["running"])
    assert ids(store) == [WORKER]
    assert read(recovery.run_folder, WORKER) is not None
    left.clear()
    assert recovery.sweep(store) == 1
    assert ids(store) == []
    assert read(recovery.run_folder, WORKER) is None


def test_what_a_worker_without_a_record_holds_is_put_back(
    store: Store, recovery: Recovery, tmp_path: Path
) -> None:
    held(store, process_of(os.getpid()))
    with closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as db:
        db.execute("DELETE FROM workers")
    assert recovery.sweep(store) == 1
    assert state(store) == (State.FAILED, ["crashed"])


def test_all_that_several_dead_workers_held_is_put_back(store: Store, recovery: Recovery) -> None:
    for n in range(5):
        register(store, dead_process(), f"w{n}")
        store.enqueue(JobSpec(command="true", id=f"j{n}"))
        assert store.finish((), worker_id=f"w{n}", want=1).claims
    assert recovery.sweep(store) == 5
    assert {store.job(f"j{n}").state for n in range(5)} == {State.FAILED}


def several_lost(store: Store, count: int) -> list[Claim]:
    claims: list[Claim] = []
    for n in range(count):
        register(store, dead_process(), f"w{n}")
        store.enqueue(JobSpec(command="true", id=f"j{n}"))
        claims += store.finish((), worker_id=f"w{n}", want=1).claims
    return claims


def test_the_processes_of_all_lost_jobs_have_one_time_of_grace_together(
    store: Store, recovery: Recovery, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = several_lost(store, 3)
    processes = [running_command(children, claim) for claim in claims]
    graces: list[float] = []
    end_all = tree.end_all

    def counted(find: Any, grace: float, reap: Any) -> bool:
        graces.append(grace)
        return end_all(find, grace, reap)

    monkeypatch.setattr(tree, "end_all", counted)
    assert recovery.sweep(store) == 3
    assert len(graces) == 1
    assert [children.ended(process) for process in processes] == [-signal.SIGTERM] * 3


def test_a_job_whose_processes_cannot_be_ended_keeps_no_other_from_being_put_back(
    store: Store, recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(tree, "_KILL_PATIENCE_SECONDS", 0.0)
    stuck = several_lost(store, 3)[1]

    def found(traces: tree.Traces) -> tree.Processes:
        return {os.getpid(): "not its time"} if traces.cookie == cookie(stuck) else {}

    monkeypatch.setattr(tree, "found_by", found)
    assert recovery.sweep(store) == 2
    states = [store.job(f"j{n}").state for n in range(3)]
    assert states == [State.FAILED, State.PROCESSING, State.FAILED]
    assert ids(store) == ["w1"]


# A worker that lives


def test_a_living_worker_is_left_alone(
    store: Store, recovery: Recovery, children: Children, steady: SteadyClock, wall: FakeClock
) -> None:
    worker = children.sleeping()
    command = running_command(children, held(store, process_of(worker.pid)))
    for _ in range(10):
        assert recovery.sweep(store) == 0
        steady.advance(LEASE / 2)
        wall.advance(LEASE / 2)
        store.renew(WORKER)
    assert state(store) == (State.PROCESSING, ["running"])
    assert lives(worker.pid)
    assert lives(command.pid)


def test_a_stopped_worker_is_killed_and_recovered_after_its_lease_and_not_before(
    store: Store, recovery: Recovery, children: Children, steady: SteadyClock
) -> None:
    worker = children.sleeping()
    os.kill(worker.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
    command = running_command(children, held(store, process_of(worker.pid)))
    watch_for_a_lease(recovery, store, steady)
    assert lives(worker.pid)
    steady.advance(timedelta(milliseconds=1))
    assert recovery.sweep(store) == 1
    assert children.ended(worker) == -signal.SIGKILL
    assert children.ended(command) == -signal.SIGTERM
    assert state(store) == (State.FAILED, ["crashed"])
    assert "lease" in str(store.attempts("j")[0].error)
    assert ids(store) == []


def test_a_heartbeat_begins_the_wait_anew(
    store: Store, recovery: Recovery, children: Children, steady: SteadyClock, wall: FakeClock
) -> None:
    worker = children.sleeping()
    held(store, process_of(worker.pid))
    watch_for_a_lease(recovery, store, steady)
    wall.advance(timedelta(milliseconds=1))
    store.renew(WORKER)
    steady.advance(LEASE / 3)
    watch_for_a_lease(recovery, store, steady)
    assert lives(worker.pid)


def test_time_in_which_nobody_watched_makes_nobody_lost(
    store: Store, recovery: Recovery, children: Children, steady: SteadyClock
) -> None:
    worker = children.sleeping()
    held(store, process_of(worker.pid))
    assert recovery.sweep(store) == 0
    steady.advance(LEASE / 3)
    assert recovery.sweep(store) == 0
    steady.advance(LEASE * 100)
    assert recovery.sweep(store) == 0
    assert lives(worker.pid)


def test_who_is_stopped_for_a_lease_is_killed_without_a_write_to_the_store(
    store: Store, children: Children, steady: SteadyClock, tmp_path: Path
) -> None:
    stoppages = Stoppages()
    stopped, awake = children.sleeping(), children.sleeping()
    held(store, process_of(stopped.pid))
    register(store, process_of(awake.pid), "awake")
    os.kill(stopped.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
    with open(tmp_path / "queue.db-gate", "rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for pause in (LEASE / 3, LEASE / 3, LEASE / 3, timedelta(milliseconds=1)):
            assert stoppages.look(store) == 0
            steady.advance(pause)
        assert stoppages.look(store) == 1
    assert children.ended(stopped) == -signal.SIGKILL
    assert lives(awake.pid)


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)])
def test_a_jump_of_the_wall_clock_makes_nobody_lost(
    store: Store, recovery: Recovery, children: Children, wall: FakeClock, jump: timedelta
) -> None:
    worker = children.sleeping()
    held(store, process_of(worker.pid))
    recovery.sweep(store)
    wall.advance(jump)
    assert recovery.sweep(store) == 0
    store.renew(WORKER)
    wall.advance(jump)
    assert recovery.sweep(store) == 0
    assert lives(worker.pid)


def test_whoever_begins_to_watch_waits_a_whole_lease_first(
    store: Store, children: Children, tmp_path: Path, steady: SteadyClock, wall: FakeClock
) -> None:
    worker = children.sleeping()
    held(store, process_of(worker.pid))
    wall.advance(LEASE * 100)
    steady.advance(LEASE * 100)
    assert recovery_in(tmp_path).sweep(store) == 0
    assert recovery_in(tmp_path).sweep(store) == 0
    assert lives(worker.pid)


# A worker elsewhere


@pytest.mark.parametrize("process", ["another host", "another pid namespace"])
def test_a_worker_that_cannot_be_seen_is_recovered_after_its_lease_without_a_signal(
    store: Store, recovery: Recovery, children: Children, steady: SteadyClock, process: str
) -> None:
    pid = children.sleeping().pid
    here = process_of(pid)
    hidden = f"{boot().partition(' ')[0]} pid:[1]"
    seen = {
        "another host": elsewhere(pid),
        "another pid namespace": ProcessId(host=here.host, boot=hidden, pid=pid, born=here.born),
    }
    held(store, seen[process])
    watch_for_a_lease(recovery, store, steady)
    steady.advance(timedelta(seconds=1))
    assert recovery.sweep(store) == 1
    assert state(store) == (State.FAILED, ["crashed"])
    assert lives(pid)


def test_who_waits_for_a_holder_that_cannot_be_seen_waits_no_longer_than_its_lease(
    store: Store, tmp_path: Path, steady: SteadyClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: steady.now))
    holder = pool.Holder(Home(path=tmp_path), "j")
    held(store, elsewhere())
    store.cancel("j", by="me")
    for _ in range(3):
        holder.tell(store)
        steady.advance(LEASE / 3)
    holder.tell(store)
    assert state(store) == (State.PROCESSING, ["running"])
    steady.advance(LEASE / 3)
    holder.tell(store)
    assert store.job("j").state is State.CANCELLED


def test_a_holder_is_told_at_once_and_then_now_and_again(
    store: Store, tmp_path: Path, steady: SteadyClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=lambda: steady.now))

    def send(process: ProcessId, number: int) -> bool:
        told.append(number)
        return True

    monkeypatch.setattr(pool, "send", send)
    holder = pool.Holder(Home(path=tmp_path), "j")
    held(store, process_of(os.getpid()))
    for _ in range(20):
        holder.tell(store)
    assert told == [signal.SIGUSR1]
    steady.advance(timedelta(seconds=1))
    holder.tell(store)
    assert told == [signal.SIGUSR1] * 2


# A result that came meanwhile


def test_a_job_that_its_worker_finished_meanwhile_stays_as_it_is(
    store: Store, recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = held(store, dead_process())
    seen_before = store.running()
    done = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())
    assert store.finish([done], worker_id=WORKER).refused == ()
    before = store.job("j"), store.attempts("j")
    monkeypatch.setattr(store, "running", lambda: seen_before)
    assert recovery.sweep(store) == 0
    assert (store.job("j"), store.attempts("j")) == before


def test_a_late_result_of_a_worker_that_was_recovered_changes_nothing(
    store: Store, recovery: Recovery
) -> None:
    claim = held(store, dead_process())
    recovery.sweep(store)
    done = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())
    assert store.finish([done], worker_id=WORKER).refused == (done,)
    assert state(store) == (State.FAILED, ["crashed"])


def test_after_a_reboot_the_pid_of_a_command_is_anybodys(
    store: Store, recovery: Recovery, children: Children
) -> None:
    bystander = children.sleeping(start_new_session=True)
    earlier = ProcessId(host=host(), boot="an-earlier-boot", pid=dead_process().pid, born="1")
    claim = held(store, earlier)
    footprint = Footprint(recovery.run_folder, WORKER)
    footprint.note(claim.job.seq, claim.attempt, bystander.pid)
    footprint.close()
    assert recovery.sweep(store) == 1
    assert lives(bystander.pid)
