"""``stats`` and ``metrics``: what a person and a scraper are told of what has run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Run, Workshop

from flam_store.sqlite import measuring


def test_stats_are_told_for_each_queue(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a")
    workshop.dead("b")
    workshop.completed("c", queue="mail")
    lines = queuectl("stats").out.splitlines()
    assert lines[0].split()[:6] == [
        "QUEUE", "ATTEMPTS", "FAILED", "RATE", "TIMEOUTS", "CANCELLED",
    ]  # fmt: skip
    assert lines[1].split()[:6] == ["default", "2", "1", "50.0%", "0", "0"]
    assert lines[2].split()[:4] == ["mail", "1", "0", "0.0%"]
    told = queuectl("stats", "--queue", "mail", "--json").json
    assert told.keys() == {"since", "cut", "measures"}
    (mail,) = told["measures"]
    assert (mail["name"], mail["attempts"], mail["failed"]) == ("mail", 1, 0)
    assert mail["run_seconds"].keys() == {"p50", "p95", "max"}


def test_stats_are_told_for_each_command_and_obey_none(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", command="echo \x1b[2J")
    workshop.dead("b", command="echo \x1b[2J")
    workshop.completed("c", command=None, args=("ls", "a b"))
    said = queuectl("stats", "--by", "command", "--since", "2000-01-01T00:00:00Z")
    assert [line.rpartition("  ")[2] for line in said.out.splitlines()] == [
        "COMMAND", r"echo \x1b[2J", "ls 'a b'",
    ]  # fmt: skip


def test_a_long_command_pushes_no_number_away(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", command=f"echo {'x' * 3_000}")
    workshop.completed("b", command="echo short")
    _, *rows = queuectl("stats", "--by", "command").out.splitlines()
    assert {row.index("echo ") < 100 for row in rows} == {True}
    assert [row.split()[0] for row in rows] == ["1", "1"]


def test_stats_say_so_when_not_all_is_counted(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_MOST_MEASURED", 1)
    workshop.completed("a")
    workshop.completed("b")
    said = queuectl("stats", "--json")
    assert (said.json["cut"], said.json["measures"][0]["attempts"]) == (True, 1)
    assert "only the newest" in said.err


def test_stats_of_many_commands_show_those_with_most_attempts(
    queuectl: Run, workshop: Workshop
) -> None:
    for n in range(52):
        workshop.completed(f"j{n}", command=f"echo {n}")
    workshop.completed("again", command="echo 51")
    said = queuectl("stats", "--by", "command")
    assert len(said.out.splitlines()) == 51
    assert said.out.splitlines()[1].split()[0] == "2"
    assert said.out.splitlines()[1].endswith("  echo 51")
    assert said.err == "2 with fewer attempts are left out; --json has all.\n"
    assert len(queuectl("stats", "--by", "command", "--json").json["measures"]) == 52


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--by", "queu"], "Did you mean 'queue'?"),
        (["--since", "never"], "--since"),
        (["--queue", "a b"], "--queue"),
    ],
)
def test_stats_of_what_cannot_be_meant_are_refused(
    queuectl: Run, words: list[str], told: str
) -> None:
    refused = queuectl("stats", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err


def test_metrics_count_what_ran_also_when_it_is_deleted(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a")
    workshop.dead("b", queue="mail")
    queuectl("purge", "--state", "completed", "--state", "dead")
    workshop.running("c")
    lines = queuectl("metrics").out.splitlines()
    assert 'flam_attempts_total{queue="default",state="completed"} 1' in lines
    assert 'flam_attempts_total{queue="mail",state="failed"} 1' in lines
    assert 'flam_jobs{queue="default",state="processing"} 1' in lines
    assert 'flam_run_seconds_count{queue="mail"} 1' in lines
    (worker,) = [line for line in lines if line.startswith("flam_workers{")]
    assert worker.startswith('flam_workers{host="elsewhere",state="')


def test_metrics_as_json_are_the_same_families(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a")
    families = {family["name"]: family for family in queuectl("metrics", "--json").json}
    assert families["flam_attempts_total"]["kind"] == "counter"
    assert families["flam_attempts_total"]["samples"] == [
        {"value": 1, "labels": {"queue": "default", "state": "completed"}, "suffix": ""}
    ]


def test_metrics_are_put_into_a_file_at_once_for_all_to_read(
    queuectl: Run, workshop: Workshop, tmp_path: Path
) -> None:
    folder = tmp_path / "collector"
    folder.mkdir()
    path = folder / "flam.prom"
    path.write_text("old")
    before = os.umask(0o077)
    try:
        said = queuectl("metrics", "--file", str(path))
    finally:
        os.umask(before)
    assert (said.code, said.out, said.err) == (0, "", "")
    assert path.read_text().startswith("# HELP flam_jobs ")
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(folder) == ["flam.prom"]


@pytest.mark.parametrize("path", ["nowhere/flam.prom", "", ".", "a\0b"])
def test_a_file_that_cannot_be_written_is_a_line(
    queuectl: Run, workshop: Workshop, path: str
) -> None:
    refused = queuectl("metrics", "--file", path)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "--file" in refused.err
    assert os.listdir(".") == []
