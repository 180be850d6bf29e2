"""The store's clock: milliseconds since 1970, and the instants that they stand for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01T00:00:00Z."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> int:
    return time.time_ns() // 1_000_000


def instant(millis: int) -> datetime:
    """The aware UTC time that a number of milliseconds stands for."""
    return _EPOCH + timedelta(milliseconds=millis)


def millis(at: datetime) -> int:
    """Milliseconds of an aware time, towards the past."""
    return (at - _EPOCH) // _MILLISECOND


def span(duration: timedelta) -> int:
    """Milliseconds of a duration."""
    return duration // _MILLISECOND
