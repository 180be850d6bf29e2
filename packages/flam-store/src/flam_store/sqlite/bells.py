"""The doorbell: wakes waiting handles within a millisecond or two of a commit.

Each waiting handle has a FIFO in a folder beside the database; whoever commits work writes
a byte to each. A bell whose owner died has no reader, and is taken away by the first who
finds it so. Who rings no bell is noticed by the slow look at ``data_version``.
"""

from __future__ import annotations

import contextlib
import errno
import os


def ring(folder: str) -> None:
    """Ring every bell in the folder. A bell that is full has been rung already."""
    try:
        names = os.listdir(folder)
    except OSError:
        return  # nobody waits, or nobody can be told; what was committed stands
    for name in names:
        if not name.startswith("."):
            _ring_one(f"{folder}/{name}")


def _ring_one(path: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENXIO:
            with contextlib.suppress(OSError):
                os.unlink(path)
        return
    try:
        os.write(fd, b"!")
    except (BlockingIOError, BrokenPipeError):
        pass
    finally:
        os.close(fd)


def silent(folder: str) -> tuple[str, ...]:
    """The bells whose owner died, which the next ring takes away. None of them is rung."""
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return ()
    return tuple(path for name in names if _is_silent(path := f"{folder}/{name}"))


def _is_silent(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


class Bell:
    """One handle's bell. ``fileno`` can be read after a ring; ``quiet`` makes it silent again."""

    def __init__(self, folder: str, name: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._path = f"{folder}/{name}"
        hidden = f"{folder}/.{name}"
        os.mkfifo(hidden, 0o600)
        # Open for both: as its own writer a FIFO never reports that the last one has left.
        self._fd = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.rename(hidden, self._path)
        self._pid = os.getpid()

    def fileno(self) -> int:
        return self._fd

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 4096)

    def close(self) -> None:
        """Take the bell away; a forked child only lets go of it."""
        if self._pid == os.getpid():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        os.close(self._fd)
