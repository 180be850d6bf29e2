"""How far long work has come: on standard error, only when that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from flam_cli.render.human import is_terminal

_EVERY_SECONDS = 0.1
_ERASE = "\r\x1b[K"


@contextmanager
def counted(form: str) -> Iterator[Callable[[int], None]]:
    """A function that tells how many are done, in words such as ``{done:,} stored, {rate:,}/s``.

    ``rate`` is the mean since the beginning. What is told is erased at the end, however it comes.
    """
    if not is_terminal(sys.stderr):
        yield lambda done: None  # noqa: ARG005
        return
    began = time.monotonic()
    told_at = began

    def tell(done: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _EVERY_SECONDS:
            told_at = now
            _write(f"{_ERASE}{form.format(done=done, rate=round(done / (now - began)))}")

    try:
        yield tell
    finally:
        _write(_ERASE)


@contextmanager
def share(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function that tells how much of all is done, in percent; erased as by ``counted``."""
    shown = is_terminal(sys.stderr)

    def tell(done: int, of: int) -> None:
        if shown and of:
            _write(f"{_ERASE}{what} {done * 100 // of} %")

    try:
        yield tell
    finally:
        erase()


def erase() -> None:
    """Take away what was told, so that a line can stand in its place."""
    if is_terminal(sys.stderr):
        _write(_ERASE)


def _write(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
