"""Columns, and which of them give way where a terminal is narrow."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import attrs

from flam_cli.render import human
from flam_store.text import visible

GAP = "  "

Yields = Sequence[tuple[str, int]]
"""Columns in the order in which they give way, each down to so many cells; to 0: left out."""


@attrs.frozen
class Layout:
    """The widths of columns; 0 leaves one out. Fields of those in ``cuts`` keep within theirs."""

    widths: tuple[int, ...]
    cuts: frozenset[int] = frozenset()

    def row(self, row: Sequence[str]) -> str:
        """A line of fields that are harmless already, in the colours of standard output."""
        return GAP.join(human.painted(text) + rest for text, rest in self._fields(row)).rstrip()

    def plain(self, row: Sequence[str]) -> str:
        """The same line without colours, for what is cut or escaped later."""
        return GAP.join(text + rest for text, rest in self._fields(row)).rstrip()

    def _fields(self, row: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Each field that is shown, and the spaces that fill its column."""
        for place, field in enumerate(row):
            width = self.widths[place]
            if width:
                text = human.cut(field, width) if place in self.cuts else field
                yield text, " " * (width - human.cells(text))


def laid_out(
    headers: Sequence[str], rows: Sequence[Sequence[str]], yields: Yields, room: int | None
) -> Layout:
    """The layout of a table in so many cells; None: as many as it takes."""
    widths = [max(map(human.cells, column)) for column in zip(headers, *rows, strict=True)]
    if room is None or not yields:
        return Layout(tuple(widths))
    yielding = dict(yields)
    cuts = frozenset(place for place, name in enumerate(headers) if name in yielding)
    return Layout(fitted(dict(zip(headers, widths, strict=True)), yields, room), cuts)


def fitted(widths: dict[str, int], yields: Yields, room: int) -> tuple[int, ...]:
    """The widths when columns have given way, one after the other, until all is in the room.

    >>> fitted({"ID": 4, "AGE": 3, "COMMAND": 20}, (("COMMAND", 8), ("AGE", 0)), 18)
    (4, 0, 12)
    """
    left = dict(widths)
    for name, least in yields:
        over = _total(left) - room
        if over <= 0:
            break
        left[name] = min(left[name], max(least, left[name] - over)) if least else 0
    # What a column that was left out gave too much goes to the first that could shrink.
    first = next((name for name, least in yields if least), yields[0][0])
    if left[first]:
        left[first] = min(widths[first], left[first] + max(0, room - _total(left)))
    return tuple(left.values())


def table_lines(
    headers: Sequence[str], rows: Sequence[Sequence[str]], yields: Yields, room: int | None
) -> list[str]:
    """A table as lines of plain text, for a frame, which takes an escape for a job's."""
    shown = [tuple(map(visible, row)) for row in rows]
    layout = laid_out(headers, shown, yields, room)
    return [layout.plain(row) for row in (headers, *shown)]


def room_of_output() -> int | None:
    """How many cells a line of standard output has; None where nobody sees an edge."""
    return human.room().columns if human.is_terminal(sys.stdout) else None


def _total(widths: dict[str, int]) -> int:
    shown = [width for width in widths.values() if width]
    return sum(shown) + len(GAP) * (len(shown) - 1)
