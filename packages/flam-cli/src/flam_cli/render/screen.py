"""A terminal's whole screen for frames that follow each other, given back on any way out.

Not Rich's: its import is longer than a frame takes, and a screen must be given back on signals,
which it leaves to the caller. Everything goes past Python's buffer, so that a signal's handler may
write too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from flam_cli.render import human
from flam_store.text import visible

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE = b"\x1b[?25h\x1b[?1049l"
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_QUIT = (b"q", b"Q")

Frame = Callable[[], list[str]]


class _Ended(BaseException):
    """A signal that ends the process; everything is put right first."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def watch(frame: Frame, *, every_seconds: float) -> None:
    """Draw the frame again and again until ``q``; Ctrl-C is KeyboardInterrupt as ever.

    The last frame stays, in the place of the screen. A SIGTERM or SIGHUP ends the process as it
    always does, when the terminal has been given back. A terminal that knows no such moves
    (``TERM=dumb``) gets the frames one below the other.
    """
    if os.environ.get("TERM", "dumb") == "dumb":
        _frames_below_each_other(frame, every_seconds)
    screen = _Screen()
    try:
        screen.run(frame, every_seconds)
    except _Ended as end:
        screen.close()
        signal.signal(end.number, signal.SIG_DFL)
        os.kill(os.getpid(), end.number)
    finally:
        screen.close()
        human.lines(screen.last)


def _frames_below_each_other(frame: Frame, every_seconds: float) -> None:
    while True:
        human.lines([*frame(), ""])
        sys.stdout.flush()
        time.sleep(every_seconds)


class _Screen:
    """The alternate screen of standard output, with the keys of standard input unbuffered."""

    def __init__(self) -> None:
        self.last: list[str] = []
        self._keys: list[Any] | None = None
        self._entered = False
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self._woken, self._wakes = os.pipe()
        for fd in (self._woken, self._wakes):
            os.set_blocking(fd, False)

    def run(self, frame: Frame, every_seconds: float) -> None:
        self._listen()
        self._take()
        while True:
            self.last = frame()
            next_at = time.monotonic() + every_seconds
            self._draw()
            while (left := next_at - time.monotonic()) > 0:
                if self._is_to_quit(left):
                    return
                self._draw()

    def close(self) -> None:
        """Give the terminal back; a second time, or after an interruption, what is left of it."""
        for number in self._before:  # nothing comes between now
            signal.signal(number, signal.SIG_IGN)
        self._give_back()
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)

    def _listen(self) -> None:
        self._wakeup_before = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        handlers: dict[int, Any] = dict.fromkeys(_ENDING, _end)
        handlers |= {signal.SIGWINCH: _wake, signal.SIGTSTP: self._stop}
        for number, handler in handlers.items():
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.getsignal(number)
                signal.signal(number, handler)

    def _is_to_quit(self, seconds: float) -> bool:
        """Wait for a key, a signal or the end of the time."""
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        if self._keys is not None:
            poller.register(0, select.POLLIN)
        for fd, event in poller.poll(seconds * 1000):
            if fd == self._woken:
                os.read(fd, 4096)
            elif event & select.POLLIN:
                typed = os.read(fd, 4096)
                if not typed or any(key in typed for key in _QUIT):
                    return True
            else:
                return True  # the terminal is gone
        return False

    def _draw(self) -> None:
        room = human.room()
        shown = [human.cut(visible(line), room.columns) for line in self.last][: room.lines]
        text = "\r\n".join(f"{line}\x1b[K" for line in shown)
        _write(f"\x1b[H{text}\x1b[J".encode(errors="backslashreplace"))

    def _take(self) -> None:
        if sys.stdin.isatty():
            import termios
            import tty

            self._keys = termios.tcgetattr(0)
            tty.setcbreak(0, termios.TCSADRAIN)
        self._entered = True
        _write(_ENTER)

    def _give_back(self) -> None:
        if self._entered:
            self._entered = False
            with suppress(OSError):
                _write(_LEAVE)
        if self._keys is not None:
            import termios

            with suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._keys)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal, and we take it again when it lets us go on."""
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()


def _end(number: int, _frame: FrameType | None) -> None:
    raise _Ended(number)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """The wakeup descriptor has told already."""


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
