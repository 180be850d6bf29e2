"""Lines and tables for a person. Every field is made harmless here, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from flam_store.text import one_line, visible

if TYPE_CHECKING:
    from flam_cli.render.table import Layout, Yields

_GAP = "  "
_COLOURS = {
    "completed": "32",
    "processing": "36",
    "running": "36",
    "failed": "33",
    "timeout": "33",
    "crashed": "31",
    "lost": "31",
    "dead": "31",
    "cancelled": "2",
    "blocked": "2",
    "pass": "32",
    "warn": "33",
    "fail": "31",
    "mended": "36",
}
"""The words that have a colour of their own where they fill a field."""

_LONGEST_COMPLAINT = 2_000


def line(text: str) -> None:
    """Print a line; escapes in it are shown, not obeyed."""
    print(visible(text))


def marked(mark: str, text: str) -> None:
    """Print a line that begins with a word of a colour of its own."""
    print(f"{painted(mark)}{_GAP}{visible(text)}")


def complain(text: str, *, prefix: str = "queuectl: ") -> None:
    """Print a line on standard error, after what was printed before it."""
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        print(f"{prefix}{one_line(text, limit=_LONGEST_COMPLAINT)}", file=sys.stderr, flush=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees what is written there."""
    return stream.isatty()


def in_colour(stream: TextIO) -> bool:
    """Whether colours are wanted: on a terminal that has them, unless NO_COLOR is set."""
    return (
        is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], yields: Yields = ()) -> Layout:
    """Print aligned columns and return their layout.

    Where a terminal is too narrow for them, columns give way as ``yields`` says, and without it
    a line is cut at the edge; elsewhere nothing is cut.
    """
    from flam_cli.render.table import laid_out, room_of_output

    shown = [tuple(map(visible, row)) for row in rows]
    layout = laid_out(headers, shown, yields, room_of_output())
    for row in (headers, *shown):
        _print_row(row, layout)
    return layout


def more_rows(rows: Iterable[Sequence[str]], layout: Layout) -> None:
    """Print rows below a table, in its columns."""
    for row in rows:
        _print_row(tuple(map(visible, row)), layout)


def fields(pairs: Iterable[tuple[str, str | None]]) -> None:
    """Print names with their values below each other; those without a value are left out."""
    told = [(name, value) for name, value in pairs if value is not None]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        print(f"{name + ':':{width + 1}}{_GAP}{painted(visible(value))}")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _print_row(row: Sequence[str], layout: Layout) -> None:
    if layout.cuts or not is_terminal(sys.stdout):
        print(layout.row(row))
        return
    plain = layout.plain(row)
    # With colours in it a line cannot be cut.
    width = room().columns
    print(layout.row(row) if cells(plain) <= width else cut(plain, width))


def room() -> os.terminal_size:
    """How many columns and lines the terminal has."""
    from shutil import get_terminal_size

    return get_terminal_size()


def cut(text: str, width: int) -> str:
    """The text in so many cells; a last … says that it goes on."""
    if cells(text) <= width:
        return text
    while cells(text) > width - 1:
        text = text[: min(len(text) - 1, width - 1)]
    return f"{text}…"


def painted(field: str) -> str:
    """The field in its colour, if it has one and colours are wanted."""
    colour = _COLOURS.get(field)
    return f"\x1b[{colour}m{field}\x1b[0m" if colour and in_colour(sys.stdout) else field


def lines(texts: Iterable[str]) -> None:
    """Print each as a line."""
    for text in texts:
        line(text)


def size(count: int) -> str:
    """A number of bytes in its largest unit: ``512 B``, ``1.5 MiB``."""
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
