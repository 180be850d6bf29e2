"""What a worker is told: by signals, by its supervisor, and by the store."""

from __future__ import annotations

import os
import signal

from flam_store.worker import Stop
from flam_worker.signals import Signals

GRACEFUL, NOW = b"g", b"n"


class Inbox:
    """Signals to the worker, and the pipe from its supervisor.

    SIGTERM asks it to stop, a second one to stop at once. SIGINT, which a terminal sends to
    the whole pool, is the supervisor's to interpret. When the supervisor is gone, the worker
    stops after its job.
    """

    def __init__(self, signals: Signals, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._signals = signals
        self._pipe = pipe
        self._told: Stop | None = None
        self.bereft = False
        """Whether the supervisor died without having told the worker to stop."""
        self.fds = (signals.fd, pipe)
        """What can be read when there is something new."""

    def read(self) -> None:
        self._signals.drain()
        try:
            words = os.read(self._pipe, 64)
        except BlockingIOError:
            return
        if not words:
            self.bereft = self._told is None
            self._silence()
        if NOW in words:
            self._told = Stop.NOW
        elif self._told is None:
            self._told = Stop.GRACEFUL

    def stop(self) -> Stop | None:
        """Whether the worker has been told to stop."""
        asked = self._signals.seen(signal.SIGTERM)
        if asked > 1 or self._told is Stop.NOW:
            return Stop.NOW
        return Stop.GRACEFUL if asked else self._told

    def is_signalled(self) -> bool:
        """Whether a signal, and not only the supervisor's death, has told the worker to stop."""
        return self._signals.seen(signal.SIGTERM) > 0

    def _silence(self) -> None:
        """A pipe at its end can always be read: whoever watches it would never sleep again."""
        quiet, self._kept_open = os.pipe()
        os.set_blocking(quiet, False)
        os.dup2(quiet, self._pipe, inheritable=False)
        os.close(quiet)

    def nudged(self) -> bool:
        """Whether somebody has said, since the last time, that the store has orders."""
        return self._signals.take(signal.SIGUSR1)
