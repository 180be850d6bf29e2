"""What a worker leaves for others: which process it started last, should it die itself.

One short record in a file of its own, overwritten at every start without a sync: it has to
outlive the worker, and after a power cut there is no process left to look for.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import attrs

from flam_worker.identity import born, instant

_SIZE = 128


@attrs.frozen(kw_only=True)
class Step:
    """The first process of an attempt: ``pid``, and when it was ``born``.

    ``seen`` is when it was certainly the process of that pid, on the same clock.
    """

    seq: int
    attempt: int
    pid: int
    born: str
    seen: str


class Footprint:
    """The record of one worker in the folder ``run/`` of its data directory."""

    def __init__(self, folder: Path, worker_id: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(folder / worker_id, flags, 0o600)
        self._process = "0 0 0 -"

    def note(self, seq: int, attempt: int, pid: int) -> None:
        """Record the process. Without a record there are still its other traces."""
        self._process = f"{seq} {attempt} {pid} {born(pid) or '-'}"
        self.see()

    def see(self) -> None:
        """Record that the process noted last is not yet reaped, so that its pid is its own."""
        with suppress(OSError):
            os.pwrite(self._fd, f"{self._process} {instant()}".ljust(_SIZE).encode(), 0)

    def close(self) -> None:
        os.close(self._fd)


def last_step(folder: Path, worker_id: str) -> Step | None:
    """What a worker started last; None when it left nothing that can be read."""
    try:
        seq, attempt, pid, then, seen = (folder / worker_id).read_text("ascii").split()
        return Step(seq=int(seq), attempt=int(attempt), pid=int(pid), born=then, seen=seen)
    except (OSError, ValueError):
        return None


def erase(folder: Path, worker_id: str) -> None:
    with suppress(FileNotFoundError):
        (folder / worker_id).unlink()
