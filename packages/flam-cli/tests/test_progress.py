"""Long work tells how far it has come, to a person and to nobody else."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
from conftest import Run, Workshop
from terminals import terminal
from test_reading import process_of_shell

from flam_cli.render import progress
from flam_store import JobSpec

ERASED = b"\r\x1b[K"


@pytest.fixture
def specs() -> Path:
    path = Path("jobs.ndjson")
    path.write_text("".join(f'{{"command": "true", "id": "j{n}"}}\n' for n in range(40_000)))
    return path


def test_storing_a_file_tells_of_it_on_a_terminal_and_erases_it(
    workshop: Workshop, specs: Path
) -> None:
    words = ["enqueue", "--file", str(specs)]
    with open("ids", "wb") as ids, terminal(*words, stdout=ids.fileno()) as tty:
        told = tty.rest()
        assert tty.code() == 0
    assert b"Reading: " in told
    assert told.endswith(ERASED)
    assert Path("ids").read_text().count("\n") == 40_000


def test_waiting_tells_how_many_are_finished(workshop: Workshop) -> None:
    workshop.completed("done")
    workshop.store.enqueue(JobSpec(id="a", command="true"))
    with terminal("wait", "done", "a") as tty:
        tty.until(b"Waiting: 1 of 2 finished")
        workshop.store.cancel("a", by="me")
        assert tty.rest().endswith(ERASED + b"done: completed\r\na: cancelled\r\n")
        assert tty.code() == 1


def test_who_is_interrupted_has_a_clean_line(workshop: Workshop) -> None:
    workshop.store.enqueue(JobSpec(id="a", command="true"))
    with terminal("wait", "a") as tty:
        tty.until(b"Waiting: 0 of 1 finished")
        tty.type(b"\x03")
        assert tty.rest().endswith(ERASED)
        assert tty.code() == 130


def test_nobody_else_is_told(queuectl: Run, workshop: Workshop, specs: Path) -> None:
    assert queuectl("enqueue", "--file", str(specs)).err == ""
    assert queuectl("wait", "j1", "--timeout", "0").err.count("\n") == 1
    workshop.store.cancel("j1", by="me")
    said = queuectl("purge", "--state", "cancelled")
    assert (said.out, said.err) == ("1 job deleted.\n", "")


def test_it_is_told_now_and_then_with_the_mean_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "is_terminal", lambda _: True)
    monkeypatch.setattr("time.monotonic", lambda: now)
    with progress.counted("{done:,} stored, {rate:,} a second") as tell:
        for done in range(0, 10_001, 500):
            now += 0.05
            tell(done)
    told = capsys.readouterr().err.split("\r\x1b[K")
    assert "10,000 stored, 9,524 a second" in told
    assert told[-1] == ""
    assert len(told) < 15


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--", "true"], b"is stored, but standard output cannot be written: No space left"),
        (['[{"command": "a"}, {"command": "b"}]'], b"All 2 jobs are stored, but"),
        (["--file", "-"], b"All jobs of the file are stored, but"),
        (["--json", "--id", "a", "--", "true"], b"The job 'a' is stored, but"),
    ],
)
def test_an_answer_that_cannot_be_written_says_that_the_job_is_stored(
    workshop: Workshop, words: list[str], told: bytes
) -> None:
    line = shlex.join([sys.executable, "-m", "flam_cli", "enqueue", *words])
    done = process_of_shell(f'echo \'{{"command": "x"}}\' | {line} > /dev/full')
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert told in done.stderr
    assert workshop.store.jobs().jobs


@pytest.mark.parametrize("words", [("--file", os.devnull), ("[]",), ("[]", "--if-absent")])
def test_a_person_is_told_that_nothing_was_there_to_enqueue(
    queuectl: Run, words: tuple[str, ...]
) -> None:
    with terminal("enqueue", *words) as tty:
        assert tty.rest().rpartition(b"\x1b[K")[2].strip() == b"0 jobs enqueued."
        assert tty.code() == 0
    said = queuectl("enqueue", *words)
    assert (said.code, said.out, said.err) == (0, "", "")
