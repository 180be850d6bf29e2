"""A job's output: bytes as they are, or, on a terminal, only what it may obey."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flam_cli.render.human import in_colour, is_terminal
from flam_store.text import TerminalFilter


@contextmanager
def output_sink() -> Iterator[Callable[[bytes], None]]:
    """A function that writes the next piece to standard output at once."""
    if not is_terminal(sys.stdout):
        yield _write_bytes
        return
    harmless = TerminalFilter(colours=in_colour(sys.stdout))
    try:
        yield lambda piece: _write_text(harmless.feed(piece))
    finally:
        # A colour that is on is taken back, also after Ctrl-C.
        _write_text(harmless.finish())


def idle(seconds: float) -> None:
    """Wait, or raise BrokenPipeError as soon as nobody reads standard output any more."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in reader.poll(seconds * 1000)):
        raise BrokenPipeError


def _write_bytes(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _write_text(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
