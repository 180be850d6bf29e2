"""``queuectl schedule``, with a queue that nobody works on."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from conftest import Run, Workshop

from flam_store.home import Home

DAILY = ("--cron", "@daily", "--timezone", "UTC")
NOBODY = "no worker runs, and so nothing is enqueued: queuectl worker start\n"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def nightly(queuectl: Run) -> Any:
    """A schedule as a script sees it."""
    return queuectl("schedule", "add", "nightly", *DAILY, "--json", "--", "./backup", "a b").json


def test_a_command_in_words_is_kept_with_its_directory(queuectl: Run, nightly: Any) -> None:
    assert nightly == {
        "name": "nightly", "cron": "@daily", "timezone": "UTC", "overlap": "allow",
        "catch_up": "none", "spec": {"args": ["./backup", "a b"], "cwd": os.getcwd()},
        "created_at": nightly["created_at"], "paused_at": None, "paused_by": None,
        "next_at": nightly["next_at"], "problem": None,
    }  # fmt: skip
    assert nightly["next_at"].endswith("T00:00:00.000000Z")
    job = queuectl("schedule", "run", "nightly", "--json").json
    assert (job["args"], job["cwd"]) == (["./backup", "a b"], os.getcwd())
    assert job["labels"] == {"schedule": "nightly"}
    assert queuectl("list", "--label", "schedule=nightly", "--json").json == [job]


def test_a_spec_and_options_beside_it_are_kept(queuectl: Run) -> None:
    spec = '{"command": "cat", "stdin": "secret", "queue": "mail", "cwd": "/"}'
    words = ["--overlap", "skip", "--catch-up", "last", "--timezone", "Europe/Berlin"]
    words += ["--queue", "other", "--priority", "3", "--timeout", "5m", "--max-retries", "0"]
    words += ["--label", "a=b", "--env", "KEY=hidden", "--unique-key", "k"]
    added = queuectl("schedule", "add", "s", "--cron", "*/5 1 * * *", *words, spec, "--json").json
    assert (added["overlap"], added["catch_up"]) == ("skip", "last")
    assert added["spec"] == {
        "command": "cat", "queue": "mail", "priority": 3, "max_retries": 0, "timeout": 300.0,
        "cwd": "/", "env": {"KEY": "***"}, "unique_key": "k", "labels": {"a": "b"},
        "stdin_bytes": 6,
    }  # fmt: skip
    for words in (["show", "s"], ["show", "s", "--json"], ["list"], ["list", "--json"]):
        said = queuectl("schedule", *words)
        assert said.code == 0
        assert "hidden" not in said.out
        assert "secret" not in said.out


def test_the_zone_is_the_host_s_unless_told(queuectl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    added = queuectl("schedule", "add", "s", "--cron", "@daily", "--json", "--", "true").json
    assert added["timezone"] == "Asia/Tokyo"
    assert added["next_at"].endswith("T15:00:00.000000Z")


def test_adding_tells_the_next_tick_and_that_nobody_works(queuectl: Run) -> None:
    said = queuectl(
        "schedule", "add", "s", "--cron", "0 0 1 1 *", "--timezone", "UTC", "--", "true"
    )
    assert (said.code, said.err) == (0, NOBODY)
    assert said.out.startswith("s: next at 2")
    assert said.out.endswith("-01-01 00:00:00Z\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["s", "--", "true"], "Say when: --cron"),
        (["s", "--cron", "@daily"], "Give one of these: a SPEC, or --"),
        (["s", "--cron", "@daily", '{"command": "true"}', "--", "true"], "Give one of these"),
        (["s", "--cron", "@daily", "true"], "is no JSON object"),
        (["s", "--cron", "@daily", "[]"], "a schedule has one job"),
        (["s", "--cron", "@daily", '{"comand": "true"}'], "did you mean 'command'"),
        (["s", "--cron", "@daily", "--"], "args: is empty"),
        (["s", "--cron", "* * * *", "--", "true"], "4 fields"),
        (["s", "--cron", "* * * * * *", "--", "true"], "no seconds"),
        (["s", "--cron", "61 * * * *", "--", "true"], "bad minute"),
        (["s", "--cron", "@reboot", "--", "true"], "no alias"),
        (["s", "--cron", "0 0 30 2 *", "--", "true"], "cron: "),
        (["s", "--cron", "0 0 */31 2 MON#5", "--", "true"], "never comes"),
        (["s", "--cron", "\x1b[2J", "--", "true"], r"\x1b"),
        (["s", *DAILY[:2], "--timezone", "Europe/Berln", "--", "true"], "mean 'Europe/Berlin'"),
        (["s", *DAILY[:2], "--timezone", "", "--", "true"], "timezone: "),
        (["s", *DAILY, "--overlap", "skp", "--", "true"], "--overlap: "),
        (["s", *DAILY, "--catch-up", "all", "--", "true"], "--catch-up: "),
        (["s", *DAILY, "--priority", "high", "--", "true"], "--priority"),
        (["s", *DAILY, "--timeout", "soon", "--", "true"], "--timeout: "),
        (["s", *DAILY, "--max-retries", "-1", "--", "true"], "--max-retries: "),
        (["s", *DAILY, "--queue", "a b", "--", "true"], "--queue: "),
        (["s", *DAILY, "--label", "a", "--", "true"], "--label: "),
        (["s", *DAILY, "--env", "A B", "--", "true"], "--env: "),
        (["s", *DAILY, "--cwd", "", "--", "true"], "--cwd: "),
        (["s", *DAILY, "--unique-key", "", "--", "true"], "--unique-key: "),
        (["a b", *DAILY, "--", "true"], "name: "),
        (["s", *DAILY, '{"command": "true", "id": "j"}'], "id: can be given only once"),
        (["s", *DAILY, '{"command": "true", "delay": 0}'], "delay: is for a single job"),
        (["s", *DAILY, '{"command": "true", "after": ["a"]}'], "after: is for a single job"),
        (
            ["s", *DAILY, '{"command": "true", "run_at": "2026-01-31T12:00Z"}'],
            "run_at: is for a single job",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_stored(
    queuectl: Run, words: list[str], told: str
) -> None:
    refused = queuectl("schedule", "add", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err
    assert queuectl("schedule", "list", "--json").json == []


def test_a_taken_name_is_a_conflict(queuectl: Run, nightly: Any) -> None:
    refused = queuectl("schedule", "add", "nightly", *DAILY, "--", "true")
    assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)
    assert queuectl("schedule", "list", "--json").json == [nightly]


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "remove", "run"])
@pytest.mark.usefixtures("nightly")
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(queuectl: Run, verb: str) -> None:
    refused = queuectl("schedule", verb, "nightlyy")
    assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
    assert "Did you mean 'nightly'?" in refused.err
    assert queuectl("schedule", verb, "a b\udcff").code == 3


def test_a_pause_and_its_end(queuectl: Run, nightly: Any) -> None:
    paused = queuectl("schedule", "pause", "nightly")
    assert (paused.code, paused.out, paused.err) == (0, "nightly: paused\n", "")
    told = queuectl("schedule", "show", "nightly", "--json").json
    assert (told["next_at"], told["upcoming"], "@" in told["paused_by"]) == (None, [], True)
    assert "by " + told["paused_by"] in queuectl("schedule", "show", "nightly").out
    assert "paused" in queuectl("schedule", "list").out
    resumed = queuectl("schedule", "resume", "nightly", "--json").json
    assert resumed == nightly


@pytest.mark.usefixtures("nightly")
def test_one_that_is_removed_is_gone_and_its_jobs_stay(queuectl: Run) -> None:
    job = queuectl("schedule", "run", "nightly").out.strip()
    assert queuectl("schedule", "remove", "nightly").out == "nightly: removed\n"
    assert queuectl("schedule", "list", "--json").json == []
    assert queuectl("show", job).code == 0
    assert queuectl("schedule", "remove", "nightly").code == 3


@pytest.mark.usefixtures("nightly")
def test_it_is_shown_with_its_next_ticks_and_its_last_ones(queuectl: Run) -> None:
    first = queuectl("schedule", "run", "nightly").out.strip()
    told = queuectl("schedule", "show", "nightly", "--json").json
    times = [at(each) for each in told["upcoming"]]
    assert len(times) == 5
    assert {(b - a).days for a, b in pairwise(times)} == {1}
    assert told["upcoming"][0] == told["next_at"]
    assert told["ticks"] == [
        {"at": told["ticks"][0]["at"], "job": first, "state": "pending", "skipped": None}
    ]
    said = queuectl("schedule", "show", "nightly").out
    assert said.count("Next: ") == 5
    assert first in said


def test_a_run_whose_key_is_held_is_a_conflict(queuectl: Run) -> None:
    queuectl("schedule", "add", "s", *DAILY, "--unique-key", "k", "--", "true")
    assert queuectl("schedule", "run", "s").code == 0
    refused = queuectl("schedule", "run", "s")
    assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)


def test_hostile_text_is_shown_and_not_obeyed(queuectl: Run) -> None:
    queuectl("schedule", "add", "s", *DAILY, "--label", "a=\x1b[2J", "--", "echo", "\x1b]0;x\x07")
    for words in (["list"], ["show", "s"], ["list", "--json"], ["show", "s", "--json"]):
        assert "\x1b" not in queuectl("schedule", *words).out


def test_looking_makes_nothing(queuectl: Run, home: Home) -> None:
    assert queuectl("schedule", "list", "--json").json == []
    assert queuectl("schedule", "list").out == "NAME  CRON  TIMEZONE  NEXT  COMMAND\n"
    assert queuectl("schedule", "show", "s").code == 3
    assert not home.database_path.exists()


@pytest.mark.usefixtures("nightly")
def test_the_doctor_warns_of_schedules_that_nobody_watches(queuectl: Run) -> None:
    said = queuectl("doctor", "--json")
    told = {(each["level"], each["subject"]) for each in said.json["findings"]}
    assert (said.code, ("warn", "schedules") in told) == (0, True)


def test_a_spec_can_come_on_standard_input(process: Callable[..., Any], queuectl: Run) -> None:
    done = process("schedule", "add", "s", *DAILY, "-", stdin=b'{"command": "true"}')
    assert done.returncode == 0
    assert queuectl("schedule", "show", "s", "--json").json["spec"]["command"] == "true"


def test_a_purged_job_is_told_as_such(queuectl: Run, workshop: Workshop, nightly: Any) -> None:
    job = queuectl("schedule", "run", nightly["name"]).out.strip()
    queuectl("cancel", job)
    queuectl("purge", "--state", "cancelled")
    assert "purged" in queuectl("schedule", "show", "nightly").out
    assert workshop.store.ticks("nightly")[0].state is None
