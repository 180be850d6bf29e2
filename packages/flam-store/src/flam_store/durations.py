"""Durations as people write and read them."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

MAX_DURATION = timedelta(days=36_500)
"""No duration is longer: an instant that lies twice this far ahead is still a date."""

_MICROSECONDS_IN = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
}
_UNITS = list(_MICROSECONDS_IN)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[dhms])")
_PARTS = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*")
_LONGEST_TEXT = 64


def parse_duration(value: object) -> timedelta:
    """Read a number of seconds, or words such as ``"90s"``, ``"1.5h"`` or ``"1h30m"``.

    The units are d, h, m, s and ms, the larger first and each at most once; a text without a
    unit is in seconds. The result is from zero to :data:`MAX_DURATION`, to the microsecond.
    Raises ValueError with one sentence that can follow the name of a field.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    >>> parse_duration(0.25)
    datetime.timedelta(microseconds=250000)
    """
    if isinstance(value, str):
        return _bounded(_seconds_of(value))
    if type(value) is int or type(value) is float:
        return _bounded(value)
    raise ValueError(f'must be a duration such as 90 or "1h30m", not {_kind(value)}')


def format_duration(duration: timedelta | float) -> str:
    """Say a duration, or a number of seconds, in its two largest units, rounded down.

    Raises as timedelta does for a number that it cannot hold.

    >>> format_duration(7503)
    '2h 5m'
    >>> format_duration(1.25)
    '1.2s'
    """
    if not isinstance(duration, timedelta):
        duration = timedelta(seconds=duration)
    sign = "-" if duration < timedelta() else ""
    return sign + _words(abs(duration) // timedelta(microseconds=1))


@lru_cache(maxsize=64)
def _seconds_of(text: str) -> float:
    if len(text) <= _LONGEST_TEXT:
        if _NUMBER.fullmatch(text):
            return float(text)
        if _PARTS.fullmatch(text):
            return _sum_of(_PART.findall(text), text)
    raise ValueError(
        f"{_shown(text)} is not a duration; give seconds, or numbers with ms, s, m, h or d, "
        'such as "90s" or "1h30m"'
    )


def _sum_of(parts: list[tuple[str, str]], text: str) -> float:
    ranks = [_UNITS.index(unit) for _, unit in parts]
    if ranks != sorted(set(ranks)):
        raise ValueError(f"{_shown(text)} must name each unit once, the larger first")
    return sum(float(number) * _MICROSECONDS_IN[unit] for number, unit in parts) / 1_000_000


def _bounded(seconds: float) -> timedelta:
    if seconds < 0:
        raise ValueError("must not be negative")
    # Said this way round it also refuses NaN, for which every comparison is false.
    if not seconds <= MAX_DURATION.total_seconds():
        raise ValueError(f"must be at most {MAX_DURATION.days:,} days")
    return timedelta(seconds=seconds)


def _words(microseconds: int) -> str:
    if microseconds < _MICROSECONDS_IN["s"]:
        milliseconds = microseconds // _MICROSECONDS_IN["ms"]
        return f"{milliseconds}ms" if milliseconds else "0s"
    if microseconds < _MICROSECONDS_IN["m"]:
        tenths = microseconds // 100_000
        return f"{tenths // 10}.{tenths % 10}s".replace(".0s", "s")
    return _two_units(microseconds)


def _two_units(microseconds: int) -> str:
    for large, small in (("d", "h"), ("h", "m"), ("m", "s")):
        count, rest = divmod(microseconds, _MICROSECONDS_IN[large])
        if count:
            fewer = rest // _MICROSECONDS_IN[small]
            return f"{count}{large} {fewer}{small}" if fewer else f"{count}{large}"
    raise ValueError("less than a minute has no second unit")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 24 else f"{text[:24]}...")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
