"""The doorbell: wakes waiting handles within a millisecond or two of a commit.

Each waiting handle has a FIFO in a folder beside the database; whoever commits work writes
a byte to each. A bell whose owner died has no reader, and is taken away by the first who
finds it so. Who rings no bell is noticed by the slow look at ``data_version``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

_TO_RING = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


def ring(folder: str) -> None:
    """Ring every bell in the folder. A bell that is full has been rung already."""
    # Nobody waits, or nobody can be told; what was committed stands.
    with contextlib.suppress(OSError), _opened(folder) as fd:
        for name in _names(fd):
            _ring_one(name, fd)


def _ring_one(name: str, folder_fd: int) -> None:
    try:
        fd = os.open(name, _TO_RING, dir_fd=folder_fd)
    except OSError as error:
        if error.errno == errno.ENXIO:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder_fd)
        return
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, b"!")
    except (BlockingIOError, BrokenPipeError):
        pass
    finally:
        os.close(fd)


def silent(folder: str) -> tuple[str, ...]:
    """The bells whose owner died, which the next ring takes away. None of them is rung."""
    try:
        with _opened(folder) as fd:
            return tuple(f"{folder}/{name}" for name in _names(fd) if _is_silent(name, fd))
    except OSError:
        return ()


def _is_silent(name: str, folder_fd: int) -> bool:
    try:
        os.close(os.open(name, _TO_RING, dir_fd=folder_fd))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    """The folder itself, whatever is at its path meanwhile. OSError if others could fill it.

    What is rung is written to, so that a link, or somebody else's folder, would choose the file.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "can be written by others", folder)
        yield fd
    finally:
        os.close(fd)


def _names(folder_fd: int) -> list[str]:
    """The bells by name; one that is being made has a dot before it."""
    return [name for name in os.listdir(folder_fd) if not name.startswith(".")]


class Bell:
    """One handle's bell. ``fileno`` can be read after a ring; ``quiet`` makes it silent again.

    OSError where none can be made, or somebody else could have a part in it.
    """

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._name = name
        _make_folder(folder)
        with _opened(folder) as fd:
            self._fd = _hang_up(name, fd)
        self._pid = os.getpid()

    def fileno(self) -> int:
        return self._fd

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 4096)

    def close(self) -> None:
        """Take the bell away; a forked child only lets go of it."""
        if self._pid == os.getpid():
            with contextlib.suppress(OSError), _opened(self._folder) as fd:
                os.unlink(self._name, dir_fd=fd)
        os.close(self._fd)


def _make_folder(folder: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)  # a umask may have taken rights from us too


def _hang_up(name: str, folder_fd: int) -> int:
    """Make a bell, under its name only when it can be rung; a descriptor of it."""
    hidden = f".{name}"
    os.mkfifo(hidden, 0o600, dir_fd=folder_fd)
    try:
        os.chmod(hidden, 0o600, dir_fd=folder_fd)
        # Open for both: as its own writer a FIFO never reports that the last one has left.
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(hidden, flags, dir_fd=folder_fd)
    except OSError:
        os.unlink(hidden, dir_fd=folder_fd)
        raise
    os.rename(hidden, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    return fd
