"""How many jobs a worker takes at once: more only while they are short, and many wait."""

from __future__ import annotations

import attrs

SHORT_SECONDS = 0.01
"""A job that lasts longer is taken alone, and so are those after it."""

PATIENCE_SECONDS = 0.05
"""For so long the others of a group wait for one that lasts. On a busy machine short jobs often
take a little longer: less patience would put many back, and each leaves an attempt in the record.
"""

_SPAN_SECONDS = 0.02
MOST = 32


@attrs.define
class Pace:
    """The size of the next group: twice as many when two groups in a row were all short.

    A group is as many jobs as last, all together, some ``_SPAN_SECONDS``: so much later can
    the first be reported, and what is more urgent be begun.
    """

    size: int = 1
    _in_a_row: int = 0
    _mean_seconds: float = SHORT_SECONDS

    def saw(self, seconds: float) -> None:
        """Learn how long a job lasted."""
        if seconds >= SHORT_SECONDS:
            self.begin_anew()
            return
        self._mean_seconds += (seconds - self._mean_seconds) / 8
        self._in_a_row += 1
        if self._in_a_row >= 2 * self.size:
            fitting = int(_SPAN_SECONDS / self._mean_seconds)
            self.size, self._in_a_row = max(1, min(2 * self.size, fitting, MOST)), 0

    def begin_anew(self) -> None:
        """Take one at a time again: a job was long, or fewer waited than were wanted."""
        self.size, self._in_a_row = 1, 0
