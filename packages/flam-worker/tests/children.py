"""Processes for tests: forked functions that answer, programs, and what is left of them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

DEADLINE_SECONDS = 60.0


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def lives(pid: int) -> bool:
    """Whether there is a process of that number that has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def living_descendants() -> list[str]:
    """The processes below this one that have not ended, in words."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {process.status()} {process.cmdline()}")
    return found


def end_descendants() -> None:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()

    def none_left() -> bool:
        reap()
        return not living_descendants()

    until(none_left, "the end of what a test left")
    reap()


def reap() -> None:
    """Take away orphans that have ended. Only when no child of a test is still to be waited for."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def number_in(path: Path) -> int:
    """A number that a command writes into a file, once it is there."""

    def whole() -> bool:
        return path.exists() and path.read_text().endswith("\n")

    until(whole, f"a number in {path.name}")
    return int(path.read_text())


class Child:
    """A forked process. It has said its answer when ``answer`` returns."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        self._status: int | None = None
        with warnings.catch_warnings():
            # Threads that wait for a gate do not matter: the child takes no lock of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            _answer(run, writer)
        os.close(writer)

    def answer(self) -> Any:
        """What the function returned; its error is raised here."""
        told = bytearray()
        while piece := os.read(self._reader, 65536):
            told += piece
        self.wait()
        assert told, f"the child died of {self._status}"
        good, value = pickle.loads(told)
        if not good:
            raise value
        return value

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that it died of."""
        until(self.is_gone, "a child")
        assert self._status is not None
        return self._status

    def is_gone(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def kill(self) -> None:
        if not self.is_gone():
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def close(self) -> None:
        self.kill()
        os.close(self._reader)


class Children:
    """Starts processes, and ends them when it is left."""

    def __init__(self) -> None:
        self._forked: list[Child] = []
        self._programs: list[subprocess.Popen[bytes]] = []

    def fork(self, run: Callable[[], Any]) -> Child:
        child = Child(run)
        self._forked.append(child)
        return child

    def program(
        self, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(arguments, env=environment, **more)
        self._programs.append(process)
        return process

    def sleeping(self, **more: Any) -> subprocess.Popen[bytes]:
        """A program that lives until it is ended."""
        return self.program(["sleep", "1000"], **more)

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        """How a program ended that was ended by somebody else."""
        return process.wait(DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._forked:
            child.close()
        for process in self._programs:
            with process:
                process.kill()
        if self._programs:
            end_descendants()  # what those have started


def _answer(run: Callable[[], Any], writer: int) -> None:
    code = 1
    try:
        try:
            told = pickle.dumps((True, run()))
        except Exception as error:  # noqa: BLE001 - told to the parent
            traceback.print_exc()
            told = pickle.dumps((False, _portable(error)))
        with open(writer, "wb") as pipe:
            pipe.write(told)
        code = 0
    finally:
        os._exit(code)


def _portable(error: Exception) -> Exception:
    """The error, or where it does not survive pickling, an AssertionError with its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors with keyword arguments are many
        return AssertionError(f"{type(error).__name__}: {error}")
    return error
