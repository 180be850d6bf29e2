"""What has been read and checked and is not stored yet: in a file without a name.

It lies beside the queue and not where the system keeps temporary files: values of ``env`` and
``stdin`` are in it in plain, and there has to be room for the same in the queue.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Generic, TypeVar

import attrs

from flam_store.errors import StoreError, StoreFull

T = TypeVar("T")

BATCH = 500
_MOST_BYTES = 4 << 20
"""A batch ends where its lines are longer together."""


@attrs.define
class Lines:
    """The lines of a file and their numbers, from 1; none is read that is longer than allowed.

    ``bytes_read`` is how far it has been read.
    """

    _source: IO[bytes]
    _longest: int
    bytes_read: int = attrs.field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        while line := self._source.readline(self._longest):
            number += 1
            self.bytes_read += len(line)
            yield number, line

    def batches(self, made_of_them: Iterable[T]) -> Iterator[list[T]]:
        """What is made of the lines, so many at a time that it is little in memory."""
        batch: list[T] = []
        end = self.bytes_read + _MOST_BYTES
        for each in made_of_them:
            batch.append(each)
            if len(batch) == BATCH or self.bytes_read >= end:
                yield batch
                batch = []
                end = self.bytes_read + _MOST_BYTES
        if batch:
            yield batch


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
        for batch in self:
            yield from batch

    def __iter__(self) -> Iterator[list[T]]:
        end = self.file.tell()
        self.file.seek(0)
        while self.file.tell() < end:
            # Nobody else can reach the file: it has mode 0600 and no name.
            yield pickle.load(self.file)  # noqa: S301


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
