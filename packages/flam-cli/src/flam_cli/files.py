"""Files that a command makes for a person: private, and complete or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from flam_store.errors import FileTaken, StoreError, StoreFull


@contextmanager
def new_private_file(name: str, *, replace: bool) -> Iterator[BinaryIO]:
    """A file of mode 0600, which has its name when the block has ended well, and is synced.

    FileTaken when there is one already, unless ``replace``; StoreError for other troubles.
    """
    with _translated(name):
        if os.path.lexists(name) and not replace:
            raise _taken(name)
        folder, _, last = os.path.abspath(name).rpartition("/")
        # The module makes it with 0600, which a umask can only lessen.
        with NamedTemporaryFile(dir=folder or "/", prefix=f".{last[:100]}.", delete=False) as part:
            try:
                os.fchmod(part.fileno(), 0o600)
                yield part  # type: ignore[misc]
                part.flush()
                os.fsync(part.fileno())
                _give_name(part.name, name, replace=replace)
            finally:
                with suppress(OSError):
                    os.unlink(part.name)


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
