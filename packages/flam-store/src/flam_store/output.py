"""The output of attempts: where each lies, and how it is read while it grows and after.

An attempt's output is one file. Where it outgrew its cap, the head and the tail are kept:
while it is being written the middle is a hole in the file, so that offsets stay true;
afterwards a line says how much was left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs

_FOLDER_SIZE = 1_000
_CHUNK = 1 << 16
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_OUTPUT_NAME = re.compile(r"(\d{1,18})-(\d{1,18})\.log", re.ASCII)


def cut_mark(left_out: int) -> bytes:
    """The line that stands for the bytes that the cap left out."""
    return f"\n[flam: {left_out:,} bytes left out here, beyond log_max_bytes]\n".encode()


@attrs.frozen
class Logs:
    """The outputs below one folder. Files are named by numbers only, never by a job's id."""

    folder: Path

    def path_of(self, seq: int, attempt: int) -> Path:
        """Where the output of an attempt lies, if it has any."""
        return self.folder / _folder_name(seq) / f"{seq}-{attempt}.log"

    def folders(self) -> list[int]:
        """The numbers of the folders that are there; each is for a thousand ``seq``."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(int(name) for name in os.listdir(self.folder) if name.isdecimal())
        return []

    def folder_of(self, seq: int) -> int:
        return seq // _FOLDER_SIZE

    def range_of(self, folder: int) -> tuple[int, int]:
        """The first and the last ``seq`` whose output lies in the folder of that number."""
        return folder * _FOLDER_SIZE, (folder + 1) * _FOLDER_SIZE - 1

    def files(self, folder: int) -> dict[tuple[int, int], Path]:
        """The outputs in the folder of that number, by ``seq`` and attempt."""
        path = self.path_of(folder * _FOLDER_SIZE, 0).parent
        with suppress(FileNotFoundError, NotADirectoryError):
            named = ((_OUTPUT_NAME.fullmatch(name), name) for name in os.listdir(path))
            return {(int(it[1]), int(it[2])): path / name for it, name in named if it}
        return {}

    def create(self, seq: int, attempt: int) -> int:
        """A descriptor that appends to a new file of mode 0600. FileExistsError."""
        path = self.path_of(seq, attempt)
        flags = _APPENDING | os.O_CREAT | os.O_EXCL
        try:
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            _make_folder(path.parent)
            fd = os.open(path, flags, 0o600)
        os.fchmod(fd, 0o600)  # a umask may have taken rights from us too
        return fd

    def nameless(self, worker: str) -> Path:
        """Where a worker keeps the output of a job until it is known whether there is any."""
        return self.folder / _nameless(worker)

    def create_nameless(self, worker: str, seq: int) -> int:
        """A descriptor that appends to the worker's file, which is made if it is missing.

        The folder for the output of the job with this ``seq`` is there then, too.
        """
        if not os.path.isdir(f"{self.folder}/{_folder_name(seq)}"):
            _make_folder(self.path_of(seq, 0).parent)
        path = f"{self.folder}/{_nameless(worker)}"
        with suppress(FileNotFoundError):
            return os.open(path, _APPENDING)
        fd = os.open(path, _APPENDING | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(fd, 0o600)
        return fd

    def name(self, worker: str, seq: int, attempt: int) -> None:
        """Make the worker's file the output of an attempt, in the place of any other."""
        path = self.path_of(seq, attempt)
        try:
            os.rename(self.nameless(worker), path)
        except FileNotFoundError:
            _make_folder(path.parent)
            os.rename(self.nameless(worker), path)

    def open(self, seq: int, attempt: int) -> int:
        """A descriptor to read from. FileNotFoundError when nothing was ever written there."""
        return os.open(self.path_of(seq, attempt), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def remove(self, seqs: tuple[int, ...]) -> None:
        """Delete all output of these jobs."""
        gone = frozenset(seqs)
        for folder in {self.path_of(seq, 1).parent for seq in seqs}:
            with suppress(FileNotFoundError):
                for name in os.listdir(folder):
                    seq = name.partition("-")[0]
                    if seq.isdecimal() and int(seq) in gone:
                        (folder / name).unlink(missing_ok=True)


def _folder_name(seq: int) -> str:
    return f"{seq // _FOLDER_SIZE:03}"


def _nameless(worker: str) -> str:
    return f"{worker}.new"


def _make_folder(path: Path) -> None:
    """One that only we can enter, and those above that are missing, whatever the umask."""
    if not path.parent.is_dir():
        _make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(0o700)


def read_from(fd: int, offset: int, limit: int = _CHUNK) -> tuple[bytes, int]:
    """Bytes at ``offset``, at most ``limit``, and the offset to go on from.

    No bytes: the end, as far as it is written. A hole gives the line that stands for it.
    """
    with suppress(OSError):
        data = os.lseek(fd, offset, os.SEEK_DATA)
        if data > offset:
            return cut_mark(data - offset), data
        limit = min(limit, os.lseek(fd, offset, os.SEEK_HOLE) - offset)
    piece = os.pread(fd, limit, offset)
    return piece, offset + len(piece)


def pieces(fd: int, offset: int = 0) -> Iterator[bytes]:
    """Everything from ``offset`` to the end as it is written now."""
    while True:
        piece, offset = read_from(fd, offset)
        if not piece:
            return
        yield piece


def last_lines(fd: int, lines: int) -> int:
    """The offset at which the last ``lines`` lines begin. A last line may lack its newline."""
    size = os.fstat(fd).st_size
    if lines < 1:
        return size
    end = size - 1  # a newline as the last byte begins no line
    while end > 0:
        start = max(0, end - _CHUNK)
        piece = os.pread(fd, end - start, start)
        found = len(piece)
        while (found := piece.rfind(b"\n", 0, found)) >= 0:
            lines -= 1
            if lines == 0:
                return start + found + 1
        end = start
    return 0
