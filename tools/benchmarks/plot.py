"""A figure of growth: seconds against rows, both on logarithmic scales, as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks.figures import shown

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 130, 50, 60
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_FONT = 'font-family="sans-serif" font-size="13"'


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Powers of ten from ``first`` to ``last``, over a stretch of the picture."""

    first: int
    last: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """The powers of ten between which all of these, which are positive, lie."""
        first = math.floor(math.log10(min(values)))
        last = max(first + 1, math.ceil(math.log10(max(values))))
        return cls(first=first, last=last, start=start, end=end)

    def place(self, value: float) -> float:
        """Where in the picture a value stands."""
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.first, self.last + 1)]


def figure(title: str, rows: Sequence[int], series: Mapping[str, Sequence[float]]) -> str:
    """An SVG document with a line for each of the series, whose values stand over ``rows``."""
    everything = [value for values in series.values() for value in values]
    across = Axis.over(rows, _LEFT, _WIDTH - _RIGHT)
    up = Axis.over(everything, _HEIGHT - _BOTTOM, _TOP)
    elements = [
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, _TOP - 22, title, "start"),
        _text((across.start + across.end) / 2, _HEIGHT - 15, "rows in the database", "middle"),
        *_grid(across, up),
        *_lines(across, up, rows, series),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>'
    return "\n".join([head, *elements, "</svg>"]) + "\n"


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    for tick in across.ticks():
        x = across.place(tick)
        yield _line((x, up.start), (x, up.end), "#dddddd", 1)
        yield _text(x, up.start + 20, f"{tick:,.0f}", "middle")
    for tick in up.ticks():
        y = up.place(tick)
        yield _line((across.start, y), (across.end, y), "#dddddd", 1)
        yield _text(across.start - 8, y + 4, shown(tick, "s"), "end")


def _lines(
    across: Axis, up: Axis, rows: Sequence[int], series: Mapping[str, Sequence[float]]
) -> Iterator[str]:
    labels = spread_out([up.place(values[-1]) for values in series.values()], 16)
    for number, ((name, values), label) in enumerate(zip(series.items(), labels, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [
            (across.place(row), up.place(value)) for row, value in zip(rows, values, strict=True)
        ]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
        yield _text(points[-1][0] + 8, label + 4, name, "start", colour)


def spread_out(places: Sequence[float], distance: float) -> list[float]:
    """The same places, moved down where two would be closer than ``distance``.

    >>> spread_out([100, 10, 12], 16)
    [100, 10, 26]
    """
    moved = list(places)
    lowest = -math.inf
    for index in sorted(range(len(moved)), key=moved.__getitem__):
        lowest = moved[index] = max(moved[index], lowest + distance)
    return moved


def _line(start: tuple[float, float], end: tuple[float, float], colour: str, width: int) -> str:
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#222222") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(words)}</text>"
