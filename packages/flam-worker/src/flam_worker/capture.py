"""The output of one attempt while it is written, kept below its cap."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flam_store.output import Logs, cut_mark
from flam_worker.kernel import punch_hole

log = logging.getLogger(__name__)

_BLOCK = 4096
_PIECE = 1 << 20
_LOOK_LEAST_SECONDS, _LOOK_MOST_SECONDS = 0.01, 0.25

_IN_THE_WAY = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP})


def _nothing() -> None:
    """Nothing has to be attended to."""


class Capture:
    """A file that the command appends to. Its head and its tail are kept, half the cap each.

    While the command writes, what lies between them becomes a hole in the file, so that the
    disk is not used and offsets stay true. What is written between two looks, a quarter of
    a second at most, comes on top of the cap; so does, for a moment at the end, the copy of
    what is kept.

    With a ``worker`` it is that worker's nameless file at first, which becomes the attempt's
    output at the first look, or at the end if anything was written. A short and silent job
    leaves it for the next one: to make a file can cost more than to start a process.
    """

    def __init__(
        self, logs: Logs, seq: int, attempt: int, max_bytes: int, *, worker: str | None = None
    ) -> None:
        self._logs, self._fence = logs, (seq, attempt)
        self._head = max_bytes // 2
        self._tail = max_bytes - self._head
        self._nameless = worker
        self._is_told = False
        self.fd = self._created() if worker is None else self._opened(worker)
        self._hole_end = _up(self._head)
        self._pause = _LOOK_LEAST_SECONDS
        self._size = 0
        self.look_at = time.monotonic() + self._pause
        """When to call ``look`` next, on the monotonic clock."""

    @property
    def _path(self) -> Path:
        return self._logs.path_of(*self._fence)

    def _created(self) -> int:
        try:
            return self._logs.create(*self._fence)
        except FileExistsError:
            self._path.unlink()  # left by a database that is no more
            return self._logs.create(*self._fence)

    def _opened(self, worker: str) -> int:
        """Opened anew each time, so that no job finds the flags that another has set."""
        seq, _ = self._fence
        try:
            fd = self._logs.create_nameless(worker, seq)
            if _is_as_made(fd):
                return fd
            os.close(fd)
            self._logs.nameless(worker).unlink()
            return self._logs.create_nameless(worker, seq)
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            self._nameless = None  # what a job did to it is no other's failure
            return self._created()

    def _name(self) -> None:
        """Put the file where readers look for it; if that fails, it is tried at the next look."""
        if self._nameless is None:
            return
        try:
            self._logs.name(self._nameless, *self._fence)
        except OSError as error:
            if not self._is_told:
                log.warning("%s cannot be made: %s", self._path, error)
            self._is_told = True
        else:
            self._nameless = None

    def look(self) -> None:
        """Cut the middle out when the output has outgrown its cap."""
        self._name()
        size = os.fstat(self.fd).st_size
        grew, self._size = size > self._size, size
        pause = _LOOK_LEAST_SECONDS if grew else self._pause * 2
        self._pause = min(pause, _LOOK_MOST_SECONDS)
        start, end = self._hole_end, (size - self._tail) // _BLOCK * _BLOCK
        if size > self._head + self._tail and end > start:
            with suppress(OSError):  # what cannot be cut out now is cut at the end
                if punch_hole(self.fd, start, end - start):
                    self._hole_end = end
        self.look_at = time.monotonic() + self._pause

    def finish(self, meanwhile: Callable[[], None] = _nothing) -> int:
        """Close the file, with one line in place of what was cut; return how much was written.

        A large output takes a while to copy: ``meanwhile`` is called after each piece.
        Where there is no room for that the file stays as it is: its job has ended all the same.
        """
        size = os.fstat(self.fd).st_size
        os.close(self.fd)
        if size:
            self._name()
        if size > self._head + self._tail:
            try:
                compact(str(self._path), size, self._head, self._tail, meanwhile)
            except OSError as error:
                log.warning("%s cannot be shortened: %s", self._path, error)
        return size


def _is_as_made(fd: int) -> bool:
    """Whether no job has written to the file, given rights to it, or linked it elsewhere."""
    found = os.fstat(fd)
    return (found.st_size, found.st_mode, found.st_nlink) == (0, stat.S_IFREG | 0o600, 1)


def compact(
    path: str, size: int, head: int, tail: int, meanwhile: Callable[[], None] = _nothing
) -> None:
    """Put a file of head, mark and tail in the place of one with a hole, at once."""
    shorter = f"{path}.short"
    try:
        _write_short(path, shorter, size, head, tail, meanwhile=meanwhile)
        os.rename(shorter, path)
    finally:
        with suppress(OSError):
            os.unlink(shorter)


def _write_short(
    path: str, shorter: str, size: int, head: int, tail: int, *, meanwhile: Callable[[], None]
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as whole,
        open(os.open(shorter, flags, 0o600), "wb") as short,
    ):
        _copy(whole.fileno(), short.fileno(), 0, head, meanwhile)
        short.write(cut_mark(size - head - tail))
        short.flush()
        _copy(whole.fileno(), short.fileno(), size - tail, tail, meanwhile)


def _copy(
    source: int, target: int, offset: int, length: int, meanwhile: Callable[[], None]
) -> None:
    end = offset + length
    while offset < end:
        piece = os.pread(source, min(end - offset, _PIECE), offset)
        if not piece:
            return
        offset += os.write(target, piece)
        meanwhile()


def _up(offset: int) -> int:
    return -(-offset // _BLOCK) * _BLOCK
