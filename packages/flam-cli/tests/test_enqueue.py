from __future__ import annotations

import io
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from flam_store import open_store
from flam_store.home import Home
from flam_store.spec import MAX_SPEC_BYTES
from flam_store.state import State

JOB_KEYS = {
    "id", "command", "state", "queue", "priority", "attempts", "max_retries", "created_at",
    "updated_at", "run_at", "exit_code", "error", "args", "backoff_base", "backoff_max",
    "backoff_jitter", "timeout", "cwd", "env", "stdin_bytes", "after", "after_policy", "unique_key",
    "labels", "success_codes", "no_retry_on", "on_success", "on_failure", "on_dead",
}  # fmt: skip


def show(queuectl: Run, job_id: str) -> Any:
    return queuectl("show", job_id, "--json").json


def test_the_id_is_printed_and_the_job_is_pending(queuectl: Run) -> None:
    said = queuectl("enqueue", '{"command": "echo hi", "id": "a"}')
    assert (said.code, said.out, said.err) == (0, "a\n", "")
    assert show(queuectl, "a")["state"] == "pending"


@pytest.mark.parametrize(
    "words", [["--json", "enqueue", '{"command": "x"}'], ["enqueue", '{"command": "x"}', "--json"]]
)
def test_json_before_and_after_the_command_gives_the_whole_job(
    queuectl: Run, words: list[str]
) -> None:
    assert queuectl(*words).json.keys() == JOB_KEYS


def test_an_array_gives_its_ids_in_order(queuectl: Run) -> None:
    specs = '[{"command": "x", "id": "a"}, {"command": "y", "id": "b"}]'
    assert queuectl("enqueue", specs).out == "a\nb\n"
    assert queuectl("enqueue", "[]", "--json").json == []
    assert queuectl("enqueue", '[{"command": "z", "id": "c"}]', "--json").json == ["c"]


def test_an_array_is_stored_whole_or_not_at_all(queuectl: Run) -> None:
    specs = '[{"command": "x", "id": "a"}, {"command": "y", "id": "a"}]'
    assert queuectl("enqueue", specs).code == 4
    assert queuectl("list", "--json").json == []


def test_a_dash_reads_standard_input(process: Callable[..., Any], queuectl: Run) -> None:
    done = process("enqueue", "-", stdin=b'{"command": "x", "id": "a"}')
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\n", b"")
    assert show(queuectl, "a")["command"] == "x"


def test_words_after_the_first_double_dash_are_the_command(queuectl: Run) -> None:
    queuectl("enqueue", "--id", "a", "--", "cmd", "--", "--json", "-x", "a b")
    assert show(queuectl, "a")["args"] == ["cmd", "--", "--json", "-x", "a b"]


def test_options_become_fields(queuectl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    queuectl("enqueue", "--id", "parent", "--", "true")
    queuectl(
        "enqueue", "--id", "a", "--queue", "mail", "--priority", "-3", "--timeout", "5m",
        "--max-retries", "7", "--after", "parent", "--label", "k=v=w", "--env", "TOKEN",
        "--env", "EMPTY=", "--cwd", "/", "--unique-key", "one", "--delay", "90s", "--", "true",
    )  # fmt: skip
    job = show(queuectl, "a")
    told = ("queue", "priority", "timeout", "max_retries", "after", "labels", "cwd", "unique_key")
    assert [job[key] for key in told] == [
        "mail", -3, 300.0, 7, ["parent"], {"k": "v=w"}, "/", "one",
    ]  # fmt: skip
    assert job["env"] == {"TOKEN": "***", "EMPTY": "***"}
    assert job["run_at"] > job["created_at"]


def test_the_value_of_an_inherited_variable_is_the_callers(
    queuectl: Run, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    queuectl("enqueue", "--id", "a", "--env", "TOKEN", "--", "true")
    with open_store(f"sqlite:///{home.database_path}") as store:
        assert store.job("a").env == {"TOKEN": "secret"}


def test_options_fill_in_only_what_the_spec_leaves_out(queuectl: Run) -> None:
    specs = '[{"command": "x", "id": "a", "queue": "own"}, {"args": ["y"], "id": "b"}]'
    queuectl("enqueue", specs, "--queue", "mail", "--priority", "4")
    jobs = show(queuectl, "a"), show(queuectl, "b")
    assert [(job["queue"], job["priority"]) for job in jobs] == [("own", 4), ("mail", 4)]


def test_the_callers_directory_is_recorded_and_a_relative_one_made_absolute(
    queuectl: Run, tmp_path: Path
) -> None:
    queuectl("enqueue", "--id", "a", "--", "true")
    queuectl("enqueue", '{"command": "x", "id": "b", "cwd": "sub"}')
    queuectl("enqueue", "--id", "c", "--cwd", "sub", "--", "true")
    work = tmp_path / "work"
    directories = [show(queuectl, job)["cwd"] for job in "abc"]
    assert directories == [str(work), str(work / "sub"), str(work / "sub")]


def test_a_deleted_directory_is_told_of_unless_the_job_names_its_own(
    queuectl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    refused = queuectl("enqueue", "--", "true")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "cwd: the working directory is gone" in refused.err
    assert queuectl("enqueue", "--cwd", "/", "--", "true").code == 0
    assert queuectl("enqueue", '{"command": "x", "cwd": "/"}').code == 0


def test_an_id_that_is_taken_is_a_conflict(queuectl: Run) -> None:
    queuectl("enqueue", "--id", "a", "--", "true")
    said = queuectl("enqueue", "--id", "a", "--", "true")
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)


def test_bytes_that_are_no_text_are_refused_with_one_line(process: Callable[..., Any]) -> None:
    done = process("enqueue", "--", "echo", b"\xff")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.startswith(b"queuectl: args: ")


def test_a_file_gives_its_ids_in_order_and_skips_blank_lines(queuectl: Run, tmp_path: Path) -> None:
    file = tmp_path / "jobs"
    file.write_text('{"command": "1", "id": "a"}\n\n  \r\n{"command": "2", "id": "b"}')
    assert queuectl("enqueue", "--file", str(file), "--queue", "mail").out == "a\nb\n"
    jobs = queuectl("list", "--json").json
    assert [(job["id"], job["queue"]) for job in jobs] == [("b", "mail"), ("a", "mail")]
    assert {job["cwd"] for job in jobs} == {os.getcwd()}


def test_the_ids_of_a_file_are_one_document(queuectl: Run, tmp_path: Path) -> None:
    file = tmp_path / "jobs"
    file.write_text("".join(f'{{"command": "x", "id": "j{n}"}}\n' for n in range(1201)))
    said = queuectl("enqueue", "--file", str(file), "--json")
    assert said.json == [f"j{n}" for n in range(1201)]
    file.write_text("\n")
    assert queuectl("enqueue", "--file", str(file), "--json").json == []
    assert queuectl("enqueue", "--file", str(file)).out == ""


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("{", "line 1202: is no JSON"),
        ("make test", 'line 1202: is no JSON; each line is an object such as {"command": "make t'),
        ("[", "line 1202: begins an array; a file has one spec a line, such as {"),
        ('[{"command": "x"}]', "line 1202: begins an array; a file has one spec a line"),
        ('{"command": "x", "after": ["no"]}', "line 1202: after: no job has the id 'no'"),
        ('{"comand": "x"}', "line 1202: comand: is no field of a spec; did you mean 'command'?"),
        ('{"command": ""}', "line 1202: command: is empty"),
        (" " * (MAX_SPEC_BYTES + 9) + '{"command": "x"}', "line 1202: is longer than 1,048,576"),
    ],
)
def test_one_bad_line_of_a_file_is_named_and_nothing_is_stored(
    queuectl: Run, tmp_path: Path, last: str, told: str
) -> None:
    file = tmp_path / "jobs"
    file.write_text('{"command": "x"}\n' * 1200 + "\n" + last)
    refused = queuectl("enqueue", "--file", str(file))
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err
    assert queuectl("list", "--json").json == []


def test_a_taken_id_in_a_file_leaves_nothing_of_it(queuectl: Run, tmp_path: Path) -> None:
    queuectl("enqueue", "--id", "a", "--", "true")
    file = tmp_path / "jobs"
    file.write_text('{"command": "x", "id": "b"}\n{"command": "x", "id": "a"}\n')
    assert queuectl("enqueue", "--file", str(file)).code == 4
    assert [job["id"] for job in queuectl("list", "--json").json] == ["a"]


@pytest.mark.parametrize("word", [[], ["--if-absent"]])
def test_a_file_may_begin_with_a_byte_order_mark(
    queuectl: Run, tmp_path: Path, word: list[str]
) -> None:
    file = tmp_path / "jobs"
    file.write_bytes(b'\xef\xbb\xbf{"command": "x", "id": "a"}\n\n{"command": "y", "id": "b"}\n')
    assert queuectl("enqueue", "--file", str(file), *word).out == "a\nb\n"


def test_a_file_that_is_not_there_is_a_line(queuectl: Run, tmp_path: Path) -> None:
    refused = queuectl("enqueue", "--file", str(tmp_path / "nope"))
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "No such file" in refused.err
    assert queuectl("enqueue", "--file", str(tmp_path)).code == 2


def test_nothing_is_left_of_the_spool(queuectl: Run, tmp_path: Path, home: Home) -> None:
    file = tmp_path / "jobs"
    file.write_text('{"command": "x"}\n{')
    queuectl("enqueue", "--file", str(file))
    assert {path.name for path in home.path.iterdir()} <= {"logs"}


def test_others_can_enqueue_while_a_producer_is_slow(
    queuectl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[int] = []

    class Slow(io.RawIOBase):
        lines = iter([b'{"command": "x", "id": "a"}\n', b'{"command": "y", "id": "b"}\n'])

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            inside.append(queuectl("enqueue", "--id", f"other-{len(inside)}", "--", "true").code)
            line = next(self.lines, b"")
            buffer[: len(line)] = line
            return len(line)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Slow())))
    assert queuectl("enqueue", "--file", "-").out == "a\nb\n"
    assert inside
    assert set(inside) == {0}


def test_memory_stays_bounded_whatever_the_length_of_a_line(process: Callable[..., Any]) -> None:
    limit = 128 << 20

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = process("enqueue", "--file", "-", stdin=b"x" * (limit + 1), preexec_fn=bounded)
    assert done.returncode == 2
    assert done.stderr.startswith(b"queuectl: line 1: is longer than")


def test_what_follows_from_an_end_is_given_in_words_and_shown(queuectl: Run) -> None:
    queuectl("enqueue", "--id", "a", "--", "true")
    said = queuectl(
        "enqueue", "--id", "b", "--after", "a", "--after-policy", "any",
        "--success-codes", "0, 3", "--no-retry-on", "2,64", "--on-success", "echo good",
        "--on-failure", "echo bad", "--on-dead", 'echo "$FLAM_HOOK_ERROR"', "--", "true",
    )  # fmt: skip
    assert (said.code, said.err) == (0, "")
    job = show(queuectl, "b")
    assert (job["after_policy"], job["success_codes"], job["no_retry_on"]) == (
        "any", [0, 3], [2, 64]
    )  # fmt: skip
    assert (job["on_success"], job["on_failure"]) == ("echo good", "echo bad")
    told = queuectl("show", "b").out
    for piece in ("any", "exit code 0, 3", "exit code 2, 64", "echo good", "echo bad",
                  'echo "$FLAM_HOOK_ERROR"'):  # fmt: skip
        assert piece in told
    plain = queuectl("show", "a").out
    assert not any(word in plain for word in ("After policy", "Success", "Not retried", "On dead"))


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--after-policy", "some", "--after-policy: must be all or any"),
        ("--success-codes", "", "--success-codes: '' is no list of exit codes"),
        ("--success-codes", "0;3", "--success-codes: '0;3' is no list of exit codes"),
        ("--success-codes", "-1", "--success-codes: '-1' is no list of exit codes"),
        ("--success-codes", "\u0663", "is no list of exit codes"),
        ("--success-codes", "256", "--success-codes: must be from 0 to 255"),
        ("--no-retry-on", "9" * 5000, "--no-retry-on: '999"),
        ("--no-retry-on", "0", "--no-retry-on: names 0, which is a success"),
        ("--on-success", " ", "--on-success: is empty"),
        ("--on-failure", "x" * 131_072, "--on-failure: is longer than 131,071 bytes"),
        ("--on-dead", "", "--on-dead: is empty"),
        ("--env", "FLAM_HOOK=x", "env: FLAM_HOOK is set by Flam itself"),
    ],
)
def test_a_wrong_word_about_the_end_is_a_line(
    queuectl: Run, option: str, value: str, told: str
) -> None:
    refused = queuectl("enqueue", option, value, "--", "true")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err
    assert queuectl("list", "--json").json == []


def test_what_a_spec_says_of_its_end_stands_and_options_fill_in_the_rest(queuectl: Run) -> None:
    spec = '{"command": "x", "id": "a", "success_codes": [7], "on_dead": "own"}'
    queuectl("enqueue", spec, "--success-codes", "0", "--on-dead", "other", "--on-failure", "other")
    job = show(queuectl, "a")
    assert (job["success_codes"], job["on_dead"], job["on_failure"]) == ([7], "own", "other")


def test_memory_stays_bounded_however_wide_the_jobs(
    process: Callable[..., Any], home: Home
) -> None:
    wide, jobs = "x" * 1_000_000, 150
    lines = "".join(
        f'{{"command": "true", "id": "j{n}", "stdin": "{wide}"}}\n' for n in range(jobs)
    )
    limit = 100 << 20

    def bounded(*words: str, stdin: bytes = b"") -> bytes:
        done = process(
            *words,
            stdin=stdin,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return bytes(done.stdout)

    for words in (["enqueue", "--file", "-"], ["enqueue", "--if-absent", "--file", "-"]):
        assert bounded(*words, stdin=lines.encode()).count(b"\n") == jobs
    exported = bounded("export")
    assert exported.count(b"\n") == jobs + 2
    bounded("list", "--limit", "0")
    for verb in ("cancel", "retry", "cancel"):
        bounded(verb, "--all", "--yes")
    bounded("purge", "--state", "cancelled")
    bounded("import", "-", stdin=exported)
    with open_store(f"sqlite:///{home.path / 'queue.db'}") as store:
        assert store.overview().counts[State.PENDING] == jobs
