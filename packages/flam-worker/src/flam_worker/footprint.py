"""What a worker leaves for others, should it die: what it started last, and what had ended.

Short records in a file of its own, overwritten again and again without a sync, through a
mapping: a write to the file would wait for the disk whenever the store is being synced. They
have to outlive the worker; after a power cut there is no process left to look for, and nobody
knows which of them reached the disk.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from flam_worker.identity import instant

_SIZE = 128
_PLACES = 64
"""Records of this many bytes, and how many of them a file has room for."""


Fence = tuple[int, int]


@attrs.frozen(kw_only=True)
class Step:
    """The first process of an attempt.

    ``pid`` is 0 as long as it may have been started or not. ``seen`` is when it certainly was
    the process of that pid, on the clock by which births are told: whichever has the pid and
    was born by then is it. (To read its birth while it begins costs a tenth of a short job.)
    """

    seq: int
    attempt: int
    pid: int
    seen: float
    began: float
    """In seconds of the monotonic clock of this boot."""


@attrs.frozen(kw_only=True)
class Success:
    """An attempt that has completed its job, which the store may not know yet.

    ``began`` and ``ended`` are seconds of the monotonic clock of this boot.
    """

    seq: int
    attempt: int
    exit_code: int
    output_bytes: int
    began: float
    ended: float


@attrs.frozen(kw_only=True)
class Trail:
    """All that a worker left: the attempt that it began last, and successes."""

    step: Step | None
    successes: Mapping[Fence, Success]

    def has_begun(self, fence: Fence) -> bool:
        """Whether the worker had begun with this attempt, of those that it still held."""
        began = self.step is not None and (self.step.seq, self.step.attempt) == fence
        return began or fence in self.successes


class Footprint:
    """The record of one worker in the folder ``run/`` of its data directory."""

    def __init__(self, folder: Path, worker_id: str) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(folder / worker_id, flags, 0o600)
        try:
            # Room is made now: writing to a mapping of a file with holes can end the process.
            if os.pwrite(fd, b" " * (_SIZE * _PLACES), 0) < _SIZE * _PLACES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._records = mmap.mmap(fd, _SIZE * _PLACES)
        finally:
            os.close(fd)
        self._process, self._began = "0 0 0", 0.0

    def begin(self, seq: int, attempt: int) -> None:
        """Record which attempt is about to be started."""
        self._began = time.monotonic()
        self._process = f"{seq} {attempt} 0"
        self.see()

    def note(self, seq: int, attempt: int, pid: int) -> None:
        """Record the process. Without a record there are still its other traces."""
        self._process = f"{seq} {attempt} {pid}"
        self.see()

    def see(self) -> None:
        """Record that the process noted last is not yet reaped, so that its pid is its own."""
        self._write(0, f"{self._process} {instant()} {self._began!r}")

    def keep(self, place: int, success: Success) -> None:
        """Record a success in a place from 0 on; what stood there was reported."""
        numbers = f"{success.seq} {success.attempt} {success.exit_code} {success.output_bytes}"
        self._write(place + 1, f"{numbers} {success.began!r} {success.ended!r}")

    def _write(self, place: int, record: str) -> None:
        at = place * _SIZE
        self._records[at : at + _SIZE] = record.ljust(_SIZE).encode()

    def close(self) -> None:
        self._records.close()


def read(folder: Path, worker_id: str) -> Trail | None:
    """What a worker left; None when there is nothing, or nothing that can be read."""
    try:
        data = (folder / worker_id).read_bytes()
        records = [
            data[at : at + _SIZE].decode("ascii").split() for at in range(0, len(data), _SIZE)
        ]
        step = _step(records[0]) if records and records[0] else None
        successes = [_success(record) for record in records[1:] if record]
    except (OSError, ValueError):
        return None
    return Trail(step=step, successes={(each.seq, each.attempt): each for each in successes})


def _step(record: Sequence[str]) -> Step:
    seq, attempt, pid, seen, began = record
    return Step(
        seq=int(seq), attempt=int(attempt), pid=int(pid), seen=float(seen), began=float(began)
    )


def _success(record: Sequence[str]) -> Success:
    seq, attempt, exit_code, output_bytes, began, ended = record
    return Success(
        seq=int(seq),
        attempt=int(attempt),
        exit_code=int(exit_code),
        output_bytes=int(output_bytes),
        began=float(began),
        ended=float(ended),
    )


def erase(folder: Path, worker_id: str) -> None:
    with suppress(FileNotFoundError):
        (folder / worker_id).unlink()
