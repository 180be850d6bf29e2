"""Schedules and their ticks for a person."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from flam_cli.render import human
from flam_store import shapes
from flam_store.cron import zone_named
from flam_store.durations import format_duration
from flam_store.job import JobSpec
from flam_store.schedule import Schedule, Tick

_HEADERS = ("NAME", "CRON", "TIMEZONE", "NEXT", "COMMAND")
_TICK_HEADERS = ("TICK", "JOB", "STATE", "SKIPPED")


def print_schedules(schedules: Sequence[Schedule], now: datetime) -> None:
    """A table of schedules."""
    human.table(_HEADERS, [_row(each, now) for each in schedules])


def print_schedule(schedule: Schedule, upcoming: Sequence[datetime], ticks: Sequence[Tick]) -> None:
    """Everything of one schedule: its settings, its next ticks, its last ones."""
    human.fields(_fields(schedule, upcoming))
    if ticks:
        human.line("")
        human.table(_TICK_HEADERS, [_tick_row(schedule, each) for each in ticks])


def schedule_line(schedule: Schedule, now: datetime) -> str:
    """What it waits for, in one line."""
    if schedule.next_at is None:
        return f"{schedule.name}: {_waits(schedule, now)}"
    return f"{schedule.name}: next at {_stamp(schedule, schedule.next_at)}"


def _row(schedule: Schedule, now: datetime) -> tuple[str, ...]:
    command = "-" if schedule.job is None else _command(schedule.job)
    return (schedule.name, schedule.cron, schedule.timezone, _waits(schedule, now), command)


def _waits(schedule: Schedule, now: datetime) -> str:
    if schedule.problem is not None:
        return "cannot be read"
    if schedule.paused_at is not None:
        return "paused"
    if schedule.next_at is None:
        return "none"
    if schedule.next_at <= now:
        return f"due for {format_duration(now - schedule.next_at)}"
    return f"in {format_duration(schedule.next_at - now)}"


def _fields(schedule: Schedule, upcoming: Sequence[datetime]) -> list[tuple[str, str | None]]:
    return [
        ("Name", schedule.name),
        ("Cron", schedule.cron),
        ("Timezone", schedule.timezone),
        ("Overlap", schedule.overlap.value),
        ("Catch up", schedule.catch_up.value),
        ("Problem", schedule.problem),
        ("Paused", _pause(schedule)),
        ("Command", None if schedule.job is None else _command(schedule.job)),
        ("Spec", None if schedule.job is None else _rest(schedule.job)),
        *(("Next", _stamp(schedule, at)) for at in upcoming),
    ]


def _pause(schedule: Schedule) -> str | None:
    if schedule.paused_at is None:
        return None
    by = schedule.paused_by or "somebody"
    return f"since {_stamp(schedule, schedule.paused_at)} by {by}"


def _command(job: JobSpec) -> str:
    return shlex.join(job.args) if job.args is not None else job.command or ""


def _rest(job: JobSpec) -> str | None:
    """What the spec says beside the command."""
    told = {key: value for key, value in shapes.spec(job).items() if key not in ("command", "args")}
    return json.dumps(told, ensure_ascii=False) if told else None


def _tick_row(schedule: Schedule, tick: Tick) -> tuple[str, ...]:
    state = "-" if tick.job is None else "purged" if tick.state is None else tick.state.value
    return (_stamp(schedule, tick.at), tick.job or "-", state, tick.skipped or "-")


def _stamp(schedule: Schedule, at: datetime) -> str:
    """The time in the schedule's zone, with its offset, or Z as elsewhere where there is none."""
    try:
        local = at.astimezone(zone_named(schedule.timezone))
    except (ValueError, OverflowError):
        local = at.astimezone(UTC)
    text = f"{local:%Y-%m-%d %H:%M:%S%z}"
    return f"{text.removesuffix('+0000')}Z" if text.endswith("+0000") else text
