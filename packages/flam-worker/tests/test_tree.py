from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from children import Children, lives, number_in, until

from flam_store.names import new_id
from flam_worker import tree
from flam_worker.environment import COOKIE
from flam_worker.footprint import Step
from flam_worker.identity import born, instant
from flam_worker.tree import Processes, Traces, descendants, end_all, found_by

MARK = f"worker-{new_id()}:7:1"
BARE = {"PATH": os.environ["PATH"]}
MARKED = BARE | {COOKIE: MARK}
FOREVER = "sleep 1000"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "7-1.log"


@pytest.fixture
def traces(log: Path) -> Traces:
    return Traces(
        cookie=MARK,
        logs=frozenset({str(log)}),
        leader=None,
    )


@pytest.fixture
def bystanders(children: Children) -> list[int]:
    """Processes that are like those of the attempt, and are not."""
    other = BARE | {COOKIE: MARK + "0", "OTHER": f"{COOKIE}={MARK}"}
    return [
        children.sleeping(environment=other, start_new_session=own).pid for own in (False, True)
    ]


def of(*pids: int) -> Processes:
    return {pid: str(born(pid)) for pid in pids}


def script(children: Children, text: str, **more: Any) -> subprocess.Popen[bytes]:
    return children.program(["sh", "-c", text], start_new_session=True, **more)


def step(pid: int, seen: float | None = None) -> Step:
    """A leader that was seen then, or just now."""
    seen = float(instant()) if seen is None else seen
    return Step(seq=1, attempt=1, pid=pid, seen=seen, began=0.0)


# Finding


def test_the_cookie_alone_is_a_trace(
    children: Children, traces: Traces, bystanders: list[int]
) -> None:
    pid = children.sleeping(environment=MARKED, start_new_session=True).pid
    until(lambda: found_by(traces))
    assert found_by(traces) == of(pid)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_output_alone_is_a_trace(
    children: Children, traces: Traces, log: Path, bystanders: list[int], stream: str
) -> None:
    with log.open("ab") as file:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | {stream: file}
        pid = children.sleeping(environment=BARE, start_new_session=True, **streams).pid
    assert found_by(traces) == of(pid)


def test_the_leader_alone_is_a_trace(
    children: Children, traces: Traces, bystanders: list[int]
) -> None:
    pid = children.sleeping(environment=BARE, start_new_session=True).pid
    leader = step(pid)
    assert found_by(attrs.evolve(traces, leader=leader)) == of(pid)


def test_the_session_of_a_leader_that_has_ended_is_a_trace(
    children: Children, traces: Traces, tmp_path: Path, bystanders: list[int]
) -> None:
    told = tmp_path / "told"
    text = f"env -i sleep 1000 < /dev/null > /dev/null 2>&1 & echo $! > {told}; read go"
    shell = script(children, text, environment=BARE, stdin=subprocess.PIPE)
    pid = number_in(told)
    leader = step(shell.pid)
    shell.communicate(b"\n")
    assert found_by(attrs.evolve(traces, leader=leader)) == of(pid)


def test_a_session_that_is_younger_than_the_last_sight_of_its_leader_is_none(
    traces: Traces, children: Children, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    text = f"env -i sleep 1000 < /dev/null > /dev/null 2>&1 & echo $! > {told}; read go"
    shell = script(children, text, environment=BARE, stdin=subprocess.PIPE)
    pid = number_in(told)
    shell.communicate(b"\n")
    young = step(shell.pid, float(str(born(pid))) - 1)
    assert found_by(attrs.evolve(traces, leader=young)) == {}
    assert found_by(attrs.evolve(traces, leader=step(shell.pid))) == of(pid)


def test_a_leader_whose_number_was_given_to_another_is_none(
    children: Children, traces: Traces, bystanders: list[int]
) -> None:
    pid = children.sleeping(environment=BARE, start_new_session=True).pid
    for leader in [step(pid, float(str(born(pid))) - 1), step(2**22 + 9)]:
        assert found_by(attrs.evolve(traces, leader=leader)) == {}


def test_all_in_the_session_of_a_marked_process_belong_to_it(
    children: Children, traces: Traces, tmp_path: Path, bystanders: list[int]
) -> None:
    told = tmp_path / "told"
    text = f"env -i sleep 1000 & echo $! > {told}; exec {FOREVER}"
    leader = script(children, text, environment=MARKED)
    pid = number_in(told)
    until(lambda: found_by(traces) == of(leader.pid, pid))


def test_descendants_of_a_marked_process_that_left_its_session_belong_to_it(
    children: Children, traces: Traces, tmp_path: Path, bystanders: list[int]
) -> None:
    told = tmp_path / "told"
    inner = f"echo $$ > {told}; exec sleep 1000"
    text = f"env -i setsid sh -c '{inner}' < /dev/null > /dev/null 2>&1 & {FOREVER}"
    leader = script(children, text, environment=MARKED)
    pid = number_in(told)
    assert os.getsid(pid) == pid
    assert leader.pid in found_by(traces)
    assert pid in found_by(traces)
    assert not set(bystanders) & set(found_by(traces))


def test_a_marked_process_in_this_session_gives_away_nobody_else_of_it(
    children: Children, traces: Traces, bystanders: list[int]
) -> None:
    pid = children.sleeping(environment=MARKED).pid
    until(lambda: pid in found_by(traces))
    found = found_by(attrs.evolve(traces, leader=step(os.getsid(0))))
    assert found == of(pid)


def test_what_has_ended_is_not_found(children: Children, traces: Traces, log: Path) -> None:
    with log.open("ab") as file:
        process = children.sleeping(environment=MARKED, start_new_session=True, stdout=file)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    leader = step(process.pid)
    assert found_by(attrs.evolve(traces, leader=leader)) == {}


def test_the_descendants_of_a_process_are_found_at_any_depth(
    children: Children, tmp_path: Path, bystanders: list[int]
) -> None:
    told = tmp_path / "told"
    text = f"sh -c 'setsid sh -c \"echo \\$\\$ > {told}; exec sleep 1000\" & wait' & wait"
    outer = script(children, text, environment=BARE)
    pid = number_in(told)
    found = descendants(outer.pid)
    assert pid in found
    assert outer.pid not in found
    assert not set(bystanders) & set(found)
    assert set(found) < set(descendants(os.getpid()))


def test_some_descendants_can_be_left_out_with_all_of_theirs(
    children: Children, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    kept = script(children, f"sleep 1000 & echo $! > {told}; wait", environment=BARE)
    inner = number_in(told)
    other = children.sleeping(environment=BARE).pid
    found = tree.descendants_except(os.getpid(), {kept.pid})
    assert other in found
    assert not {kept.pid, inner} & set(found)


# Ending


def ended(find: Callable[[], Processes], grace_seconds: float = 60.0) -> bool:
    return end_all(find, grace_seconds, lambda: None)


def finder(*pids: int) -> Callable[[], Processes]:
    """Finds these processes, by what is true of them now, until they have ended."""
    known = of(*pids)
    return lambda: {pid: then for pid, then in known.items() if born(pid) == then}


def test_nothing_is_ended_at_once() -> None:
    assert ended(dict)


def test_what_is_told_to_end_has_time_to_tidy_up(children: Children, tmp_path: Path) -> None:
    ready, tidied = tmp_path / "ready", tmp_path / "tidied"
    # Not "sleep & wait": a signal between fork and exec of the shell's child is lost.
    text = f"trap 'echo 1 > {tidied}; exit' TERM; echo 1 > {ready}; while :; do sleep 0.01; done"
    process = script(children, text, environment=BARE)
    number_in(ready)
    assert ended(lambda: tree.of_session(process.pid))
    assert tidied.exists()


def test_each_is_told_once_before_it_is_killed(children: Children, tmp_path: Path) -> None:
    ready, told = tmp_path / "ready", tmp_path / "told"
    text = f"trap 'echo told >> {told}' TERM; echo 1 > {ready}; while :; do sleep 0.01; done"
    process = script(children, text, environment=BARE)
    number_in(ready)
    looks = iter(range(20))

    def some_looks_more() -> Processes:
        return of(process.pid) if not told.exists() or next(looks, None) is not None else {}

    assert ended(some_looks_more)
    assert lives(process.pid)
    assert told.read_text().split() == ["told"]


def test_what_ignores_the_wish_is_killed_after_the_grace(
    children: Children, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    text = f"trap '' TERM; echo 1 > {ready}; while :; do {FOREVER}; done"
    process = script(children, text, environment=BARE)
    number_in(ready)
    assert ended(lambda: tree.of_session(process.pid), grace_seconds=0.05)
    assert children.ended(process) == -signal.SIGKILL


def test_what_stands_still_is_woken_to_end(children: Children) -> None:
    process = children.sleeping()
    os.kill(process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert ended(finder(process.pid))
    assert children.ended(process) == -signal.SIGTERM


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_KILL_PATIENCE_SECONDS", 0.0)
    assert not ended(lambda: of(os.getpid()), grace_seconds=0.0)


def test_a_number_that_is_another_s_by_now_is_told_nothing(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_KILL_PATIENCE_SECONDS", 0.05)
    pid = children.sleeping().pid
    assert not ended(lambda: {pid: "1"}, grace_seconds=0.05)
    assert lives(pid)


def test_a_look_that_came_between_a_parent_s_end_and_its_child_is_not_trusted(
    children: Children,
) -> None:
    pid = children.sleeping().pid
    find = finder(pid)
    first = [True]

    def overlooked_once() -> Processes:
        return {} if first and first.pop() else find()

    assert ended(overlooked_once)
    assert not lives(pid)


def test_the_table_of_processes_is_the_same_by_both_ways_of_reading_it(
    children: Children,
) -> None:
    if sys.platform != "linux":
        pytest.skip("has only one")
    pid = children.sleeping(start_new_session=True).pid
    other = tree._table_by_psutil()
    entry = tree._table()[pid]
    found = other[pid]
    assert (found.parent, found.session, found.ended) == (entry.parent, entry.session, entry.ended)
