"""A clock for tests: it stands still until it is moved."""

from __future__ import annotations

from datetime import datetime, timedelta

from flam_store.clock import instant, span

START = 1_800_000_000_000
"""Milliseconds since 1970 at which a ``FakeClock`` begins: 2027-01-15T08:00:00Z."""


class FakeClock:
    """A ``Clock`` that is set by hand.

    >>> clock = FakeClock()
    >>> clock.advance(timedelta(seconds=2))
    >>> clock() - START
    2000
    """

    def __init__(self, millis: int = START) -> None:
        self._millis = millis

    def __call__(self) -> int:
        return self._millis

    @property
    def now(self) -> datetime:
        """The instant that the clock shows."""
        return instant(self._millis)

    def advance(self, by: timedelta) -> None:
        """Move on by a duration, or back by a negative one."""
        self._millis += span(by)
