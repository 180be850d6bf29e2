from __future__ import annotations

import io
import json
import logging
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from children import Children

from flam_worker import journal


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the journal writes on standard error; logging is as before in the end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    root.handlers.clear()
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    journal.begin()
    yield stream
    root.handlers[:], root.level, logging.raiseExceptions = before


def test_one_event_is_one_line_whatever_is_in_it(logged: io.StringIO) -> None:
    logging.getLogger("flam").warning("job %s", "a\nb\r\x1b[31m\u202e\x00")
    logging.getLogger("flam").info("second")
    first, second = logged.getvalue().splitlines()
    assert "\x1b" not in first
    assert "\u202e" not in first
    assert second.endswith("second")
    assert str(os.getpid()) in second


def test_a_traceback_is_one_line_too(logged: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("flam").exception("trouble")
    (line,) = logged.getvalue().splitlines()
    assert "trouble" in line
    assert "ValueError" in line


def test_as_json_what_is_said_of_a_job_can_be_searched_for(
    logged: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.begin("info", "json")
    logging.getLogger("flam").info("it ended", extra={"job": "a\nb", "attempt": 3, "other": 1})
    told = json.loads(capsys.readouterr().err)
    assert (told["job"], told["attempt"], told["message"]) == ("a\nb", 3, "it ended")
    assert "other" not in told


def test_as_json_each_event_is_an_object_and_no_text_forges_a_line(
    logged: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.begin("warning", "json")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("flam").exception("job %s", 'a\n{"level": "error"}\r\x1b[31m\u2028')
    logging.getLogger("flam").info("below the level")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told.keys() == {"at", "level", "pid", "message", "traceback"}
    assert (told["level"], told["pid"]) == ("error", os.getpid())
    assert told["at"].endswith("Z")
    assert "ValueError" in told["traceback"]
    assert "\x1b" not in told["message"]


def with_standard_error(children: Children, path: Path, act: Callable[[], None]) -> None:
    """Do it in a process whose standard error is appended to that file."""

    def run() -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 2)
        act()

    children.fork(run).answer()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MAX_BYTES", 1000)


def test_a_log_that_has_grown_large_is_kept_as_an_older_part(
    children: Children, tmp_path: Path, small: None
) -> None:
    log = tmp_path / "flam-worker.log"
    log.write_bytes(b"x" * 1500)

    def act() -> None:
        journal.keep_short(log)
        os.write(2, b"after\n")

    with_standard_error(children, log, act)
    older = tmp_path / "flam-worker.log.1"
    assert log.read_bytes() == b"after\n"
    assert older.read_bytes() == b"x" * 1500
    assert stat.S_IMODE(older.stat().st_mode) == 0o600


def test_a_log_is_emptied_also_where_there_is_no_room_for_an_older_part(
    children: Children, tmp_path: Path, small: None
) -> None:
    log = tmp_path / "flam-worker.log"
    log.write_bytes(b"x" * 1500)

    def act() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        journal.keep_short(log)

    with_standard_error(children, log, act)
    assert log.read_bytes() == b""


def test_a_log_that_is_short_stays(children: Children, tmp_path: Path, small: None) -> None:
    log = tmp_path / "flam-worker.log"
    log.write_bytes(b"x" * 999)
    with_standard_error(children, log, lambda: journal.keep_short(log))
    assert log.read_bytes() == b"x" * 999
    assert os.listdir(tmp_path) == ["flam-worker.log"]


@pytest.mark.parametrize("own_log", [None, b"short"])
def test_a_file_of_the_user_s_that_standard_error_goes_to_is_left_alone(
    children: Children, tmp_path: Path, small: None, own_log: bytes | None
) -> None:
    log, theirs = tmp_path / "flam-worker.log", tmp_path / "theirs.log"
    theirs.write_bytes(b"x" * 1500)
    if own_log is not None:
        log.write_bytes(own_log)
    with_standard_error(children, theirs, lambda: journal.keep_short(log))
    assert theirs.read_bytes() == b"x" * 1500
    assert not (tmp_path / "flam-worker.log.1").exists()
