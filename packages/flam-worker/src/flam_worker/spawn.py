"""Starting one command as a process of its own.

``posix_spawn`` costs half of what ``subprocess`` does. It can set no working directory, and it
closes no files: the first is this process's own for a moment, and of the second none may be
inheritable (``keep_files``).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import BinaryIO

import attrs

_SHELL = "/bin/sh"
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_OPEN_FILES = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_TO_GO_BACK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class DirectoryError(OSError):
    """The directory in which the command was to run cannot be entered."""


@attrs.frozen(kw_only=True)
class Command:
    """What is run. ``shell`` is a text for ``/bin/sh -c``, or else ``args`` are run directly."""

    shell: str | None
    args: Sequence[str] | None
    environment: Mapping[str, str]
    directory: str | None
    stdin: str | None
    timeout: timedelta | None

    def arguments(self) -> list[str]:
        return [_SHELL, "-c", self.shell] if self.shell is not None else list(self.args or ())


def keep_files() -> None:
    """Let no command inherit what this process has open now beyond 0, 1 and 2.

    To be called once before the first ``spawn``. What Python opens later is never inherited;
    0, 1 and 2 are open afterwards, so that nothing else gets their numbers.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)  # noqa: FBT003
    os.close(fd)
    for name in os.listdir(_OPEN_FILES):
        if int(name) > 2:
            with suppress(OSError):  # the one by which they were listed
                os.set_inheritable(int(name), False)  # noqa: FBT003


def spawn(command: Command, output: int) -> int:
    """Start it; return its process id. OSError; ValueError for a null byte in its words.

    It has 0, 1 and 2 open, signals at their defaults, and leads a session without a terminal.
    This process's signals must be at theirs, apart from those that Python ignores.
    """
    arguments = command.arguments()
    if any("\0" in word for word in arguments):
        raise ValueError("embedded null byte")
    with _standard_input(command.stdin) as stdin, _inside(command.directory):
        return _spawn_first(
            _places(arguments[0], command.environment),
            arguments,
            command.environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0),
                          (os.POSIX_SPAWN_DUP2, output, 1),
                          (os.POSIX_SPAWN_DUP2, output, 2)],
        )  # fmt: skip


def _spawn_first(
    places: Sequence[str],
    arguments: list[str],
    environment: Mapping[str, str],
    *,
    file_actions: Sequence[tuple[int, ...]],
) -> int:
    """Start the first program that is there; what is said of one that may not be run stays."""
    problem: OSError | None = None
    for place in places:
        try:
            return os.posix_spawn(
                place,
                arguments,
                environment,
                file_actions=file_actions,
                setsid=True,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            is_missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
            problem = problem if problem and is_missing else error
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                break
    missing = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    raise OSError(*(problem or missing).args[:2], arguments[0])


def _places(program: str, environment: Mapping[str, str]) -> Sequence[str]:
    """Where the program lies: along the search path of its own environment.

    To look costs nothing beside trying to start what is not there.
    """
    if "/" in program:
        return (program,)
    places = (os.path.join(folder, program) for folder in os.get_exec_path(environment))
    return [place for place in places if os.path.lexists(place)]


@contextmanager
def _inside(directory: str | None) -> Iterator[None]:
    """Work in the directory for a moment."""
    if directory is None:
        yield
        return
    back = os.open(".", _TO_GO_BACK)
    try:
        try:
            os.chdir(directory)
        except OSError as error:
            raise DirectoryError(error.errno, error.strerror, directory) from None
        try:
            yield
        finally:
            _go_back(back)
    finally:
        os.close(back)


def _go_back(directory: int) -> None:
    try:
        os.fchdir(directory)
    except OSError as error:
        # No command may run in the directory of another: this process cannot go on.
        raise RuntimeError(f"the worker cannot return to its directory: {error}") from error


@contextmanager
def _standard_input(text: str | None) -> Iterator[int]:
    """A file at its beginning: a pipe could not be filled before somebody reads it."""
    if text is None:
        yield _nothing()
        return
    with _file() as file:
        file.write(text.encode())
        file.seek(0)
        yield file.fileno()


@cache
def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _file() -> BinaryIO:
    """One without a name."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("flam-stdin"), "w+b")
    return tempfile.TemporaryFile()
