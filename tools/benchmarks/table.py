"""The measurements as a table for a person, and as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from benchmarks.figures import Line, Note, Row, Spread, shown

_TITLES = ("WHAT", "FLAM", "AGAINST", "RATIO", "GOAL")


def text(lines: Sequence[Line]) -> str:
    """A plain table; a part's name stands above its lines. Spreads are quartiles."""
    cells = [_cells(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(_TITLES, *cells, strict=True)]
    out = [_joined(_TITLES, widths)]
    part = ""
    for line, row in zip(lines, cells, strict=True):
        if line.part != part:
            part = line.part
            out += ["", part]
        out.append(_joined(row, widths))
    return "\n".join(out) + "\n"


def document(machine: Mapping[str, object], lines: Iterable[Line]) -> str:
    """One JSON document: the machine's facts, the rows and what was not measured."""
    rows = [_figures(line) for line in lines]
    return json.dumps({"machine": machine, "rows": rows}, indent=1, ensure_ascii=False) + "\n"


def _figures(line: Line) -> dict[str, object]:
    return asdict(line) | {"measured": isinstance(line, Row)}


def _cells(line: Line) -> tuple[str, ...]:
    if isinstance(line, Note):
        return f"  {line.what}", "-", line.why, "-", ""
    against = "-"
    if line.against is not None:
        against = f"{_spread(line.against, line.unit)}  {line.against_what}"
    ratio = "-"
    if line.ratio is not None:
        ratio = f"{line.ratio.median:.2f} ({line.ratio.low:.2f}-{line.ratio.high:.2f})"
    return f"  {line.what}", _spread(line.flam, line.unit), against, ratio, line.goal


def _spread(spread: Spread, unit: str) -> str:
    median = shown(spread.median, unit)
    if spread.low == spread.high:
        return median
    return f"{median} ({shown(spread.low, unit)} to {shown(spread.high, unit)})"


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip()
