"""The lines of an export, and what is refused of them."""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flam_store import JobFilter, JobSpec, SpecError, State, Store, open_store
from flam_store.outcome import Outcome
from flam_store.portable import END, HEADER, lines, packed
from flam_store.portable_text import MAX_LINE_BYTES, parse_record, parse_records
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import OUTCOMES, claims, ended, spec, stored_in


def opened(name: str, clock: FakeClock) -> Store:
    return open_store(f"sqlite:///{name}", clock=clock)


def text(store: Store) -> bytes:
    return b"".join(lines(store.export()))


@pytest.fixture(scope="module")
def line() -> bytes:
    """A job that has failed once, as a line."""
    with tempfile.TemporaryDirectory() as folder:
        store = opened(f"{folder}/a.db", FakeClock())
        with store:
            stored_in(store, State.FAILED, env={"A": "b"})
            return text(store).splitlines(keepends=True)[1]


def file(*between: bytes) -> list[bytes]:
    return [packed(HEADER), *between, packed(END)]


def test_a_line_is_read_as_it_was_written(line: bytes) -> None:
    records = list(parse_records(file(line)))
    assert b"".join(lines(records)) == b"".join(file(line))
    assert records[0].line == 2


CHANGES: dict[str, tuple[Any, Any, str]] = {
    "an unknown field": ("stat", "dead", "stat: is no field of an export; did you mean 'state'"),
    "a state that is none": ("state", "ded", "state: must be one of pending, "),
    "a state of another type": ("state", 3, "state: must be one of"),
    "a time without an offset": ("run_at", "2026-01-01T00:00:00", "run_at: must be a time"),
    "a time that is none": ("created_at", None, "created_at: must be a time"),
    "a time beyond the calendar": ("run_at", "0001-01-01T00:00:00+23:00", "run_at: must be a time"),
    "a number of another type": ("attempts", True, "attempts: must be an integer"),
    "more attempts than starts": ("attempts", 2, "attempts: must be from 0 to 1"),
    "a history that is none": ("history", {}, "history: must be an array"),
    "a history with a gap": ("history.0.attempt", 2, "history: must be numbered from 1"),
    "a start without an end": ("history.0.finished_at", None, "history.1.finished_at: goes with"),
    "a start that still runs": ("history.0.state", "running", "history.1.finished_at"),
    "a start of nobody": ("history.0.worker", "", "history.1.worker: is empty"),
    "a text with a NUL": ("history.0.error", "\0", "history.1.error: contains a NUL"),
    "a start that is none": ("history.0", 7, "history.1.: must be an object"),
    "a spec that is none": ("spec", [], "spec: a spec must be a JSON object"),
    "a spec without a command": ("spec.command", "", "spec.command: is empty"),
    "a spec that breaks a rule": ("spec.priority", 1.5, "spec.priority: must be an integer"),
    "a spec with an unknown field": ("spec.x", 1, "spec.x: is no field"),
    "a spec with a time": ("spec.delay", 5, "spec.run_at: belongs beside the spec"),
    "a name that is none": ("gone", [" "], "gone: ' ' is no valid name"),
    "a job that waits for itself": ("gone", ["j"], "gone: names a job twice, or itself"),
    "a processing job that does not run": ("state", "processing", "history: the last attempt"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_breaks_a_rule_is_refused_with_its_line_and_field(line: bytes, case: str) -> None:
    path, value, told = CHANGES[case]
    record = json.loads(line)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = record
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(SpecError) as refused:
        list(parse_records(file(line, packed(record))))
    assert str(refused.value).startswith(f"line 3: {told}")


@pytest.mark.parametrize(
    "path", ["state", "run_at", "gone", "history", "spec", "spec.id", "spec.max_retries",
             "spec.backoff_base", "spec.backoff_max", "spec.backoff_jitter"],
)  # fmt: skip
def test_what_is_missing_is_named(line: bytes, path: str) -> None:
    record = json.loads(line)
    *way, last = path.split(".")
    del (record[way[0]] if way else record)[last]
    with pytest.raises(SpecError, match=f"{path}: is missing"):
        parse_record(record)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "line 1: is no export of Flam"),
        ([b'{"command": "true"}\n'], "line 1: is no export of Flam"),
        ([b"\xff\n"], "line 1: is no export of Flam"),
        ([b'{"format":"flam-jobs","version":2}\n'], "line 1: version: is 2; this Flam reads 1"),
        ([b'{"format":"flam-jobs","version":true}\n'], "line 1: version: must be 1"),
        ([b'{"format":"flam-jobs"}\n'], "line 1: version: must be 1"),
        ([b'{"format":"flam-jobs","version":1,"x":1}\n'], "line 1: version: must be 1"),
        ([packed(HEADER)], "line 1: the file is cut short"),
        ([packed(HEADER), b'{"spec": {'], "line 2: is no JSON"),
        ([packed(HEADER), b"\n"], "line 2: is no JSON"),
        ([packed(HEADER), b"[]\n"], "line 2: must be an object"),
        ([packed(HEADER), b'{"spec":1,"spec":1}\n'], "line 2: spec: is given twice"),
        ([packed(HEADER), b"x" * (MAX_LINE_BYTES + 1)], "line 2: is longer than 67,108,864 bytes"),
        ([*file(), b"more\n"], "line 3: stands behind the end"),
    ],
)  # fmt: skip
def test_what_is_no_whole_export_is_refused(content: list[bytes], told: str) -> None:
    with pytest.raises(SpecError) as refused:
        list(parse_records(content))
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize("name", ["on_success", "on_failure", "on_dead"])
def test_a_line_cannot_make_a_hook_of_a_hook(line: bytes, name: str) -> None:
    value = json.loads(line)
    value["spec"]["env"] = {"FLAM_HOOK": "on_dead"}
    for hook in ("on_success", "on_failure", "on_dead"):
        value["spec"].pop(hook, None)
    assert len(list(parse_records(file(json.dumps(value).encode() + b"\n")))) == 1
    value["spec"][name] = "echo again"
    with pytest.raises(SpecError, match=f"spec.{name}: .*hook"):
        list(parse_records(file(json.dumps(value).encode() + b"\n")))


def test_blank_lines_after_the_end_are_nothing() -> None:
    assert list(parse_records([*file(), b"\n", b" \n"])) == []


def test_what_a_job_that_is_spoilt_says(tmp_path: Any) -> None:
    import sqlite3

    with opened(f"{tmp_path}/a.db", FakeClock()) as store:
        store.enqueue(spec("j"))
        db = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        db.execute("UPDATE jobs SET options = '[]'")
        db.close()
        with pytest.raises(Exception, match="'j' that cannot be read"):
            list(store.export())


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,20}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "queue": NAMES,
        "priority": st.integers(-(2**31), 2**31 - 1),
        "delay": st.timedeltas(timedelta(0), timedelta(days=900)),
        "max_retries": st.integers(0, 3),
        "backoff_base": st.floats(0, 1e6),
        "backoff_max": st.floats(0, 1e9),
        "backoff_jitter": st.floats(0, 1),
        "timeout": st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms)),
        "cwd": TEXTS,
        "env": st.dictionaries(TEXTS.filter(lambda t: "=" not in t and t[:4] != "FLAM"), TEXTS),
        "stdin": TEXTS,
        "labels": st.dictionaries(NAMES, TEXTS),
        "success_codes": st.lists(st.integers(0, 255), min_size=1).map(tuple),
        "after_policy": st.sampled_from(["all", "any"]),
        "on_success": st.just("echo good"),
        "on_failure": st.just("echo bad"),
        "on_dead": st.just("echo dead"),
    },
)
STEPS = st.lists(
    st.tuples(SPECS, st.booleans(), st.sampled_from(sorted(OUTCOMES)), st.integers(0, 5)),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_export_import_export_gives_the_same_bytes(
    steps: list[tuple[dict[str, Any], bool, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock()
        with opened(f"{folder}/a.db", clock) as one, opened(f"{folder}/b.db", clock) as two:
            for number, (fields, waits, outcome, purged) in enumerate(steps):
                after = tuple(job.id for job in one.jobs(limit=2).jobs) if waits else ()
                args = ("true", str(number))
                one.enqueue(JobSpec(id=f"j{number}", args=args, after=after, **fields))
                _work(one, OUTCOMES[outcome])
                clock.advance(timedelta(seconds=1))
                if purged == 0:
                    one.purge(JobFilter())
            written = text(one)
            two.import_jobs(parse_records(written.splitlines(keepends=True)))
            assert text(two) == written
            assert not [each for each in two.examine() if each.level == "fail"]


def _work(store: Store, outcome: Outcome) -> None:
    for claim in claims(store, 1):
        ended(store, claim, outcome)


def test_lines_hold_nothing_that_a_terminal_would_obey(tmp_path: Any) -> None:
    with opened(f"{tmp_path}/a.db", FakeClock()) as store:
        store.enqueue(JobSpec(args=("\x1b[2J\x7f\x9b1m", "\u2028é"), labels={"a": "\x85"}))
        written = text(store)
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in written)
