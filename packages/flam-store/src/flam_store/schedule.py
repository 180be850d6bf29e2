"""Schedules: what is enqueued again and again, and what a look at one that is due means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, islice, takewhile
from typing import Any

import attrs

from flam_store import rules
from flam_store.cron import Cron, fields_of, parse_cron, zone_named
from flam_store.errors import SpecError
from flam_store.job import JobSpec
from flam_store.state import State

MISSED_AFTER = timedelta(minutes=1)
"""A tick is missed when nobody has looked within this time of it."""

MOST_COUNTED = 100
"""Missed ticks are counted up to this number: others wait for the store meanwhile."""

TICKS_KEPT = 100
"""Of each schedule the newest ticks are kept, this many; and some whose job is unfinished."""

LABEL = "schedule"
"""The key of the label that a schedule's jobs carry, unless the spec has one of that key."""

_ONCE = {
    "id": "can be given only once: leave it out, and each job gets its own",
    "run_at": "is for a single job: a schedule's jobs are due at its ticks",
    "delay": "is for a single job: a schedule's jobs are due at its ticks",
    "after": "is for a single job: what it waits for would be completed at the second tick",
}


class Overlap(StrEnum):
    """Whether a tick is enqueued while an earlier job of the schedule is unfinished."""

    ALLOW = "allow"
    SKIP = "skip"


class CatchUp(StrEnum):
    """Whether the last of the ticks that were missed is enqueued when somebody looks again."""

    NONE = "none"
    LAST = "last"


def _name(_: object, field: rules.Field, value: Any) -> None:
    rules.require_name(field.name, value)


def _cron(_: object, field: rules.Field, value: Any) -> None:
    _judged(field, value, fields_of)


def _zone(_: object, field: rules.Field, value: Any) -> None:
    _judged(field, value, zone_named)


def _judged(field: rules.Field, value: Any, judge: Any) -> None:
    if type(value) is not str:
        raise SpecError("must be a string", field=field.name)
    try:
        judge(value)
    except ValueError as error:
        raise SpecError(str(error), field=field.name) from None


def _choice(_: object, field: rules.Field, value: Any) -> None:
    kind = {"overlap": Overlap, "catch_up": CatchUp}[field.name]
    if not isinstance(value, kind):
        raise SpecError(f"must be {' or '.join(kind)}", field=field.name)


def _repeated(_: object, field: rules.Field, value: Any) -> None:
    if not isinstance(value, JobSpec):
        raise SpecError("must be a JobSpec", field=field.name)
    for name, problem in _ONCE.items():
        if getattr(value, name) not in (None, ()):
            raise SpecError(problem, field=name)


@attrs.frozen(kw_only=True)
class ScheduleSpec:
    """What somebody asks for. Whole and valid when built; SpecError otherwise.

    ``cron`` has five fields, or is an alias such as ``@daily``; it is read in ``timezone``, a
    name such as ``Europe/Berlin``. ``job`` has no ``id``, ``run_at``, ``delay`` or ``after``.
    """

    name: str = attrs.field(validator=_name)
    cron: str = attrs.field(validator=_cron)
    timezone: str = attrs.field(default="UTC", validator=_zone)
    overlap: Overlap = attrs.field(default=Overlap.ALLOW, validator=_choice)
    catch_up: CatchUp = attrs.field(default=CatchUp.NONE, validator=_choice)
    job: JobSpec = attrs.field(validator=_repeated)


@attrs.frozen(kw_only=True)
class Schedule:
    """A stored schedule. Times are aware UTC.

    ``next_at`` is its next tick; None while it is paused, and when none can be told.
    ``problem`` says why its row cannot be read, should another program have spoilt it; ``job``
    is None when that is the reason.
    """

    name: str
    cron: str
    timezone: str
    overlap: Overlap
    catch_up: CatchUp
    job: JobSpec | None
    created_at: datetime
    paused_at: datetime | None
    paused_by: str | None
    next_at: datetime | None
    problem: str | None = None

    def upcoming(self, count: int) -> tuple[datetime, ...]:
        """The next ticks, up to ``count``; none while it is paused."""
        if self.next_at is None or self.problem is not None:
            return ()
        cron = parse_cron(self.cron, self.timezone)
        return (self.next_at, *islice(cron.ticks(self.next_at), count - 1))


@attrs.frozen(kw_only=True)
class Tick:
    """What became of a tick, or of a ``run`` by hand.

    Either ``job`` is the id of its job, and ``state`` that job's, None when it was purged; or
    ``skipped`` says why there is none.
    """

    at: datetime
    job: str | None = None
    state: State | None = None
    skipped: str | None = None


@attrs.frozen(kw_only=True)
class Ticked:
    """What was done about schedules that were due.

    ``jobs`` are the ids of the new ones. ``problems`` are sentences about schedules that
    cannot be read. ``next_in`` is the time until the next tick of any schedule, 0 when more
    are due already, None when none is to come.
    """

    jobs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    next_in: timedelta | None = None


@attrs.frozen(kw_only=True)
class Look:
    """What a look at a due schedule means.

    ``tick`` is the one that is enqueued, None when all were missed; ``dropped`` counts those
    before it, up to ``MOST_COUNTED``, the first of which was the one due; ``next_at`` follows.
    """

    tick: datetime | None
    dropped: int
    next_at: datetime | None


def look(cron: Cron, due: datetime, now: datetime, catch_up: CatchUp) -> Look:
    """What is to be done at ``now`` about a schedule whose tick ``due`` is not later.

    At most one job: the last tick up to now stands for all that were missed before it.
    """
    latest = cron.latest(due, now)
    wanted = now - latest <= MISSED_AFTER or catch_up is CatchUp.LAST
    before = (tick for tick in _between(cron, due, latest) if not (wanted and tick == latest))
    dropped = sum(1 for _ in islice(before, MOST_COUNTED))
    return Look(tick=latest if wanted else None, dropped=dropped, next_at=cron.next(now))


def _between(cron: Cron, first: datetime, last: datetime) -> Iterator[datetime]:
    return takewhile(lambda tick: tick <= last, chain([first], cron.ticks(first)))


def dropped_reason(count: int) -> str:
    """Why there is no job for so many ticks.

    >>> dropped_reason(1), dropped_reason(3)
    ('missed: no worker was there', '3 ticks missed: no worker was there')
    """
    if count == 1:
        return "missed: no worker was there"
    counted = f"{count:,} or more" if count >= MOST_COUNTED else f"{count:,}"
    return f"{counted} ticks missed: no worker was there"
