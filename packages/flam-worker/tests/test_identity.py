from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from children import Children, lives, until

from flam_store.worker import ProcessId
from flam_worker import identity
from flam_worker.identity import Presence, boot, born, host, presence, send, send_to, this_process

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def process_id(pid: int) -> ProcessId:
    return ProcessId(host=host(), boot=boot(), pid=pid, born=born(pid) or "")


@pytest.fixture
def living(children: Children) -> ProcessId:
    return process_id(children.sleeping().pid)


# Presence


def test_a_living_process_is_alive(living: ProcessId) -> None:
    assert living.born
    assert presence(living) is Presence.ALIVE
    assert presence(this_process()) is Presence.ALIVE


def test_a_process_keeps_its_birth_and_others_have_another_pid_or_birth(
    children: Children,
) -> None:
    first, second = (children.sleeping().pid for _ in range(2))
    assert born(first) == born(first)
    assert (first, born(first)) != (second, born(second))


def test_a_process_that_was_reaped_is_gone(children: Children) -> None:
    process = children.sleeping()
    recorded = process_id(process.pid)
    process.kill()
    process.wait()
    assert presence(recorded) is Presence.GONE


def test_a_process_that_has_ended_and_was_not_reaped_is_gone(children: Children) -> None:
    process = children.sleeping()
    recorded = process_id(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert born(process.pid) is None
    assert presence(recorded) is Presence.GONE


def test_a_stopped_process_is_alive(living: ProcessId) -> None:
    os.kill(living.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, living.pid, os.WSTOPPED)
    assert presence(living) is Presence.ALIVE


def test_a_process_with_a_reused_number_is_gone(living: ProcessId) -> None:
    assert presence(attrs.evolve(living, born="1")) is Presence.GONE
    assert presence(attrs.evolve(living, born="")) is Presence.GONE


def test_a_process_of_another_boot_is_gone(living: ProcessId) -> None:
    other = "0" + boot()[1:] if boot()[0] != "0" else "1" + boot()[1:]
    assert presence(attrs.evolve(living, boot=other)) is Presence.GONE


@linux_only
def test_of_a_process_in_another_pid_namespace_nothing_is_known(living: ProcessId) -> None:
    other = boot().partition(" ")[0] + " pid:[4026530000]"
    assert presence(attrs.evolve(living, boot=other)) is Presence.UNKNOWN


@pytest.mark.parametrize("fields", [{}, {"boot": "another"}, {"born": "1"}, {"pid": 2**22 + 9}])
def test_of_a_process_of_another_host_nothing_is_known(
    living: ProcessId, fields: dict[str, Any]
) -> None:
    assert presence(attrs.evolve(living, host="elsewhere", **fields)) is Presence.UNKNOWN


@linux_only
def test_a_name_with_spaces_and_parentheses_hides_no_birth(
    children: Children, tmp_path: Path
) -> None:
    odd = tmp_path / ") R 1 (x"
    odd.symlink_to("/bin/sleep")
    pid = children.program([str(odd), "1000"]).pid
    until(lambda: b") R 1 (x" in Path(f"/proc/{pid}/stat").read_bytes())
    assert str(born(pid)).isdecimal()
    assert presence(process_id(pid)) is Presence.ALIVE


# Sending


def test_a_signal_reaches_the_process_that_was_recorded(children: Children) -> None:
    process = children.sleeping()
    assert send(process_id(process.pid), signal.SIGTERM)
    assert children.ended(process) == -signal.SIGTERM


@pytest.mark.parametrize("pid", [0, -1, 1, -(2**31), 2**22 + 9, 2**31, 2**40, 2**70])
def test_a_number_that_is_no_process_of_ours_is_sent_nothing(
    monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    monkeypatch.setattr(os, "kill", _never)
    monkeypatch.setattr(os, "killpg", _never)
    monkeypatch.setattr(signal, "pidfd_send_signal", _never, raising=False)
    recorded = ProcessId(host=host(), boot=boot(), pid=pid, born=born(pid) or "")
    assert not send(recorded, signal.SIGKILL)
    assert not send_to(pid, recorded.born, signal.SIGKILL)


def test_nobody_signals_himself() -> None:
    own = this_process()
    assert not send(own, signal.SIGKILL)
    assert not send_to(own.pid, own.born, signal.SIGKILL)


@pytest.mark.parametrize(
    "fields",
    [{"born": "1"}, {"born": ""}, {"born": "junk"}, {"host": "elsewhere"}, {"boot": "another"},
     {"boot": "another pid:[1]"}],
)  # fmt: skip
def test_a_record_that_does_not_prove_the_process_is_no_reason_to_signal(
    living: ProcessId, fields: dict[str, Any]
) -> None:
    assert not send(attrs.evolve(living, **fields), signal.SIGKILL)
    assert lives(living.pid)
    assert presence(living) is Presence.ALIVE


def test_a_process_that_has_ended_is_sent_nothing(children: Children) -> None:
    process = children.sleeping()
    recorded = process_id(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not send(recorded, signal.SIGTERM)
    process.wait()
    assert not send(recorded, signal.SIGTERM)
    assert not send_to(recorded.pid, recorded.born, signal.SIGTERM)


@linux_only
def test_a_number_that_is_given_anew_between_the_look_and_the_signal_is_sent_nothing(
    living: ProcessId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is taken again once a pidfd holds on to the process."""
    answers = iter([living.born, "a later birth"])
    monkeypatch.setattr(identity, "born", lambda pid: next(answers))
    assert not send(living, signal.SIGKILL)
    assert lives(living.pid)


def test_without_pidfds_the_proof_is_the_same(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = children.sleeping()
    then = repr(psutil.Process(process.pid).create_time())
    assert not send_to(process.pid, "0.0", signal.SIGKILL)
    assert lives(process.pid)
    assert not send_to(2**22 + 9, then, signal.SIGKILL)
    assert send_to(process.pid, then, signal.SIGTERM)
    assert children.ended(process) == -signal.SIGTERM


# Use


def test_the_use_of_a_living_process_can_be_seen(living: ProcessId) -> None:
    used = identity.usage(living)
    assert used is not None
    cpu_percent, rss_bytes = used
    assert 0 <= cpu_percent < 200
    assert 0 < rss_bytes < 1 << 30


def test_the_use_of_any_other_cannot(living: ProcessId) -> None:
    assert identity.usage(attrs.evolve(living, born="1")) is None
    assert identity.usage(attrs.evolve(living, host="elsewhere")) is None


def _never(*_: object) -> None:
    pytest.fail("a signal was sent")
