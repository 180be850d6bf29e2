from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flam_store import JobSpec
from flam_store.cron import parse_cron
from flam_store.errors import SpecError
from flam_store.schedule import MISSED_AFTER, MOST_COUNTED, CatchUp, Look, ScheduleSpec, look
from flam_store.spec import parse_spec, spec_text

DUE = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
HOURLY = parse_cron("@hourly", "UTC")
NONE, LAST = CatchUp.NONE, CatchUp.LAST


@pytest.mark.parametrize(
    ("late", "catch_up", "tick", "dropped"),
    [
        (timedelta(0), NONE, 0, 0),
        (MISSED_AFTER, NONE, 0, 0),
        (MISSED_AFTER + SECOND, NONE, None, 1),
        (MISSED_AFTER + SECOND, LAST, 0, 0),
        (3 * HOUR, NONE, 3, 3),
        (3 * HOUR, LAST, 3, 3),
        (3 * HOUR - SECOND, NONE, None, 3),
        (3 * HOUR - SECOND, LAST, 2, 2),
        (100_000 * HOUR - SECOND, NONE, None, MOST_COUNTED),
        (100_000 * HOUR - SECOND, LAST, 99_999, MOST_COUNTED),
    ],
)
def test_a_look_enqueues_one_tick_at_most(
    late: timedelta, catch_up: CatchUp, tick: int | None, dropped: int
) -> None:
    now = DUE + late
    expected = None if tick is None else DUE + tick * HOUR
    following = DUE + (late // HOUR + 1) * HOUR
    found = look(HOURLY, DUE, now, catch_up)
    assert found == Look(tick=expected, dropped=dropped, next_at=following)


def test_a_due_time_that_is_none_of_the_ticks_any_more_is_still_due() -> None:
    """The rules of its zone have changed since it was told."""
    odd = DUE + timedelta(minutes=7)
    assert look(HOURLY, odd, odd, NONE) == Look(tick=odd, dropped=0, next_at=DUE + HOUR)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "no name"}, "name: "),
        ({"name": ""}, "name: "),
        ({"name": 1}, "name: must be a string"),
        ({"cron": "* * * *"}, "cron: "),
        ({"cron": None}, "cron: must be a string"),
        ({"timezone": "Nowhere/Land"}, "timezone: "),
        ({"timezone": 1}, "timezone: must be a string"),
        ({"overlap": "skip, please"}, "overlap: must be allow or skip"),
        ({"catch_up": True}, "catch_up: must be none or last"),
        ({"job": {"command": "true"}}, "job: must be a JobSpec"),
        ({"job": JobSpec(command="true", id="j")}, "id: can be given only once"),
        ({"job": JobSpec(command="true", run_at=DUE)}, "run_at: is for a single job"),
        ({"job": JobSpec(command="true", delay=SECOND)}, "delay: is for a single job"),
        ({"job": JobSpec(command="true", delay=0 * SECOND)}, "delay: is for a single job"),
        ({"job": JobSpec(command="true", after=("a",))}, "after: is for a single job"),
    ],
)
def test_what_is_no_schedule_is_refused(fields: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {"name": "s", "cron": "@daily", "job": JobSpec(command="true")}
    with pytest.raises(SpecError) as refused:
        ScheduleSpec(**given | fields)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"command": None, "args": ("a", "", "\u20ac\x7f")},
        {"timeout": timedelta(days=36_500)},
        {"timeout": timedelta(microseconds=1_001)},
        {"max_retries": 0, "backoff_base": 0, "backoff_max": 0.5, "backoff_jitter": 0.0},
        {"env": {"A": ""}, "labels": {"a": ""}, "stdin": "", "unique_key": "k"},
        {"success_codes": (0, 255), "no_retry_on": (7,), "after_policy": "any"},
        {"on_success": "a", "on_failure": "b", "on_dead": "c", "cwd": "/", "queue": "q"},
    ],
)
def test_a_spec_is_read_as_it_was_written(fields: dict[str, Any]) -> None:
    spec = JobSpec(**{"command": "true"} | fields)
    assert parse_spec(spec_text(spec)) == spec
