"""Every spec that is refused: exit code 2, one line that names the field, and no row."""

from __future__ import annotations

import json

import pytest
from conftest import Flam

LONG = "x" * 131_072
REFUSED = {
    "an unknown field": ('{"comand": "x"}', "comand", "command"),
    "a number for a command": ('{"command": 1}', "command", "string"),
    "null": ('{"command": null}', "command", "null"),
    "a bool for an integer": ('{"command": "x", "priority": true}', "priority", "integer"),
    "a float for an integer": ('{"command": "x", "max_retries": 1.0}', "max_retries", "integer"),
    "a negative count": ('{"command": "x", "max_retries": -1}', "max_retries", "0"),
    "more than 32 bits": ('{"command": "x", "priority": 2147483648}', "priority", "2147483647"),
    "NaN": ('{"command": "x", "backoff_base": NaN}', "NaN", "number"),
    "an infinite number": ('{"command": "x", "backoff_max": 1e999}', "backoff_max", ""),
    "a number of 5,000 digits": ('{"command": "x", "priority": ' + "9" * 5000 + "}", "", ""),
    "both command and args": ('{"command": "x", "args": ["y"]}', "command", "args"),
    "neither": ("{}", "command", "args"),
    "an empty command": ('{"command": ""}', "command", "empty"),
    "empty args": ('{"args": []}', "args", "empty"),
    "a NUL byte": ('{"command": "x\\u0000y"}', "command", "NUL"),
    "a lone surrogate": ('{"command": "\\ud800"}', "command", "surrogate"),
    "a key given twice": ('{"command": "x", "command": "y"}', "command", "twice"),
    "a command that no kernel takes": (json.dumps({"command": LONG}), "command", "131,071"),
    "an id with a slash": ('{"command": "x", "id": "a/b"}', "id", "letters"),
    "an empty id": ('{"command": "x", "id": ""}', "id", "letters"),
    "an id that is too long": (json.dumps({"command": "x", "id": "a" * 201}), "id", "200"),
    "a bad queue": ('{"command": "x", "queue": "a b"}', "queue", "letters"),
    "a time without offset": ('{"command": "x", "run_at": "2026-01-01T00:00:00"}', "run_at", "Z"),
    "no time at all": ('{"command": "x", "run_at": "soon"}', "run_at", "ISO"),
    "a bad duration": ('{"command": "x", "delay": "3 fortnights"}', "delay", "duration"),
    "delay and run_at": (
        '{"command": "x", "delay": 1, "run_at": "2026-01-01T00:00:00Z"}', "delay", "run_at"),
    "a timeout of nothing": ('{"command": "x", "timeout": 0}', "timeout", "more than 0"),
    "jitter above one": ('{"command": "x", "backoff_jitter": 1.5}', "backoff_jitter", "1"),
    "env of numbers": ('{"command": "x", "env": {"A": 1}}', "env", "string"),
    "a variable that cannot be": ('{"command": "x", "env": {"A=B": "c"}}', "env", "A=B"),
    "labels that are a list": ('{"command": "x", "labels": []}', "labels", "object"),
    "after that is a string": ('{"command": "x", "after": "y"}', "after", "array"),
    "an unknown parent": ('{"command": "x", "after": ["nobody"]}', "after", "nobody"),
    "a key of 201 bytes": (json.dumps({"command": "x", "unique_key": "k" * 201}), "unique_key", ""),
    "no object": ('"x"', "object", ""),
    "no JSON": ("{", "JSON", ""),
    "deep nesting": ("[" * 100_000, "deep", ""),
    "more than 1 MiB": (json.dumps({"command": "x", "stdin": "y" * (1 << 20)}), "1,048,576", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_spec_is_refused(flam: Flam, case: str) -> None:
    spec, *words = REFUSED[case]
    refused = flam.ctl("enqueue", "-", input=spec)
    assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr
    assert all(word in refused.stderr for word in words), refused.stderr
    assert sum(flam.counts().values()) == 0


def test_one_bad_spec_among_many_stores_none(flam: Flam) -> None:
    lines = '{"command": "a"}\n{"command": "b"}\n{"command": "c", "priority": "high"}\n'
    refused = flam.ctl("enqueue", "--file", "-", input=lines)
    assert refused.returncode == 2
    assert "line 3" in refused.stderr
    array = flam.ctl("enqueue", '[{"command": "a"}, {"command": "b", "nice": 1}]')
    assert array.returncode == 2
    assert sum(flam.counts().values()) == 0
