"""What has been read and checked and is not stored yet: in a file without a name.

It lies beside the queue and not where the system keeps temporary files: values of ``env`` and
``stdin`` are in it in plain, and there has to be room for the same in the queue.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Generic, TypeVar

import attrs

from flam_store.errors import StoreError, StoreFull

T = TypeVar("T")

BATCH = 500


@attrs.frozen
class Batches(Generic[T]):
    """Values put into a file a batch at a time, and taken out again in their order."""

    folder: Path
    file: IO[bytes]

    def add(self, batch: list[T]) -> None:
        with translated(self.folder):
            pickle.dump(batch, self.file, protocol=5)
            self.file.flush()

    def all(self) -> Iterator[T]:
        end = self.file.tell()
        self.file.seek(0)
        while self.file.tell() < end:
            # Nobody else can reach the file: it has mode 0600 and no name.
            yield from pickle.load(self.file)  # noqa: S301


@contextmanager
def nameless(folder: Path) -> Iterator[IO[bytes]]:
    """A file in the folder that ends with this process."""
    with translated(folder):
        file = TemporaryFile(dir=folder)  # noqa: SIM115 - its own trouble alone is told of it
    try:
        yield file
    finally:
        with suppress(OSError):  # what could not be written then has been told
            file.close()


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """What goes wrong with a file in the folder, as a StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFull(str(folder)) from error
        raise StoreError(str(folder), f"cannot be written: {error.strerror}.") from error
