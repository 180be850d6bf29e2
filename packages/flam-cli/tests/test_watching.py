"""``top`` and ``status --watch`` on a real terminal: drawn, drawn anew, and given back."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from conftest import Run, Workshop
from terminals import terminal

from flam_store import JobSpec

ENTERED = b"\x1b[?1049h\x1b[?25l"
GIVEN_BACK = b"\x1b[?25h\x1b[?1049l"
WATCHING = [["top", "--interval", "100ms"], ["status", "--watch"]]


@pytest.mark.parametrize("words", WATCHING, ids=" ".join)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_ends_it_when_the_terminal_has_been_given_back(
    workshop: Workshop, words: list[str], number: signal.Signals
) -> None:
    with terminal(*words) as tty:
        before = tty.settings()
        tty.until(ENTERED)
        tty.until(b"Workers: 0")
        tty.process.send_signal(number)
        assert tty.rest().endswith(GIVEN_BACK)
        assert tty.code() == -number
        assert tty.settings() == before


@pytest.mark.parametrize("words", WATCHING, ids=" ".join)
@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 130)], ids=["q", "Ctrl-C"])
def test_a_key_ends_it_and_the_last_frame_stays(
    workshop: Workshop, words: list[str], key: bytes, code: int
) -> None:
    with terminal(*words) as tty:
        before = tty.settings()
        tty.until(b"Workers: 0")
        tty.type(key)
        frame = tty.rest().partition(GIVEN_BACK)[2]
        assert b"Workers: 0\r\n" in frame
        assert b"\x1b" not in frame
        assert tty.code() == code
        assert tty.settings() == before


def test_an_error_is_told_when_the_terminal_has_been_given_back(workshop: Workshop) -> None:
    with terminal("top", "--interval", "100ms") as tty:
        before = tty.settings()
        tty.until(b"Workers: 0")
        os.chmod(workshop.logs.folder.parent, 0o777)
        told = tty.rest().partition(GIVEN_BACK)[2]
        assert b"queuectl: " in told
        assert b"chmod 700" in told
        assert tty.code() == 6
        assert tty.settings() == before


def test_a_terminal_that_is_closed_ends_it(workshop: Workshop) -> None:
    with terminal("top", "--interval", "100ms") as tty:
        tty.until(b"Workers: 0")
        os.close(tty.master)
        assert tty.code() == -signal.SIGHUP


def test_a_stop_gives_the_terminal_back_until_it_goes_on(workshop: Workshop) -> None:
    with terminal("top", "--interval", "100ms") as tty:
        before = tty.settings()
        tty.until(b"Workers: 0")
        tty.process.send_signal(signal.SIGTSTP)
        tty.until(GIVEN_BACK)
        os.waitid(os.P_PID, tty.process.pid, os.WSTOPPED | os.WNOWAIT)
        assert tty.settings() == before
        tty.process.send_signal(signal.SIGCONT)
        tty.until(ENTERED)
        tty.until(b"Workers: 0")
        tty.type(b"q")
        assert tty.rest().count(GIVEN_BACK) == 1
        assert tty.code() == 0


def test_it_is_drawn_anew_when_something_changed_and_in_the_new_size(workshop: Workshop) -> None:
    with terminal("top", "--interval", "100ms") as tty:
        tty.until(b"Jobs: 0 pending")
        workshop.store.enqueue(JobSpec(id="a", command="x" * 100))
        tty.until(b"Jobs: 1 pending")
        tty.resize(20)
        tty.until("Jobs: 1 pending, 0 …".encode())
        workshop.store.cancel("a", by="me")
        workshop.completed("b", command="echo \x1b[2J")
        tty.resize(100)
        tty.until(b"echo \\x1b[2J")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_of_a_frame_is_aligned_and_free_of_escapes(
    workshop: Workshop, columns: int
) -> None:
    workshop.dead("a", command="exit 1")
    workshop.completed("b", command="echo hello")
    workshop.running("c")
    with terminal("top", columns=columns) as tty:
        tty.until(b"echo hello")
        tty.type(b"q")
        frame = tty.rest().partition(GIVEN_BACK)[2].decode()
    assert "\\x1b" not in frame
    header, *rows = frame.partition("\r\nENDED")[2].splitlines()
    place = header.index("COMMAND") + len("ENDED")
    assert [row[place:] for row in rows] == ["echo hello", "exit 1"]


def test_where_no_terminal_is_top_is_printed_once(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("a", command="exit 1")
    workshop.completed("b", command="echo hello")
    workshop.running("c")
    said = queuectl("top")
    assert (said.code, said.err) == (0, "")
    assert "\x1b" not in said.out
    lines = said.out.splitlines()
    assert lines[0] == (
        "Jobs: 0 pending, 0 blocked, 1 processing, 1 completed, 0 failed, 1 dead, 0 cancelled"
    )
    assert "Workers: 1 (" in said.out
    ended = [line.split()[2:4] for line in lines if " ago  " in line]
    assert ended == [["b", "completed"], ["a", "failed"]]


def test_top_as_json_is_the_status_with_what_ended_last(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("a", command="exit 1")
    told: dict[str, Any] = queuectl("top", "--json").json
    assert told.keys() == {
        "counts", "queues", "workers", "oldest_due_at", "rates", "last_ended",
    }  # fmt: skip
    (ended,) = told["last_ended"]
    assert (ended["id"], ended["state"], ended["exit_code"]) == ("a", "failed", 1)


@pytest.mark.parametrize("interval", ["soon", "0", "50ms", "-1s"])
def test_an_interval_that_makes_no_sense_is_refused(queuectl: Run, interval: str) -> None:
    refused = queuectl("top", "--interval", interval)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "--interval" in refused.err
