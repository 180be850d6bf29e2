"""Figures: medians with quartiles, ratios of pairs, and the rows of the table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_NOTHING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some values, and their quartiles (which are values between the values)."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value.

        >>> Spread.of([4, 1, 3, 2, 5])
        Spread(low=2.0, median=3.0, high=4.0)
        """
        if len(values) == 1:
            return cls(low=values[0], median=values[0], high=values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low=low, median=median, high=high)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. Values are of ``unit``, a word that ``shown`` knows.

    ``ratio`` is Flam's value by the other's. Of pairs that were measured side by side it is
    the spread of their ratios, not the ratio of two medians from different moments.
    """

    part: str
    what: str
    unit: str
    flam: Spread
    against: Spread | None = None
    against_what: str = ""
    ratio: Spread | None = None
    goal: str = ""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A line of the table for what was not measured, and why."""

    part: str
    what: str
    why: str


Line = Row | Note


def paired(
    flam: Sequence[float],
    against: Sequence[float],
    *,
    part: str,
    what: str,
    unit: str,
    against_what: str,
    goal: str = "",
) -> Row:
    """The row of values that were measured in turns, each beside its neighbour.

    There is no ratio to what is as good as nothing.
    """
    ratios = [
        ours / theirs for ours, theirs in zip(flam, against, strict=True) if theirs > _NOTHING
    ]
    return Row(
        part=part,
        what=what,
        unit=unit,
        flam=Spread.of(flam),
        against=Spread.of(against),
        against_what=against_what,
        ratio=Spread.of(ratios) if len(ratios) == len(flam) else None,
        goal=goal,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed.

    >>> percentile([5, 1, 4, 2, 3], 0.5), percentile([5, 1, 4, 2, 3], 0.99)
    (3, 5)
    """
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


def shown(value: float, unit: str) -> str:
    """A value as a person reads it.

    >>> shown(1234.5, "/s"), shown(0.00123, "s"), shown(0.5, "s"), shown(2**21, "B")
    ('1,234 /s', '1.23 ms', '500 ms', '2.00 MiB')
    """
    match unit:
        case "s" if value < 0.001:
            return f"{_three(value * 1e6)} µs"
        case "s" if value < 1:
            return f"{_three(value * 1e3)} ms"
        case "B":
            return f"{_three(value / 2**20)} MiB"
        case "share":
            return f"{value:.2f}"
        case "%":
            return f"{value:.3f} %"
        case _:
            return f"{_three(value)} {unit}"


def _three(value: float) -> str:
    """Three digits, or all of those before the point."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{places}f}"
