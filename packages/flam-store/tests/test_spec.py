from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from flam_store import JobSpec
from flam_store.errors import SpecError
from flam_store.hooks import HookSpec
from flam_store.spec import (
    FIELDS,
    MAX_SPEC_BYTES,
    Template,
    _filled,
    _judged,
    parse_spec,
    parse_specs,
)

quietly = settings(database=None, deadline=None)


def parsed(**fields: Any) -> JobSpec:
    return parse_spec(json.dumps({"command": "true"} | fields))


def refused(text: str | bytes, *, field: str | None = None) -> str:
    """The refusal's words; it is one line and names the field."""
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert caught.value.field == field
    words = str(caught.value)
    assert "\n" not in words
    assert field is None or words.startswith(f"{field}: ")
    return words


def dump(spec: JobSpec) -> str:
    """The JSON that says what the spec says."""
    plain: dict[str, Any] = {}
    for field in attrs.fields(JobSpec):
        value = getattr(spec, field.name)
        if value is None or value == ():
            continue
        if isinstance(value, timedelta):
            value = value.total_seconds()
        if isinstance(value, datetime):
            value = value.isoformat()
        plain[field.name] = dict(value) if field.name in ("env", "labels") else value
    return json.dumps(plain)


def test_every_field_is_read() -> None:
    spec = parse_spec(
        json.dumps(
            {
                "args": ["convert", "in.png", ""],
                "id": "thumb-17",
                "queue": "images",
                "priority": -3,
                "run_at": "2026-01-31T12:00:00+02:00",
                "max_retries": 0,
                "backoff_base": 1.5,
                "backoff_max": 60,
                "backoff_jitter": 0,
                "timeout": "90s",
                "cwd": "/srv",
                "env": {"A": ""},
                "stdin": "in\n",
                "after": ["a", "b"],
                "unique_key": "any text, \u00e9",
                "labels": {"team": "x"},
            }
        )
    )
    assert spec == JobSpec(
        args=("convert", "in.png", ""),
        id="thumb-17",
        queue="images",
        priority=-3,
        run_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
        max_retries=0,
        backoff_base=1.5,
        backoff_max=60,
        backoff_jitter=0,
        timeout=timedelta(seconds=90),
        cwd="/srv",
        env={"A": ""},
        stdin="in\n",
        after=("a", "b"),
        unique_key="any text, \u00e9",
        labels={"team": "x"},
    )


def test_a_command_is_enough() -> None:
    assert parse_spec('{"command": "true"}') == JobSpec(command="true")
    assert parse_spec(b'{"command": "true"}') == JobSpec(command="true")
    assert JobSpec(command="true").queue == "default"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [(0, 0), (1.5, 1.5), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)],
)
def test_a_delay_is_seconds_or_a_duration(delay: object, seconds: float) -> None:
    assert parsed(delay=delay).delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "JSON"),
        ("{", "line 1"),
        ("[]", "object"),
        ('"true"', "object"),
        ("null", "object"),
        ("1", "object"),
        ('{"command": "true"} x', "column"),
        ('{"command": NaN}', "NaN"),
        ('{"command": Infinity}', "Infinity"),
        ('{"command": -Infinity}', "Infinity"),
        ("[" * 100_000, "deeply"),
        ('{"priority": ' + "9" * 5_000 + "}", "spec"),
    ],
)
def test_text_that_is_no_object_of_json_is_refused(text: str, word: str) -> None:
    assert word in refused(text)


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    assert "byte 14" in refused(b'{"command": "\xff"}')


@pytest.mark.parametrize("field", FIELDS)
def test_null_is_no_value(field: str) -> None:
    fields = {"command": "true"} | {field: None}
    assert "null" in refused(json.dumps(fields), field=field)


WRONG_TYPES: dict[str, list[object]] = {
    "command": [1, True, [], {}, 1.5],
    "args": ["true", 1, {}, [1], ["a", None], [["a"]], [True]],
    "id": [1, True, [], 1.5],
    "queue": [1, False, []],
    "priority": [True, False, 1.0, "1", [], 1.5, 1e999],
    "run_at": [1, True, 1.5, [], {}],
    "delay": [True, [], {}],
    "max_retries": [True, 1.0, "3", []],
    "backoff_base": [True, "2", []],
    "backoff_max": [True, "60", []],
    "backoff_jitter": [False, "0.1", []],
    "timeout": [True, [], {}],
    "cwd": [1, True, []],
    "env": ["A=1", [], 1, {"A": 1}, {"A": True}, {"A": {}}],
    "stdin": [1, True, []],
    "after": ["a", {}, 1, [1], [True], [["a"]]],
    "after_policy": [1, True, [], {}],
    "unique_key": [1, True, []],
    "labels": ["a", [], {"a": 1}, {"a": []}],
    "success_codes": [0, "0", {}, ["0"], [True], [0.0]],
    "no_retry_on": [2, "2", {}, ["2"], [True], [[2]]],
    "on_success": [1, True, [], ["true"], {}],
    "on_failure": [1, True, [], ["true"], {}],
    "on_dead": [1, True, [], ["true"], {}],
}
each_wrong_type = [(field, value) for field, values in WRONG_TYPES.items() for value in values]


def test_every_field_has_its_wrong_types() -> None:
    assert set(WRONG_TYPES) == set(FIELDS)


@pytest.mark.parametrize(("field", "value"), each_wrong_type, ids=repr)
def test_a_wrong_type_is_refused_by_its_field(field: str, value: object) -> None:
    fields = {} if field == "args" else {"command": "true"}
    text = json.dumps(fields | {field: value}).replace("Infinity", "1e999")
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert str(caught.value.field).partition(".")[0] == field


WRONG_VALUES: list[tuple[str, object, str]] = [
    ("command", "", "empty"),
    ("command", " \t\n", "empty"),
    ("command", "a\0b", "NUL"),
    ("command", "\ud800", "surrogate"),
    ("command", "x" * 131_072, "131,071"),
    ("command", "\u20ac" * 43_691, "131,071"),
    ("args", [], "empty"),
    ("args", [""], "empty"),
    ("args", ["a", "b\0"], "NUL"),
    ("args", ["a", "x" * 131_072], "131,071"),
    ("id", "", "letters"),
    ("id", "-a", "letters"),
    ("id", "a b", "letters"),
    ("id", "a/b", "letters"),
    ("id", "\u00e9", "letters"),
    ("id", "a\n", "letters"),
    ("id", "\u0661", "letters"),
    ("id", "a" * 201, "at most 200"),
    ("queue", "", "letters"),
    ("queue", "a b", "letters"),
    ("priority", 2**31, "from"),
    ("priority", -(2**31) - 1, "from"),
    ("priority", 10**400, "from"),
    ("run_at", "tomorrow", "ISO 8601"),
    ("run_at", "", "ISO 8601"),
    ("run_at", "2026-01-31T12:00:00", "offset"),
    ("run_at", "2026-01-31", "offset"),
    ("run_at", "2026-02-30T12:00:00Z", "ISO 8601"),
    ("run_at", "0001-01-01T00:00:00+14:00", "year"),
    ("run_at", "9999-12-31T23:59:59-14:00", "year"),
    ("delay", -1, "negative"),
    ("delay", "", "duration"),
    ("delay", "soon", "duration"),
    ("delay", 10**400, "days"),
    ("delay", 36_501 * 86_400, "days"),
    ("max_retries", -1, "from 0"),
    ("max_retries", 2**31, "from 0"),
    ("backoff_base", -1, "from 0"),
    ("backoff_base", 1e7, "from 0"),
    ("backoff_max", -0.5, "from 0"),
    ("backoff_max", 1e12, "from 0"),
    ("backoff_jitter", 1.01, "from 0"),
    ("timeout", 0, "more than 0"),
    ("timeout", -1, "negative"),
    ("timeout", 0.0001, "more than 0"),
    ("cwd", "", "empty"),
    ("cwd", "a\0b", "NUL"),
    ("env", {"": "x"}, "variable"),
    ("env", {"A=B": "x"}, "variable"),
    ("env", {"A\0": "x"}, "NUL"),
    ("env.A", {"A": "x\0"}, "NUL"),
    ("env", {"A": "x" * 131_071}, "131,071"),
    ("env", {"FLAM_JOB_ID": "x"}, "Flam"),
    ("env", {"FLAM_ATTEMPT": "x"}, "Flam"),
    ("env", {"FLAM_QUEUE": "x"}, "Flam"),
    ("env", {"FLAM_HOOK": "x"}, "Flam"),
    ("env", {"FLAM_HOOK_JOB_ID": "x"}, "Flam"),
    ("stdin", "a\0b", "NUL"),
    ("stdin", "\udfff", "surrogate"),
    ("after", ["a", "a"], "twice"),
    ("after", ["not an id"], "letters"),
    ("after_policy", "some", "all or any"),
    ("success_codes", [], "empty"),
    ("success_codes", [256], "from 0"),
    ("no_retry_on", [-1], "from 0"),
    ("no_retry_on", [0], "success"),
    ("on_success", "", "empty"),
    ("on_dead", "x" * 131_072, "131,071"),
    ("unique_key", "", "200"),
    ("unique_key", "x" * 201, "200"),
    ("unique_key", "\u20ac" * 67, "200"),
    ("unique_key", "a\0", "NUL"),
    ("labels", {"a b": "x"}, "letters"),
    ("labels.a", {"a": "\0"}, "NUL"),
    ("labels", {"a": "x" * 1_001}, "1,000"),
]


@pytest.mark.parametrize(
    ("where", "value", "word"), WRONG_VALUES, ids=lambda value: ascii(value)[:40]
)
def test_a_wrong_value_is_refused_by_its_field(where: str, value: object, word: str) -> None:
    field = where.partition(".")[0]
    fields = {} if field == "args" else {"command": "true"}
    assert word in refused(json.dumps(fields | {field: value}), field=where)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", "x" * 131_071),
        ("id", "a" * 200),
        ("id", "0._:@+-"),
        ("priority", 2**31 - 1),
        ("priority", -(2**31)),
        ("max_retries", 2**31 - 1),
        ("backoff_jitter", 1),
        ("unique_key", "x" * 200),
        ("delay", 36_500 * 86_400),
        ("timeout", 0.001),
        ("stdin", ""),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_the_bounds_themselves_are_allowed(field: str, value: object) -> None:
    spec = parsed(**{field: value})
    kept = getattr(spec, field)
    assert (kept.total_seconds() if isinstance(kept, timedelta) else kept) == value


def test_a_command_or_args_is_given_and_not_both() -> None:
    assert "one of command and args" in refused("{}", field="command")
    assert "not both" in refused('{"command": "a", "args": ["a"]}', field="command")


def test_run_at_and_delay_are_not_given_together() -> None:
    text = '{"command": "a", "delay": 1, "run_at": "2026-01-31T12:00:00Z"}'
    assert "not both" in refused(text, field="delay")


def test_a_job_does_not_wait_for_itself() -> None:
    assert "itself" in refused('{"command": "a", "id": "x", "after": ["x"]}', field="after")


@pytest.mark.parametrize("text", ['{"command": "a", "command": "b"}',
                                  '{"command": "a", "env": {"A": "1", "A": "2"}}'])  # fmt: skip
def test_a_key_that_is_given_twice_is_refused(text: str) -> None:
    assert "twice" in refused(text, field="A" if "env" in text else "command")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("cmd", None),
        ("comand", "command"),
        ("Command", "command"),
        ("max-retries", "max_retries"),
        ("retries", "max_retries"),
        ("prio", "priority"),
        ("run-at", "run_at"),
        ("label", "labels"),
        ("timeouts", "timeout"),
        ("xyzzy", None),
    ],
)
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(
    wrong: str, meant: str | None
) -> None:
    words = refused(json.dumps({"command": "true", wrong: 1}), field=wrong)
    assert meant is None or f"did you mean {meant!r}" in words


def test_a_spec_that_is_too_large_is_refused() -> None:
    frame = len('{"command":"a","stdin":""}')
    fits = '{"command":"a","stdin":"%s"}' % ("x" * (MAX_SPEC_BYTES - frame))
    assert len(parse_spec(fits).stdin or "") == MAX_SPEC_BYTES - frame
    assert "1,048,576" in refused(fits.replace("x", "xx", 1))
    assert "1,048,576" in refused(fits.replace("x", "\u20ac", 1))
    assert "1,048,576" in refused(b" " * (MAX_SPEC_BYTES + 1))


def test_an_array_gives_a_list_and_an_object_one() -> None:
    assert parse_specs('{"command": "a"}') == JobSpec(command="a")
    assert parse_specs('[{"command": "a"}, {"args": ["b"]}]') == [
        JobSpec(command="a"), JobSpec(args=("b",))
    ]  # fmt: skip
    assert parse_specs("[]") == []


def test_of_an_array_each_spec_has_its_own_size() -> None:
    one = '{"command":"a","stdin":"%s"}' % ("x" * 700_000)
    assert len(parse_specs(f"[{one},{one}]")) == 2  # type: ignore[arg-type]
    wide = '{"command":"a","stdin":"%s"}' % ("\u20ac" * 400_000)
    for text in (f"[{wide}]", f"[{wide}]".encode(), f'[{{"command": "a"}},{wide}]'):
        with pytest.raises(SpecError, match="1,048,576"):
            parse_specs(text)


@pytest.mark.parametrize("depth", [100, 300, 450, 900, 990, 2_000])
def test_nesting_is_refused_however_deep(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    padding = " " * MAX_SPEC_BYTES
    for text in (f'[{{"command": {nested}}}]', f'[{{"command": {nested}}}{padding}]'):
        with pytest.raises(SpecError):
            parse_specs(text)


def test_defaults_fill_in_what_the_spec_leaves_out() -> None:
    spec = parse_spec('{"command": "a", "priority": 1}', priority=5, queue="q", cwd="/")
    assert (spec.priority, spec.queue, spec.cwd) == (1, "q", "/")
    assert parse_spec('{"args": ["a"]}', command="b").command is None
    delayed = parse_spec('{"command": "a", "delay": 1}', run_at=datetime.now(tz=UTC))
    assert delayed.run_at is None
    with pytest.raises(SpecError):
        parse_spec('{"command": "a"}', priority="high")


@pytest.mark.parametrize("value", ["true", ("true", 1), b"true", ["true"]], ids=repr)
def test_the_rules_hold_for_a_spec_built_in_python_too(value: Any) -> None:
    with pytest.raises(SpecError):
        JobSpec(args=value)


def test_the_repr_of_a_spec_tells_no_secret() -> None:
    assert "hush" not in repr(JobSpec(command="true", env={"TOKEN": "hush"}, stdin="hush"))


def test_an_error_can_be_said_of_a_line() -> None:
    error = SpecError("is empty", field="command")
    assert str(error.at_line(7)) == "line 7: command: is empty"
    assert (error.at_line(7).line, error.at_line(7).field) == (7, "command")
    assert str(SpecError("is no JSON").at_line(2)) == "line 2: is no JSON"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | st.binary())
@quietly
def test_any_text_gives_a_spec_or_a_spec_error(text: str | bytes) -> None:
    _a_spec_or_a_spec_error(text)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=12), json_values, max_size=5))
@settings(quietly, max_examples=300)
def test_any_json_gives_a_spec_or_a_spec_error(fields: dict[str, Any]) -> None:
    _a_spec_or_a_spec_error(json.dumps(fields))
    _a_spec_or_a_spec_error(json.dumps({"command": "true"} | fields))


def _a_spec_or_a_spec_error(text: str | bytes) -> None:
    for parse in (parse_spec, parse_specs):
        try:
            result = parse(text)
        except SpecError:
            continue
        assert isinstance(result, JobSpec | list)


plain_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,9}", fullmatch=True)
millis = st.integers(1, 10**9).map(lambda n: timedelta(milliseconds=n))


@given(
    st.fixed_dictionaries(
        {"command": plain_text.filter(str.strip)},
        optional={
            "id": names,
            "queue": names,
            "priority": st.integers(-(2**31), 2**31 - 1),
            "run_at": st.integers(-(10**9), 10**10).map(
                lambda seconds: datetime.fromtimestamp(seconds, tz=UTC)
            ),
            "max_retries": st.integers(0, 2**31 - 1),
            "backoff_base": st.floats(0, 1e6),
            "backoff_jitter": st.floats(0, 1),
            "timeout": millis,
            "cwd": plain_text.filter(bool),
            "env": st.dictionaries(
                plain_text.filter(lambda key: bool(key) and "=" not in key), plain_text, max_size=2
            ),
            "stdin": plain_text,
            "after": st.lists(names.map(lambda name: f"x{name}"), unique=True, max_size=3).map(
                tuple
            ),
            "unique_key": plain_text.filter(bool),
            "labels": st.dictionaries(names, plain_text, max_size=2),
        },
    )
)
@quietly
def test_a_spec_that_is_written_and_read_is_the_same(fields: dict[str, Any]) -> None:
    assume(fields.get("id") not in fields.get("after", ()))
    spec = JobSpec(**fields)
    assert parse_spec(dump(spec)) == spec
    assert dump(parse_spec(dump(spec))) == dump(spec)


_ODD: list[Any] = [None, True, 0, 1, 3, 2.5, -1, "", "x", "90s", "true", [], ["a"], [3], {}]
_VALUES: dict[str, list[Any]] = {
    "command": ["true", " ", "a\0b"],
    "args": [["ls", "-l"], [""]],
    "id": ["j", "k", "no/name"],
    "queue": ["mail"],
    "run_at": ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00"],
    "delay": [5, "1h30m", "1x"],
    "timeout": [0, 0.5, "5m"],
    "cwd": ["/tmp", "sub"],
    "env": [{"A": "b"}, {"FLAM_HOOK": "x"}, {"A=": "b"}, {"A": 1}],
    "after": [["j"], ["a", "a"], ["a", "b"]],
    "after_policy": ["any"],
    "labels": [{"a": "b"}, {"a": None}],
    "success_codes": [[0, 3], [256]],
    "no_retry_on": [[0], [1, 2]],
    "comand": ["true"],
}
_OBJECTS = st.dictionaries(st.sampled_from([*FIELDS, "comand"]), st.nothing()) | st.sets(
    st.sampled_from([*FIELDS, "command", "comand"]), max_size=5
).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.sampled_from([*_VALUES.get(name, []), *_ODD]) for name in names}
    )
)
_DEFAULTS: list[dict[str, Any]] = [
    {},
    {"cwd": "/", "queue": "q", "id": "j"},
    {"delay": timedelta(1), "labels": {"x": "y"}, "no_retry_on": (3,)},
    {"after": ("k",), "command": "true", "run_at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"args": ("true",), "success_codes": (0, 2)},
]


def outcome(call: Any) -> Any:
    try:
        return call()
    except SpecError as error:
        return str(error)


@given(
    value=_OBJECTS, defaults=st.sampled_from(_DEFAULTS), kind=st.sampled_from([JobSpec, HookSpec])
)
@settings(quietly, max_examples=1_500)
def test_judged_by_what_it_gives_a_spec_is_what_it_is_when_judged_as_a_whole(
    value: dict[str, Any], defaults: dict[str, Any], kind: type[JobSpec]
) -> None:
    template = Template.of(kind, defaults)
    assert outcome(lambda: template.spec(template.values(value))) == outcome(
        lambda: _filled(_judged(value, kind), value, defaults)
    )


def test_exit_codes_of_a_default_and_of_the_spec_are_judged_together() -> None:
    text = '{"command": "true", "no_retry_on": [0]}'
    spec = parse_spec(text, success_codes=(3,))
    assert (spec.success_codes, spec.no_retry_on) == ((3,), (0,))
    with pytest.raises(SpecError, match="names 0, which is a success"):
        parse_spec(text)
