"""The processes of a test: found by the mark in their environment, signalled by identity."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import attrs


@attrs.frozen
class Process:
    """A process: the pid alone may be another's by the time it is used."""

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        return born(self.pid) == self.born

    def send(self, number: int) -> bool:
        """Send a signal if the process still lives; whether it was sent."""
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(self.pid)
            try:
                if self.alive:
                    signal.pidfd_send_signal(fd, number)
                    return True
            finally:
                os.close(fd)
        return False

    @property
    def parent(self) -> int:
        fields = _stat(self.pid)
        return int(fields[1]) if fields else 0

    @property
    def stopped(self) -> bool:
        fields = _stat(self.pid)
        return bool(fields) and fields[0] == "T"

    @property
    def program(self) -> list[str]:
        """The words that it was started with; none when it has ended."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().decode().split("\0")
        return []


def born(pid: int) -> str | None:
    fields = _stat(pid)
    return None if not fields or fields[0] in "ZX" else fields[19]


def marked(words: bytes) -> list[Process]:
    """The living processes in whose environment these words are."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if words in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                then = born(int(name))
                if then is not None:
                    found.append(Process(int(name), then))
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
