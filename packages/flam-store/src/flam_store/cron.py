"""Cron expressions: five fields or an alias, and the instants that they mean in a time zone.

Days on which the clocks change are as with Debian's cron. An expression with fixed minutes and
hours has one tick a day: in the hour that is left out it comes at that hour's end, in the one
that comes twice at the first. One whose minute or hour begins with a star goes by the time that
passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import attrs

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = "minute, hour, day of the month, month, day of the week"
_FIELD = re.compile(r"[0-9A-Za-z*/,#-]+", re.ASCII)
_LONGEST = 200
_MINUTE = timedelta(minutes=1)


@attrs.frozen
class Cron:
    """An expression in a zone. ``fields`` are five, without an alias."""

    fields: str
    zone: tzinfo

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """The ticks later than ``after``, in UTC and in order.

        They end with the calendar, and after fifty years in which there is none.
        """
        from cronsim import CronSim

        try:
            for tick in CronSim(self.fields, after.astimezone(self.zone)):
                at = tick.astimezone(UTC)
                # Of an hour that comes twice, the first is found also from within the second.
                if at > after:
                    yield at
                    after = at
        except OverflowError:
            return

    def next(self, after: datetime) -> datetime | None:
        """The first tick later than ``after``; None when there is none."""
        return next(self.ticks(after), None)

    def latest(self, tick: datetime, until: datetime) -> datetime:
        """The last tick up to ``until``, where ``tick`` is one that is not later.

        By halving the time between them: a year of minutes takes some twenty steps.
        """
        low, high = tick, until  # none lies between high and until
        while high - low >= _MINUTE:
            middle = low + (high - low) / 2
            found = self.next(middle)
            if found is None or found > until:
                high = middle
            else:
                low = found
        return low


def parse_cron(text: str, zone: str) -> Cron:
    """The expression in that zone. ValueError with words that can follow a field's name.

    >>> parse_cron("@daily", "UTC").next(datetime(2026, 1, 31, 12, tzinfo=UTC))
    datetime.datetime(2026, 2, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    return Cron(fields_of(text), zone_named(zone))


def fields_of(text: str) -> str:
    """The five fields that the text or its alias stands for. ValueError."""
    from cronsim import CronSim, CronSimError

    fields = _spelled_out(text).split()
    shown = repr(text[:60])
    if len(fields) != 5:
        seconds = " (a schedule has no seconds)" if len(fields) == 6 else ""
        raise ValueError(f"{shown} has {len(fields)} fields{seconds}; give five: {_FIELDS}")
    if not all(map(_FIELD.fullmatch, fields)):
        raise ValueError(f"{shown} has a sign that no field may have")
    try:
        CronSim(" ".join(fields), datetime(2026, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError, AssertionError) as error:
        problem = str(error).removeprefix("Bad ") or "field"
        raise ValueError(f"{shown} has a bad {problem}; the fields are {_FIELDS}") from None
    return " ".join(fields)


def zone_named(name: str) -> tzinfo:
    """The zone, such as ``Europe/Berlin``. ValueError. UTC is known also without any data."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(_unknown(name)) from None


def _spelled_out(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"is longer than {_LONGEST} characters")
    if not text.lstrip().startswith("@"):
        return text
    alias = text.strip().lower()
    if alias not in ALIASES:
        raise ValueError(f"{text[:60]!r} is no alias; there are {', '.join(ALIASES)}")
    return ALIASES[alias]


def _unknown(name: str) -> str:
    from zoneinfo import available_timezones

    from flam_store.text import suggest

    known = available_timezones()
    if not known:
        return f"{name[:60]!r} cannot be looked up: this host has no time zones; install tzdata"
    meant = suggest(name, known)
    hint = f"did you mean {meant!r}?" if meant else "one is named like Europe/Berlin"
    return f"{name[:60]!r} is no time zone of this host; {hint}"
