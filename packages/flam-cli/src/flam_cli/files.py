"""Files that a command makes for a person: private, and complete or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from flam_store.errors import FileTaken, StoreError, StoreFull
from flam_store.names import new_id


@contextmanager
def new_private_file(name: str, *, replace: bool) -> Iterator[BinaryIO]:
    """A file of mode 0600, which has its name when the block has ended well, and is synced.

    FileTaken when there is one already, unless ``replace``; StoreError for other troubles.
    """
    with _translated(name):
        if os.path.lexists(name) and not replace:
            raise _taken(name)
        folder, _, last = os.path.abspath(name).rpartition("/")
        part = _nameless(folder or "/")
        # The module makes it with 0600, which a umask can only lessen.
        with part or NamedTemporaryFile(
            dir=folder or "/", prefix=f".{last[:100]}.", delete=False
        ) as file:
            try:
                os.fchmod(file.fileno(), 0o600)
                yield file  # type: ignore[misc]
                file.flush()
                os.fsync(file.fileno())
                if part:
                    _give_first_name(part, folder or "/", name, replace=replace)
                else:
                    _give_name(file.name, name, replace=replace)
            finally:
                if not part:
                    with suppress(OSError):
                        os.unlink(file.name)


def _nameless(folder: str) -> BinaryIO | None:
    """A file that is gone with this process, whatever ends it; None where there is no such thing.

    Not every file system has them, and its name is given by way of ``/proc``.
    """
    if not hasattr(os, "O_TMPFILE") or not os.path.exists("/proc/self/fd"):
        return None
    try:
        return open(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")
    except OSError:
        return None


def _give_first_name(part: BinaryIO, folder: str, name: str, *, replace: bool) -> None:
    """A file cannot be linked over another: to replace one it has another name for a moment."""
    last = os.path.basename(os.path.abspath(name))
    first = f".{last[:100]}.{new_id()}" if replace else last
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(f"/proc/self/fd/{part.fileno()}", first, dst_dir_fd=fd, follow_symlinks=True)
        if replace:
            os.replace(first, last, src_dir_fd=fd, dst_dir_fd=fd)
    except FileExistsError:
        raise _taken(name) from None
    except OSError:
        if replace:
            with suppress(OSError):
                os.unlink(first, dir_fd=fd)
        raise
    finally:
        os.close(fd)


def _give_name(part: str, name: str, *, replace: bool) -> None:
    if replace:
        os.replace(part, name)
        return
    try:
        os.link(part, name)
    except FileExistsError:
        raise _taken(name) from None


def _taken(name: str) -> FileTaken:
    return FileTaken(name, "is there already", "Name another file, or overwrite it: --force.")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise StoreFull(name) from error
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(name, f"cannot be written: {reason}.") from error
