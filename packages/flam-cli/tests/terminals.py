"""queuectl on a terminal of its own, as a person has it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs
from conftest import SOURCES

PATIENCE_SECONDS = 60.0


@attrs.define
class Terminal:
    """The far side of a terminal, and the process that has it as its controlling one."""

    process: subprocess.Popen[bytes]
    master: int
    seen: bytes = b""

    def until(self, text: bytes) -> bytes:
        """Read until the text has been written since the last time; what came up to its end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, (text, self.seen)
            if not self._read():
                raise AssertionError((text, self.seen))
        end = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:end], self.seen[end:]
        return found

    def rest(self) -> bytes:
        """All that is written until the process has ended."""
        while self._read():
            pass
        found, self.seen = self.seen, b""
        return found

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resize(self, columns: int, lines: int = 24) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.master)

    def code(self) -> int:
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def _read(self) -> bytes:
        """What is there now or comes soon; nothing at the end."""
        ready, _, _ = select.select([self.master], [], [], PATIENCE_SECONDS)
        piece = b""
        if ready:
            with suppress(OSError):  # the last one has closed its side
                piece = os.read(self.master, 1 << 16)
        self.seen += piece
        return piece


@contextmanager
def terminal(*words: str, columns: int = 80, **streams: int) -> Iterator[Terminal]:
    """queuectl with all standard streams on a terminal, but those that are given."""
    master, slave = os.openpty()
    environment = {**os.environ, "PYTHONPATH": SOURCES, "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    environment.pop("COLUMNS", None)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "flam_cli", *words],
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),  # noqa: PLW1509, no threads here
        **{"stdin": slave, "stdout": slave, "stderr": slave, **streams},  # type: ignore[call-overload]
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        with suppress(OSError):
            os.close(master)
