"""Lines and tables for a person. Every field is made harmless here, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from flam_store.text import one_line, visible

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
    print(f"{_painted(mark)}{_GAP}{visible(text)}")


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


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    """Print aligned columns and return their widths.

    On a terminal a line is cut at its edge; elsewhere nothing is cut.
    """
    shown = [tuple(map(visible, row)) for row in rows]
    widths = [max(map(cells, column)) for column in zip(headers, *shown, strict=True)]
    _print_row(headers, widths)
    for row in shown:
        _print_row(row, widths)
    return widths


def more_rows(rows: Iterable[Sequence[str]], widths: list[int]) -> None:
    """Print rows below a table, in its columns."""
    for row in rows:
        _print_row(tuple(map(visible, row)), widths)


def fields(pairs: Iterable[tuple[str, str | None]]) -> None:
    """Print names with their values below each other; those without a value are left out."""
    told = [(name, value) for name, value in pairs if value is not None]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        print(f"{name + ':':{width + 1}}{_GAP}{_painted(visible(value))}")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _print_row(row: Sequence[str], widths: list[int]) -> None:
    print(_joined(row, widths) if not is_terminal(sys.stdout) else _fitting(row, widths))


def _fitting(row: Sequence[str], widths: list[int]) -> str:
    from shutil import get_terminal_size

    room = get_terminal_size().columns
    if cells(_joined(row, widths)) <= room:
        return _joined([*map(_painted, row)], [*map(_invisible, row, widths)])
    return _cut(_joined(row, widths), room)


def _invisible(field: str, width: int) -> int:
    """The width of a column as ``_joined`` counts it, with the field's colour."""
    return width + cells(_painted(field)) - cells(field)


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    columns = zip(row, widths, strict=True)
    padded = (field + " " * (width - cells(field)) for field, width in columns)
    return _GAP.join(padded).rstrip()


def _cut(text: str, room: int) -> str:
    if cells(text) <= room:
        return text
    while cells(text) > room - 1:
        text = text[: min(len(text) - 1, room - 1)]
    return f"{text}…"


def _painted(field: str) -> str:
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


@contextmanager
def screen() -> Iterator[Callable[[list[str]], None]]:
    """A function that draws lines in place of those before.

    Each frame is written over the last one, at the same place, so that nothing flickers and
    scrolled-back text stays. On a terminal without such moves frames follow each other.
    """
    movable = os.environ.get("TERM", "dumb") != "dumb"
    drawn = 0

    def draw(texts: list[str]) -> None:
        nonlocal drawn
        from shutil import get_terminal_size

        room = get_terminal_size()
        shown = [_cut(text, room.columns) for text in map(visible, texts)][: room.lines - 1]
        if movable:
            back = f"\x1b[{drawn}A\r" if drawn else ""
            sys.stdout.write(back + "".join(f"{text}\x1b[K\n" for text in shown) + "\x1b[J")
        else:
            sys.stdout.write("".join(f"{text}\n" for text in [*shown, ""]))
        sys.stdout.flush()
        drawn = len(shown)

    yield draw


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function that tells on standard error how much of all is done, if that is a terminal."""
    shown = is_terminal(sys.stderr)

    def tell(done: int, of: int) -> None:
        if shown and of:
            print(f"\r{what} {done * 100 // of} %", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if shown:
            print(f"\r{' ' * (len(what) + 6)}\r", end="", file=sys.stderr, flush=True)
