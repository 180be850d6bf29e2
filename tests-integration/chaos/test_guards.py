"""Each guard alone, in the situation for which it is there."""

from __future__ import annotations

import fcntl
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from chaos.harness import SCRIPTS, Chaos, Process, until
from flam_store import open_store
from flam_store.worker import Registration, Role
from flam_worker.identity import process_of

ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$0" "$@"']


@pytest.fixture
def elsewhere() -> list[str]:
    """The words that put a command on another host, as far as it can see."""
    if subprocess.run([*ELSEWHERE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no other host name can be given here")
    return ELSEWHERE


def test_a_late_report_from_another_host_changes_nothing(
    chaos: Chaos, elsewhere: list[str]
) -> None:
    go_on = chaos.folder / "go-on"
    chaos.enqueue("job", does=[f"again-until={go_on}"])
    words = [*elsewhere, str(SCRIPTS / "flam-worker"), "--home", str(chaos.flam.home)]
    far = chaos.launch(words, env=chaos.environ("exited=stop"), stderr=subprocess.PIPE)
    until(lambda: chaos.faults()["exited stop"], "the report is held back")
    (worker,) = until(lambda: [each for each in chaos.workers() if each.stopped], "it is stopped")
    far.process.send(signal.SIGSTOP)
    chaos.start(1)
    until(lambda: len(chaos.journal("start")) == 2, "another host has taken the job over")
    far.process.send(signal.SIGTERM)
    far.process.send(signal.SIGCONT)
    worker.send(signal.SIGCONT)
    _, told = far.popen.communicate(timeout=60)
    assert b"no longer held" in told
    assert chaos.states() == {"job": "processing"}
    go_on.touch()
    chaos.conclude()
    attempts = chaos.attempts()["job"]
    assert [each.state.value for each in attempts] == ["crashed", "completed"]
    assert "reported later" in str(attempts[0].error)


@pytest.mark.parametrize("role", Role)
def test_a_process_that_has_the_pid_of_a_dead_one_is_never_signalled(
    chaos: Chaos, role: Role
) -> None:
    innocent = chaos.launch(["sleep", "1000"])
    record = process_of(innocent.process.pid)
    chaos.enqueue("job")
    with open_store(f"sqlite:///{chaos.flam.home}/queue.db") as store:
        store.register(
            Registration(
                id="dead",
                role=role,
                process=attrs.evolve(record, born="1"),
                lease=timedelta(seconds=3),
            )
        )
        if role is Role.WORKER:
            assert store.finish((), worker_id="dead", want=1).claims
    (chaos.flam.home / "run").mkdir(mode=0o700, exist_ok=True)
    (chaos.flam.home / "run" / "dead").write_text(f"1 1 {record.pid} 1 2")
    chaos.flam.ok("worker", "stop", "--now")
    chaos.start(1)
    chaos.settle()
    with open_store(f"sqlite:///{chaos.flam.home}/queue.db") as store:
        until(lambda: all(each.id != "dead" for each in store.workers()), "the dead is forgotten")
    assert innocent.popen.poll() is None
    innocent.close()
    chaos.conclude()


def test_nobody_writes_while_another_is_inside_the_gate(chaos: Chaos) -> None:
    chaos.enqueue("first")
    with open(chaos.flam.home / "queue.db-gate", "rb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        chaos.asked.add("second")
        enqueue = chaos.spawn("queuectl", "enqueue", "--id", "second", "--", *chaos.witness())
        until(lambda: waits_for_a_lock(enqueue.process) or not enqueue.process.alive, "it waits")
        assert chaos.states() == {"first": "pending"}
        assert enqueue.process.alive
    assert enqueue.exit_code() == 0
    chaos.start(1)
    chaos.conclude()


def waits_for_a_lock(process: Process) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {process.pid} " in line for line in lines)
