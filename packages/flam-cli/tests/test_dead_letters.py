from __future__ import annotations

import io
import sys

import pytest
from conftest import Run, Workshop
from test_enqueue import JOB_KEYS

from flam_store.home import Home


def test_dead_letters_are_listed_and_nothing_else(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("d")
    workshop.completed("c")
    assert [job["id"] for job in queuectl("dlq", "list", "--json").json] == ["d"]
    assert "d  " in queuectl("dlq", "list").out


def test_a_dead_letter_is_retried_once(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("d")
    assert queuectl("dlq", "retry", "d").out == "d: pending\n"
    again = queuectl("dlq", "retry", "d")
    assert (again.code, again.out, again.err.count("\n")) == (4, "", 1)


def test_of_several_ids_all_are_tried_and_the_first_failure_gives_the_code(
    queuectl: Run, workshop: Workshop
) -> None:
    workshop.dead("d1")
    workshop.dead("d2")
    workshop.completed("done")
    said = queuectl("dlq", "retry", "nope", "d1", "done", "d2")
    assert (said.code, said.err.count("\n")) == (3, 2)
    assert said.out == "d1: pending\nd2: pending\n"
    assert queuectl("dlq", "list", "--json").json == []


def test_retried_ids_are_given_as_jobs_and_nothing_beside_an_error(
    queuectl: Run, workshop: Workshop
) -> None:
    for job_id in ("d1", "d2", "d3"):
        workshop.dead(job_id)
    jobs = queuectl("dlq", "retry", "d1", "d2", "--json").json
    assert [(job["id"], job["state"], job["attempts"]) for job in jobs] == [
        ("d1", "pending", 0),
        ("d2", "pending", 0),
    ]
    assert jobs[0].keys() == JOB_KEYS
    failed = queuectl("dlq", "retry", "d3", "nope", "--json")
    assert (failed.code, failed.out) == (3, "")


@pytest.mark.parametrize("words", [[], ["--all", "d"]])
def test_ids_or_all_must_be_given(queuectl: Run, words: list[str]) -> None:
    assert queuectl("dlq", "retry", *words).code == 2


def test_all_are_retried(queuectl: Run, workshop: Workshop) -> None:
    for number in range(3):
        workshop.dead(f"d{number}")
    assert queuectl("dlq", "retry", "--all", "--json").json == {"count": 3}
    assert queuectl("dlq", "retry", "--all").out == "0 jobs pending again.\n"


def test_a_purge_deletes_dead_letters_and_their_output_and_nothing_else(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    workshop.dead("d", b"secret output")
    workshop.completed("c", b"kept")
    assert queuectl("dlq", "purge", "--json").json == {"count": 1}
    assert [job["id"] for job in queuectl("list", "--json").json] == ["c"]
    outputs = [path.read_bytes() for path in home.logs_path.rglob("*.log")]
    assert outputs == [b"kept"]


@pytest.mark.parametrize("purge", [("dlq", "purge"), ("purge", "--state", "dead")])
def test_a_purge_says_how_many_stay_and_why(
    queuectl: Run, workshop: Workshop, purge: tuple[str, ...]
) -> None:
    workshop.dead("gone")
    workshop.dead("held")
    queuectl("enqueue", "--after", "held", "--", "true")
    said = queuectl(*purge)
    assert said.out == "1 job deleted.\n"
    assert said.err == (
        "1 job left: a dead or cancelled job stays while a blocked one needs its success.\n"
    )
    again = queuectl(*purge, "--json")
    assert (again.json, again.err) == ({"count": 0}, "")


def test_a_purge_of_all_that_match_says_nothing_more(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("held")
    workshop.dead("mail", queue="mail")
    queuectl("enqueue", "--after", "held", "--", "true")
    assert queuectl("purge", "--state", "dead", "--queue", "mail").err == ""
    assert queuectl("purge", "--state", "completed").err == ""
    assert queuectl("purge", "--state", "dead", "--older-than", "1h").err == ""


def test_a_terminal_is_asked_before_a_purge(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Person(io.StringIO):
        def isatty(self) -> bool:
            return True

    workshop.dead("d")
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    refused = queuectl("dlq", "purge")
    assert (refused.code, refused.out) == (1, "")
    assert "Delete 1 dead letter and its output?" in refused.err
    monkeypatch.setattr(sys, "stdin", Person("y\n"))
    assert queuectl("dlq", "purge").out == "1 job deleted.\n"
    monkeypatch.setattr(sys, "stdin", Person(""))
    assert queuectl("dlq", "purge", "--yes").out == "0 jobs deleted.\n"
