"""The service manager that waits for word of a pool: readiness, state, watchdog.

The protocol of sd_notify(3): one datagram of ``KEY=value`` lines to the socket that
``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_PATIENCE_SECONDS = 1.0
_LEAST_SECONDS = 0.1
_MOST_COVERED_SECONDS = 300.0
_NEVER = float("inf")


class Service:
    """What is told to the service manager; nothing where there is none.

    The watchdog's time counts only when it is meant for this process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._every_seconds = max(_LEAST_SECONDS, _watchdog_seconds(environ) / 2)
        self.beat_at = time.monotonic() if self.is_there else _NEVER
        """When to call ``beat`` next, on the monotonic clock."""
        if self._every_seconds == _NEVER:
            self.beat_at = _NEVER

    @property
    def is_there(self) -> bool:
        return self._address[:1] in ("/", "@")

    def ready(self, status: str) -> None:
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        self._tell(f"STATUS={status}")

    def reloading(self) -> None:
        """Reloading has begun; it ends with ``ready``."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str, within_seconds: float) -> None:
        """The end has begun, and may take so long."""
        self._tell(
            "STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(within_seconds * 1e6)}"
        )

    def beat(self) -> None:
        """Tell that the loop goes round, when it is time."""
        if time.monotonic() >= self.beat_at:
            self.beat_at = time.monotonic() + self._every_seconds
            self._tell("WATCHDOG=1")

    @contextmanager
    def beating(self, at_most_seconds: float = _MOST_COVERED_SECONDS) -> Iterator[None]:
        """Tell it also while something takes long, but not for ever: it may hang.

        A thread does, which has ended with the block. Nothing is to be forked within it.
        """
        if self.beat_at == _NEVER:
            yield
            return
        over, until = threading.Event(), time.monotonic() + at_most_seconds

        def tell() -> None:
            while time.monotonic() < until and not over.wait(self._every_seconds):
                self._tell("WATCHDOG=1")

        teller = threading.Thread(target=tell, name="watchdog", daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()

    def _tell(self, *lines: str) -> None:
        if not self.is_there:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        # A manager that is gone or busy is no reason to stop working.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.settimeout(_PATIENCE_SECONDS)
            to_manager.sendto("\n".join(lines).encode(), address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    micros = environ.get("WATCHDOG_USEC", "")
    return int(micros) / 1e6 if meant and micros.isdecimal() and int(micros) else _NEVER
