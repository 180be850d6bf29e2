from __future__ import annotations

import json

import pytest
from conftest import Run

from flam_store.config import Value
from flam_store.config_words import in_words
from flam_store.home import Home


def test_a_value_is_set_shown_and_unset(queuectl: Run) -> None:
    assert queuectl("config", "set", "max-retries", "5").code == 0
    assert queuectl("config", "get", "max_retries").out == "5\n"
    assert queuectl("config", "get", "max_retries", "--json").json == 5
    assert queuectl("config", "show", "--json").json["max_retries"] == 5
    rows = [line.split() for line in queuectl("config", "show").out.splitlines()]
    assert ["max_retries", "5", "set"] in rows
    assert ["backoff_base", "2", "default"] in rows
    assert queuectl("config", "unset", "max-retries", "--json").json == {"max_retries": 3}
    assert queuectl("config", "get", "max-retries").out == "3\n"


@pytest.mark.parametrize(
    ("key", "typed", "shown", "got"),
    [
        ("keep-completed", "30d", "30d", "2592000"),
        ("backoff_max", "90", "1m 30s", "90"),
        ("lease_seconds", "12.34", "12.34", "12.34"),
        ("log_max_bytes", "64MiB", "64MiB", "67108864"),
        ("log_max_bytes", "100000", "100000", "100000"),
        ("timeout", "none", "none", "none"),
    ],
)
def test_a_time_and_a_size_are_shown_in_words_and_got_in_numbers(
    queuectl: Run, key: str, typed: str, shown: str, got: str
) -> None:
    name = key.replace("-", "_")
    assert queuectl("config", "set", key, typed).out == f"{name} = {shown}\n"
    rows = [line.split(maxsplit=1) for line in queuectl("config", "show").out.splitlines()]
    assert [rest.removesuffix("set").strip() for first, rest in rows if first == name] == [shown]
    assert queuectl("config", "get", key).out == f"{got}\n"
    assert queuectl("config", "set", key, shown).code == 0


def test_what_is_set_holds_for_later_jobs_only(queuectl: Run) -> None:
    queuectl("enqueue", "--id", "before", "--", "true")
    queuectl("config", "set", "max_retries", "0")
    queuectl("enqueue", "--id", "after", "--", "true")
    jobs = queuectl("list", "--json").json
    assert {job["id"]: job["max_retries"] for job in jobs} == {"before": 3, "after": 0}


def test_no_value_is_none(queuectl: Run) -> None:
    assert queuectl("config", "get", "timeout").out == "none\n"
    assert queuectl("config", "get", "timeout", "--json").out == "null\n"
    queuectl("config", "set", "timeout", "10m")
    assert queuectl("config", "get", "timeout").out == "600\n"
    assert queuectl("config", "set", "timeout", "none", "--json").json == {"timeout": None}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["get", "max_retris"], "did you mean max_retries"),
        (["set", "max_retris", "1"], "did you mean max_retries"),
        (["unset", "max_retris"], "did you mean max_retries"),
        (["set", "backoff_jitter", "-1"], "backoff_jitter: must be a number from 0 to 1"),
        (["set", "max_retries", "many"], "max_retries"),
        (["set", "max_retries"], "Missing argument 'VALUE'"),
        (["st"], "Did you mean 'set'?"),
    ],
)
def test_wrong_words_are_a_line_and_change_nothing(
    queuectl: Run, home: Home, words: list[str], told: str
) -> None:
    refused = queuectl("config", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err
    assert not home.config_path.exists()


def test_unset_makes_no_data_directory(queuectl: Run, home: Home) -> None:
    assert queuectl("config", "unset", "timeout").out == "timeout = none\n"
    assert not home.path.exists()


def test_a_password_is_shown_only_to_who_asks_for_it(queuectl: Run, home: Home) -> None:
    url = "postgres://me:secret@db/flam"
    refused = queuectl("config", "set", "store_url", url)
    assert (refused.code, refused.err.count("\n"), "secret" in refused.err) == (2, 1, False)
    home.config_path.write_text(json.dumps({"store_url": url}))
    home.config_path.chmod(0o600)
    assert "secret" not in queuectl("config", "show").out
    assert "secret" not in queuectl("config", "show", "--json").out
    assert queuectl("config", "get", "store_url").out == f"{url}\n"
    refused = queuectl("list")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "secret" not in refused.err


def test_a_corrupt_config_stops_every_command_and_is_left_as_it_is(
    queuectl: Run, home: Home
) -> None:
    home.ensure()
    home.config_path.write_text("{")
    home.config_path.chmod(0o600)
    for words in (["list"], ["enqueue", "--", "true"], ["config", "set", "timeout", "1"]):
        refused = queuectl(*words)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert "config.json" in refused.err
    assert home.config_path.read_text() == "{"


def test_config_file_holds_only_what_was_set(queuectl: Run, home: Home) -> None:
    queuectl("config", "set", "timeout", "90s")
    assert json.loads(home.config_path.read_text()) == {"timeout": 90}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("keep-completed", "30d", 2_592_000),
        ("keep-dead", "0", 0),
        ("priority-ageing", "90s", 90),
        ("on-dead", "curl -d @- https://me:you@host/x?a=b", "curl -d @- https://me:you@host/x?a=b"),
        ("on-success", "echo 1", "echo 1"),
        ("on-failure", "echo 1", "echo 1"),
    ],
)
def test_what_happens_at_and_after_an_end_can_be_set(
    queuectl: Run, key: str, text: str, value: Value
) -> None:
    name = key.replace("-", "_")
    assert queuectl("config", "set", key, text, "--json").json == {name: value}
    assert queuectl("config", "show", "--json").json[name] == value
    assert in_words(name, value) in queuectl("config", "show").out
    assert queuectl("config", "set", key, "none").code == 0
    assert queuectl("config", "get", key, "--json").json is None


@pytest.mark.parametrize(
    ("key", "text"),
    [("keep-completed", "-1"), ("keep-dead", "soon"), ("priority-ageing", "0"), ("on-dead", " ")],
)
def test_a_wrong_value_for_what_happens_at_an_end_is_a_line(
    queuectl: Run, key: str, text: str
) -> None:
    refused = queuectl("config", "set", key, text)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert key.replace("-", "_") in refused.err
