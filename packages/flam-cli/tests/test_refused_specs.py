from __future__ import annotations

import json

import pytest
from conftest import Run

REFUSED = {
    "no JSON": ("{", "is no JSON"),
    "a number": ("7", "is no JSON object or array"),
    "nothing to run": ("{}", "give one of command and args"),
    "both": ('{"command": "x", "args": ["x"]}', "not both"),
    "unknown field": ('{"command": "x", "qeue": "m"}', "did you mean 'queue'"),
    "twice": ('{"command": "x", "command": "y"}', "command: is given twice"),
    "null": ('{"command": "x", "queue": null}', "queue: is null"),
    "empty command": ('{"command": " "}', "command: is empty"),
    "no args": ('{"args": []}', "args: is empty"),
    "args a string": ('{"args": "ls"}', "args: must be an array"),
    "NUL": ('{"command": "a\\u0000b"}', "command: contains a NUL"),
    "surrogate": ('{"command": "\\ud800"}', "command: contains a lone surrogate"),
    "NaN": ('{"command": "x", "timeout": NaN}', "NaN"),
    "infinite": ('{"command": "x", "timeout": 1e999}', "timeout: must be at most"),
    "bool is no integer": ('{"command": "x", "priority": true}', "priority: must be an integer"),
    "float is no integer": ('{"command": "x", "priority": 1.0}', "priority: must be an integer"),
    "33 bits": ('{"command": "x", "priority": 2147483648}', "priority: must be from"),
    "negative retries": (
        '{"command": "x", "max_retries": -1}',
        "max_retries: must be an integer from 0",
    ),
    "jitter": (
        '{"command": "x", "backoff_jitter": 2}',
        "backoff_jitter: must be a number from 0 to 1",
    ),
    "no timeout": ('{"command": "x", "timeout": 0}', "timeout: must be more than 0"),
    "no duration": ('{"command": "x", "delay": "soon"}', "delay: 'soon' is not a duration"),
    "no offset": ('{"command": "x", "run_at": "2026-01-01T00:00:00"}', "run_at: needs an offset"),
    "no time": ('{"command": "x", "run_at": "noon"}', "run_at: 'noon' is no time"),
    "at and delay": ('{"command":"x","delay":1,"run_at":"2026-01-01T00:00:00Z"}', "not both"),
    "id": ('{"command": "x", "id": "-a"}', "id: '-a' is no valid name"),
    "long id": (json.dumps({"command": "x", "id": "a" * 201}), "id: "),
    "id with an escape": ('{"command": "x", "id": "a\\u001b[2J"}', "id: 'a\\x1b[2J'"),
    "queue": ('{"command": "x", "queue": "a b"}', "queue: 'a b' is no valid name"),
    "env number": ('{"command": "x", "env": {"A": 1}}', "env.A: must be a string"),
    "env name": ('{"command": "x", "env": {"A=B": "1"}}', "env: 'A=B' cannot name"),
    "env of Flam": ('{"command": "x", "env": {"FLAM_JOB_ID": "1"}}', "env: FLAM_JOB_ID"),
    "env array": ('{"command": "x", "env": []}', "env: must be an object"),
    "label key": ('{"command": "x", "labels": {"a b": "1"}}', "labels: 'a b'"),
    "stdin": ('{"command": "x", "stdin": 1}', "stdin: must be a string"),
    "after itself": ('{"command": "x", "id": "a", "after": ["a"]}', "after: a job cannot wait"),
    "after unknown": ('{"command": "x", "after": ["nope"]}', "after: no job has the id 'nope'"),
    "after twice": ('{"command": "x", "after": ["a", "a"]}', "after: names a job twice"),
    "empty key": ('{"command": "x", "unique_key": ""}', "unique_key: must have 1 to 200"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "long number": ('{"command": "x", "priority": 1' + "0" * 5000 + "}", "is no spec"),
    "array of a bad one": ('[{"command": "x"}, {"command": ""}]', "command: is empty"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_a_spec_that_breaks_a_rule_is_refused_with_one_line_and_nothing_is_stored(
    queuectl: Run, text: str, told: str
) -> None:
    refused = queuectl("enqueue", text)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("queuectl: ")
    assert told in refused.err
    assert refused.err.count("\n") == 1
    assert queuectl("list", "--json").json == []


def test_a_command_longer_than_the_kernel_takes_is_refused(queuectl: Run) -> None:
    assert queuectl("enqueue", json.dumps({"command": "x" * 131_071})).code == 0
    refused = queuectl("enqueue", json.dumps({"command": "x" * 131_072}))
    assert refused.code == 2
    assert "131,071 bytes" in refused.err


OPTIONS = {
    "id": (["--id", "a b"], "id: 'a b' is no valid name"),
    "queue": (["--queue", ""], "queue: '' is no valid name"),
    "priority": (["--priority", "high"], "--priority"),
    "priority bits": (["--priority", "2147483648"], "priority: must be from"),
    "delay": (["--delay", "soon"], "delay: 'soon' is not a duration"),
    "at": (["--at", "noon"], "--at: 'noon' is no time"),
    "both": (["--delay", "1", "--at", "2026-01-01T00:00:00Z"], "not both"),
    "timeout": (["--timeout", "0"], "timeout: must be more than 0"),
    "retries": (["--max-retries", "-1"], "--max-retries: must be an integer from 0"),
    "after": (["--after", "nope"], "after: no job has the id"),
    "label": (["--label", "a"], "--label: 'a' must be KEY=VALUE"),
    "label twice": (["--label", "a=1", "--label", "a=2"], "--label: 'a' is given twice"),
    "env unset": (["--env", "SURELY_NOT_SET"], "env: 'SURELY_NOT_SET' is not set"),
    "cwd": (["--cwd", ""], "cwd: is empty"),
    "unique key": (["--unique-key", ""], "--unique-key: must have 1 to 200"),
    "unknown": (["--labl", "a=b"], "No such option: --labl. Did you mean --label?"),
}


@pytest.mark.parametrize(("words", "told"), OPTIONS.values(), ids=OPTIONS)
def test_options_obey_the_rules_of_a_spec(queuectl: Run, words: list[str], told: str) -> None:
    refused = queuectl("enqueue", *words, "--", "true")
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err
    assert refused.err.count("\n") == 1
    assert queuectl("list", "--json").json == []


@pytest.mark.parametrize("words", [["ls", "-la"], ["echo", "a", "b"]], ids=" ".join)
@pytest.mark.parametrize("command", ["enqueue", "run"])
def test_a_command_without_its_mark_is_refused_with_a_hint(
    queuectl: Run, command: str, words: list[str]
) -> None:
    refused = queuectl(command, *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("(a command stands behind --, as in: -- ls -la)\n")


@pytest.mark.parametrize(
    "words",
    [
        ["enqueue"],
        ["enqueue", "{}", "--", "true"],
        ["enqueue", "{}", "--file", "x"],
        ["enqueue", "--file", "x", "--", "true"],
        ["enqueue", "{}", "{}"],
        ["enqueue", "--"],
    ],
)
def test_exactly_one_source_of_jobs_is_given(queuectl: Run, words: list[str]) -> None:
    refused = queuectl(*words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
