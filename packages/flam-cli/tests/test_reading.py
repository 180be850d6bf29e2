from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from conftest import FAILURE, SOURCES, Run, Workshop
from test_enqueue import JOB_KEYS

from flam_store import JobSpec, State
from flam_store.home import Home
from flam_store.outcome import Dead

HOSTILE = "echo \x1b]0;owned\x07 \x9b31m \u202e \r\b"


def enqueue(workshop: Workshop, *ids: str, **fields: Any) -> None:
    for job_id in ids:
        workshop.store.enqueue(JobSpec(id=job_id, **({"command": "true"} | fields)))


@pytest.mark.parametrize(
    "words", [["list"], ["status"], ["worker", "list"], ["dlq", "list"], ["config", "show"],
              ["worker", "stop"], ["top"], ["stats"], ["metrics"]]
)  # fmt: skip
def test_a_command_that_reads_creates_nothing(queuectl: Run, home: Home, words: list[str]) -> None:
    said = queuectl(*words)
    assert (said.code, said.err) == (0, "")
    assert not home.path.exists()


def test_status_has_a_line_for_each_state(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("d")
    enqueue(workshop, "a", "b")
    lines = queuectl("status").out.splitlines()
    assert lines[:7] == [
        "Pending: 2", "Blocked: 0", "Processing: 0", "Completed: 0", "Failed: 0", "Dead: 1",
        "Cancelled: 0",
    ]  # fmt: skip
    assert "Workers: 0" in lines


def test_status_as_json_is_complete(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a")
    status = queuectl("status", "--json").json
    assert status.keys() == {"counts", "queues", "workers", "oldest_due_at", "rates"}
    assert status["counts"] == {state.value: int(state is State.PENDING) for state in State}
    assert status["workers"] == []


def test_watch_prints_one_frame_where_nobody_watches(queuectl: Run) -> None:
    said = queuectl("status", "--watch")
    assert said.code == 0
    assert said.out.startswith("Pending: 0\n")
    assert "\x1b" not in said.out


def test_list_is_newest_first_and_says_that_there_are_more(
    queuectl: Run, workshop: Workshop
) -> None:
    enqueue(workshop, "a", "b", "c")
    said = queuectl("list", "--limit", "2", "--json")
    assert [job["id"] for job in said.json] == ["c", "b"]
    assert said.json[0].keys() == JOB_KEYS
    assert said.err.count("\n") == 1
    assert "--after b" in said.err
    rest = queuectl("list", "--limit", "2", "--after", "b", "--json")
    assert ([job["id"] for job in rest.json], rest.err) == (["a"], "")


def test_list_stops_at_100_and_0_means_all(queuectl: Run, workshop: Workshop) -> None:
    count = 1_100
    workshop.store.enqueue_many(JobSpec(command="x") for _ in range(count))
    assert len(queuectl("list", "--json").json) == 100
    everything = queuectl("list", "--limit", "0", "--json")
    assert len({job["id"] for job in everything.json}) == count
    assert everything.err == ""
    assert len(queuectl("list", "--limit", "0").out.splitlines()) == count + 1
    assert len(queuectl("list", "--limit", "700").out.splitlines()) == 701


def test_list_narrows_by_state_queue_and_label(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("dead")
    workshop.completed("done")
    enqueue(workshop, "mail", queue="mail", labels={"a": "1", "b": "2"})
    enqueue(workshop, "other", labels={"a": "1"})

    def listed(*words: str) -> list[str]:
        return [job["id"] for job in queuectl("list", "--json", *words).json]

    assert listed("--state", "dead") == ["dead"]
    assert listed("--state", "dead", "--state", "completed") == ["done", "dead"]
    assert listed("--queue", "mail") == ["mail"]
    assert listed("--label", "a=1") == ["other", "mail"]
    assert listed("--label", "a=1", "--label", "b=2") == ["mail"]


def test_a_misspelt_state_is_suggested(queuectl: Run) -> None:
    refused = queuectl("list", "--state", "pendng")
    assert (refused.code, refused.out) == (2, "")
    assert "Did you mean 'pending'?" in refused.err


def test_show_tells_every_attempt(queuectl: Run, workshop: Workshop) -> None:
    workshop.failed("a")
    workshop.end(workshop.again("a"), Dead(failure=attrs.evolve(FAILURE, signal="SIGKILL")))
    job = queuectl("show", "a", "--json").json
    relatives = {"parents", "children", "more_parents", "more_children"}
    assert job.keys() == JOB_KEYS | {"history"} | relatives
    assert [(each["attempt"], each["state"], each["signal"]) for each in job["history"]] == [
        (1, "failed", None),
        (2, "failed", "SIGKILL"),
    ]
    assert job["history"][0].keys() >= {
        "attempt", "state", "worker", "started_at", "finished_at", "exit_code", "signal", "error",
    }  # fmt: skip
    text = queuectl("show", "a").out
    assert "SIGKILL" in text
    assert "exit code 1" in text


def test_show_masks_the_environment(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a", env={"TOKEN": "secret"})
    for words in (["show", "a"], ["show", "a", "--json"], ["list", "--json"], ["list"]):
        said = queuectl(*words)
        assert "secret" not in said.out
    assert "TOKEN=***" in queuectl("show", "a").out


def test_an_unknown_id_suggests_a_near_one(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "thumb-17")
    said = queuectl("show", "thmb-17")
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert "Did you mean 'thumb-17'?" in said.err


@pytest.mark.parametrize("words", [["show"], ["logs"], ["dlq", "retry"]])
def test_an_id_with_an_escape_never_reaches_the_terminal(queuectl: Run, words: list[str]) -> None:
    said = queuectl(*words, "a\x1b[2J\udcff\n")
    assert (said.code, said.err.count("\n")) == (3, 1)
    assert "\x1b" not in said.err
    assert r"\x1b[2J" in said.err


@pytest.mark.parametrize("words", [["list"], ["show", "a"], ["list", "--json"]])
def test_hostile_fields_are_shown_and_not_obeyed(
    queuectl: Run, workshop: Workshop, words: list[str]
) -> None:
    enqueue(workshop, "a", command=HOSTILE)
    out = queuectl(*words).out
    assert not set(out) & set("\x1b\x07\x9b\u202e\r\b")
    assert "owned" in out


def test_a_line_is_cut_at_the_edge_of_a_terminal_only(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(workshop, "a", command="x" * 300)
    assert "x" * 300 in queuectl("list").out
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    assert max(map(len, queuectl("list").out.splitlines())) == 60


@pytest.mark.parametrize(
    ("settings", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
     ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)  # fmt: skip
def test_colours_are_for_terminals_that_want_them(
    queuectl: Run,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    coloured: bool,
) -> None:
    workshop.dead("a")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    assert ("\x1b[31m" in queuectl("list").out) is coloured


def test_a_reader_that_closes_the_pipe_ends_it_quietly(workshop: Workshop) -> None:
    workshop.store.enqueue_many(JobSpec(command="x" * 100) for _ in range(5_000))
    shell = f"{sys.executable} -m flam_cli list --limit 0 $FORMAT; echo $? >&2"
    for form in ("", "--json"):
        done = process_of_shell(f"({shell}) | head -1", FORMAT=form)
        assert done.stdout.count(b"\n") == 1
        assert done.stderr == b"0\n"


def process_of_shell(script: str, **env: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": SOURCES, **env}
    return subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, timeout=60, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_a_full_disk_behind_standard_output_is_a_line() -> None:
    done = process_of_shell(f"{sys.executable} -m flam_cli status > /dev/full")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_closed_standard_streams_do_no_harm(workshop: Workshop) -> None:
    done = process_of_shell(f"{sys.executable} -m flam_cli enqueue --id a -- true <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert workshop.store.job("a").id == "a"
