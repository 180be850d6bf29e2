from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import attrs
import pytest
from conftest import FAILURE, SOURCES, Run, Workshop
from terminals import terminal

from flam_cli.app import main
from flam_store import JobSpec
from flam_store.outcome import Completed, Dead, Retry

BYTES = b"one\n\xff\x00\x1b[2Jtwo\r\nthree"


@pytest.fixture
def binary(capfdbinary: pytest.CaptureFixture[bytes]) -> pytest.CaptureFixture[bytes]:
    return capfdbinary


def test_a_pipe_gets_the_bytes_as_they_are(
    workshop: Workshop, binary: pytest.CaptureFixture[bytes]
) -> None:
    workshop.completed("a", BYTES)
    assert main(["logs", "a"]) == 0
    assert binary.readouterr() == (BYTES, b"")
    assert main(["logs"]) == 0
    assert binary.readouterr().out == BYTES


def test_a_terminal_gets_no_sequence_but_colours(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.completed("a", b"\x1b[31mred\x1b[2J")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    assert queuectl("logs", "a").out == "\x1b[31mred\\x1b[2J\x1b[0m"


def test_an_attempt_is_chosen_by_its_number(queuectl: Run, workshop: Workshop) -> None:
    workshop.failed("a", b"first\n")
    workshop.end(workshop.again("a", b"second\n"), Completed())
    assert queuectl("logs", "a").out == "second\n"
    assert queuectl("logs", "a", "--attempt", "1").out == "first\n"
    missing = queuectl("logs", "a", "--attempt", "3")
    assert (missing.code, missing.out, missing.err.count("\n")) == (3, "", 1)


def test_tail_begins_that_many_lines_before_the_end(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"1\n2\n3\n")
    assert queuectl("logs", "a", "--tail", "2").out == "2\n3\n"
    assert queuectl("logs", "a", "--tail", "9").out == "1\n2\n3\n"
    assert queuectl("logs", "a", "--tail", "0").out == ""


def test_as_json_it_is_one_object(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"a\xffb")
    assert queuectl("logs", "a", "--json").json == {
        "id": "a", "attempt": 1, "state": "completed", "bytes": 3, "text": "a\ufffdb",
    }  # fmt: skip


def test_without_a_started_attempt_there_is_no_output(queuectl: Run) -> None:
    assert queuectl("logs").code == 3
    queuectl("enqueue", "--id", "a", "--", "true")
    said = queuectl("logs", "a")
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)


def test_why_a_command_was_not_started_is_told_beside_its_output(
    queuectl: Run, workshop: Workshop
) -> None:
    failure = attrs.evolve(
        FAILURE, cause="not started", error="not started: No such file: no", exit_code=None
    )
    workshop.end(workshop.running("a"), Dead(failure=failure))
    told = "Attempt 1 of job 'a' wrote nothing: not started: No such file: no.\n"
    for words in ([], ["--attempt", "1"], ["--follow"]):
        said = queuectl("logs", "a", *words)
        assert (said.code, said.out, said.err) == (0, "", told)
    workshop.dead("b")
    assert queuectl("logs", "b").err == ""


def test_when_all_jobs_have_been_purged_there_is_no_output(
    queuectl: Run, workshop: Workshop
) -> None:
    workshop.completed("a", b"x")
    queuectl("purge", "--state", "completed", "--yes")
    said = queuectl("logs")
    assert (said.code, said.out) == (3, "")
    assert said.err == "queuectl: There is no output: no job that is stored has been started.\n"


def test_an_output_that_was_deleted_is_told_of(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"x")
    workshop.logs.path_of(workshop.store.job("a").seq, 1).unlink()
    for words in ([], ["--follow"], ["--json"]):
        said = queuectl("logs", "a", *words)
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)


def test_a_link_in_place_of_an_output_is_not_followed(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"x")
    path = workshop.logs.path_of(workshop.store.job("a").seq, 1)
    path.unlink()
    path.symlink_to("/etc/passwd")
    said = queuectl("logs", "a")
    assert (said.code, said.out, said.err.count("\n")) == (6, "", 1)


def test_follow_of_a_finished_job_ends_at_once(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"x\n")
    assert queuectl("logs", "a", "--follow").out == "x\n"
    assert queuectl("logs", "a", "--follow", "--attempt", "1").out == "x\n"


def test_follow_goes_on_over_retries_until_the_job_is_finished(workshop: Workshop) -> None:
    first = workshop.running("a", b"begin\n")
    program = [sys.executable, "-m", "flam_cli", "logs", "a", "--follow"]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"begin\n"
        with open(workshop.logs.path_of(first.seq, 1), "ab") as output:
            output.write(b"more\n")
        assert follower.stdout.readline() == b"more\n"
        workshop.end(first, Retry(failure=FAILURE, delay=timedelta(0)))
        workshop.end(workshop.again("a", b"second"), Completed())
        out, err = follower.communicate(timeout=30)
    assert (out, follower.returncode) == (b"second", 0)
    assert err == b""


def following(*words: str, **streams: int) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", "flam_cli", "logs", *words, "--follow"]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    return subprocess.Popen(program, env=environment, **{"stdout": subprocess.PIPE, **streams})  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("state", ["pending", "running"])
def test_follow_ends_when_its_reader_goes_though_nothing_is_written(
    workshop: Workshop, state: str
) -> None:
    if state == "running":
        workshop.running("a", b"begin\n")
    else:
        workshop.store.enqueue(JobSpec(id="a", command="true"))
    with following("a") as follower:
        assert follower.stdout is not None
        if state == "running":
            assert follower.stdout.readline() == b"begin\n"
        follower.stdout.close()
        assert follower.wait(timeout=60) == 0


def test_follow_begins_its_first_attempt_at_the_tail(workshop: Workshop) -> None:
    first = workshop.running("a", b"1\n2\n3\n")
    with following("a", "--tail", "1") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"3\n"
        workshop.end(first, Retry(failure=FAILURE, delay=timedelta(0)))
        workshop.end(workshop.again("a", b"4\n5\n"), Completed())
        assert follower.stdout.read() == b"4\n5\n"
        assert follower.wait(timeout=60) == 0


def test_an_attempt_without_an_output_does_not_end_the_following(workshop: Workshop) -> None:
    first = workshop.running("a", b"first\n")
    with following("a", stderr=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"first\n"
        workshop.end(first, Retry(failure=FAILURE, delay=timedelta(days=1)))
        workshop.store.retry("a")
        second = workshop.again("a")
        workshop.logs.path_of(second.seq, 2).unlink()
        workshop.end(second, Retry(failure=FAILURE, delay=timedelta(days=1)))
        workshop.store.retry("a")
        workshop.end(workshop.again("a", b"third\n"), Completed())
        out, err = follower.communicate(timeout=60)
    assert (follower.returncode, out) == (0, b"third\n")
    assert err.count(b"\n") in (0, 1)  # the unlinked file may have been open already


def test_on_a_terminal_a_mark_stands_between_attempts(workshop: Workshop) -> None:
    workshop.failed("a", b"first\n")
    workshop.end(workshop.again("a", b"second\n"), Completed())
    with terminal("logs", "a", "--follow") as tty:
        assert tty.rest() == b"attempt 2 of a:\r\nsecond\r\n"
        assert tty.code() == 0
