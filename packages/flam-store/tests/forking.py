"""Processes for tests: forked children that run a function and answer, and are reaped."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Self

DEADLINE_SECONDS = 60.0


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.002)


class Child:
    """A forked process. It has said its answer when ``answer`` returns."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        self._status: int | None = None
        with warnings.catch_warnings():
            # The waiting threads of a gate do not matter: the child takes no lock of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
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
    """Starts children, and ends them when it is left."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def start(self, run: Callable[[], Any]) -> Child:
        child = Child(run)
        self._all.append(child)
        return child

    def answers(self, *runs: Callable[[], Any]) -> list[Any]:
        """What each of the functions returns, run at the same time."""
        started = [self.start(run) for run in runs]
        return [child.answer() for child in started]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._all:
            child.close()


class Signpost:
    """A place at which processes wait for each other: ``reach`` it, or wait ``until_reached``."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def reach(self) -> None:
        os.write(self._writer, b"!")

    def until_reached(self, times: int = 1) -> None:
        for _ in range(times):
            os.read(self._reader, 1)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


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
