"""Signals, turned into what a loop can look at."""

from __future__ import annotations

import os
import signal
from collections import Counter
from types import FrameType

HANDLED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGCHLD,
)


class Signals:
    """Counts signals, and wakes whoever waits on ``fd``. Handlers do nothing else.

    A signal that the parent had ignored or blocked is set right first, so that a job, which
    inherits what is ignored and blocked, finds everything at its default.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for number in HANDLED:
            signal.signal(number, self._count)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def seen(self, *numbers: int) -> int:
        """How often these have come."""
        return sum(self._counts[number] for number in numbers)

    def take(self, number: int) -> bool:
        """Whether this one has come since it was last taken."""
        return self._counts.pop(number, 0) > 0

    def drain(self) -> None:
        """Make ``fd`` silent until the next signal."""
        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._write_fd)

    def _count(self, number: int, _frame: FrameType | None) -> None:
        self._counts[number] += 1
