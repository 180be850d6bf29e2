"""Schedules as they are stored: added, looked at, paused, resumed, removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

from flam_store.clock import instant, millis
from flam_store.cron import parse_cron
from flam_store.errors import ScheduleNotFound, ScheduleTaken, SpecError
from flam_store.job import JobSpec
from flam_store.schedule import CatchUp, Overlap, Schedule, ScheduleSpec, Tick
from flam_store.spec import parse_spec, spec_text
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.schema import found_schema
from flam_store.state import State

K = TypeVar("K", Overlap, CatchUp)

_SINCE_SCHEMA = 2
_FAR = timedelta(days=1)


def add(db: sqlite3.Connection, spec: ScheduleSpec, now: int) -> Schedule:
    text = spec_text(spec.job)
    parse_spec(text)  # what is stored can be read again, or is refused here
    first = parse_cron(spec.cron, spec.timezone).next(instant(now))
    if first is None:
        raise SpecError(f"{spec.cron!r} never comes", field="cron")
    given = {
        "name": spec.name,
        "cron": spec.cron,
        "timezone": spec.timezone,
        "overlap": spec.overlap.value,
        "catch_up": spec.catch_up.value,
        "spec": text,
        "now": now,
        "next_at": millis(first),
    }
    if db.execute(SQL["insert_schedule"], given).rowcount != 1:
        raise ScheduleTaken(spec.name)
    return schedule(db, spec.name)


def schedules(db: sqlite3.Connection) -> tuple[Schedule, ...]:
    if found_schema(db, "it") < _SINCE_SCHEMA:  # whoever only looks migrates nothing
        return ()
    return tuple(map(from_row, db.execute(SQL["schedules"]).fetchall()))


def schedule(db: sqlite3.Connection, name: str) -> Schedule:
    # No name is refused for its form: one that another program has spoilt can be removed.
    found = is_key(name) and db.execute(SQL["schedule"], (key(name),)).fetchall()
    if not found:
        raise ScheduleNotFound(name)
    return from_row(found[0])


def ticks(db: sqlite3.Connection, name: str, limit: int) -> tuple[Tick, ...]:
    schedule(db, name)
    found = db.execute(SQL["ticks_of"], {"name": key(name), "limit": limit}).fetchall()
    return tuple(
        Tick(
            at=rows.instant_within_the_calendar(at),
            job=job_id,
            state=None if state is None else State(state),
            skipped=skipped,
        )
        for at, job_id, state, skipped in found
    )


def pause(db: sqlite3.Connection, name: str, by: str, now: int) -> Schedule:
    schedule(db, name)
    db.execute(SQL["pause_schedule"], {"name": key(name), "by": by, "now": now})
    return schedule(db, name)


def resume(db: sqlite3.Connection, name: str, now: int) -> Schedule:
    found = schedule(db, name)
    job_of(found)
    following = parse_cron(found.cron, found.timezone).next(instant(now))
    times = [at for at in (found.next_at, following) if at is not None]
    next_at = millis(min(times)) if times else None
    db.execute(SQL["resume_schedule"], {"name": key(name), "next_at": next_at})
    return schedule(db, name)


def remove(db: sqlite3.Connection, name: str) -> None:
    schedule(db, name)
    db.execute(SQL["remove_schedule"], {"name": key(name)})


def job_of(found: Schedule) -> JobSpec:
    """What it enqueues. SpecError when its row cannot be read."""
    if found.problem is not None or found.job is None:
        problem = f"schedule {found.name!r} cannot be read: {found.problem}"
        raise SpecError(f"{problem}. Remove it, and add it anew.")
    return found.job


def from_row(row: rows.Row) -> Schedule:
    """A schedule, with its problem where another program has spoilt the row."""
    *_, spec, created_at, paused_at, paused_by, next_at = row
    name, cron, timezone, overlap, catch_up = map(_text, row[:5])
    job, problem = None, None
    given: dict[str, Any] = {
        "name": name,
        "cron": cron,
        "timezone": timezone,
        "overlap": _one_of(Overlap, overlap),
        "catch_up": _one_of(CatchUp, catch_up),
    }
    try:
        job = parse_spec(spec)
        ScheduleSpec(job=job, **given)
    except SpecError as error:
        problem = legible(str(error))
    return Schedule(
        job=job,
        created_at=rows.instant_within_the_calendar(created_at),
        paused_at=rows.instant_as_far_as_readable(paused_at),
        paused_by=None if paused_by is None else legible(_text(paused_by)),
        next_at=rows.instant_as_far_as_readable(next_at),
        problem=problem,
        **given,
    )


def key(name: str) -> bytes:
    """The name as the statements take it: another program may have written one that is no text."""
    return name.encode("utf-8", "surrogateescape")


def is_key(name: str) -> bool:
    try:
        return bool(key(name))
    except UnicodeEncodeError:
        return False


def _text(value: bytes) -> str:
    """What the column says; bytes that are no text as surrogates, which no rule lets pass."""
    return value.decode("utf-8", "surrogateescape")


def legible(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _one_of(kind: type[K], word: str) -> K:
    """The word's member; the first, which is the mildest, where a CHECK was switched off."""
    return kind(word) if word in set(kind) else next(iter(kind))


def astray(db: sqlite3.Connection, now: int) -> Iterator[tuple[str, int]]:
    """Schedules that wait for none of their ticks, or for one far behind their next; and that.

    The clock was ahead when they moved on, or the host did not know their zone. Less than a
    day is left alone: a clock set back a little must not make ticks come twice.
    """
    for each in schedules(db):
        if each.problem is None and each.paused_at is None:
            following = parse_cron(each.cron, each.timezone).next(instant(now))
            if following and (each.next_at is None or each.next_at - following > _FAR):
                yield each.name, millis(following)


def call_back(db: sqlite3.Connection, now: int) -> int:
    """Let those that are astray wait for their next tick; how many there were."""
    found = tuple(astray(db, now))
    for name, next_at in found:
        db.execute(SQL["resume_schedule"], {"name": key(name), "next_at": next_at})
    return len(found)
