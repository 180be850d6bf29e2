"""One command, from its start to its end; knows nothing of jobs."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import attrs

from flam_worker import tree
from flam_worker.capture import Capture
from flam_worker.end import (
    CalledOff,
    Cancelled,
    End,
    Exited,
    Hindered,
    NotStarted,
    Signalled,
    TimedOut,
)
from flam_worker.identity import send_to
from flam_worker.spawn import Command, DirectoryError, spawn

_SHORTAGES = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS,  # of room
     errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}  # of descriptors, memory, processes
)  # fmt: skip
_QUOTED = " (one word with a space in it: leave out the quotes, or use sh -c)"
_FAR = float("inf")
_KILL_AGAIN_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0


@attrs.frozen(kw_only=True)
class Look:
    """What a look around has shown.

    ``wanted`` is the end that the command should have, if it should not go on; ``again_at``
    says when to look again at the latest, on the monotonic clock.
    """

    wanted: CalledOff | Cancelled | None = None
    again_at: float = _FAR


@attrs.frozen(kw_only=True)
class Attention:
    """What the worker has to attend to while the command runs.

    ``look`` is called whenever one of ``fds`` can be read, and when its time has come.
    ``started`` is told the command's process id as soon as there is one. ``renew`` is called
    every now and then when the command has ended and what it left has not.
    """

    fds: tuple[int, ...]
    look: Callable[[], Look]
    renew: Callable[[], None]
    started: Callable[[int], None]


def run(command: Command, capture: Capture, attention: Attention) -> End:
    """Run the command in a session of its own, output to the capture; return how it ended.

    It is over when the command itself has exited; what it left running is then ended.
    """
    try:
        process = _Process(spawn(command, capture.fd))
    except (OSError, ValueError) as error:
        problem = _problem(command, error)
        return Hindered(problem) if is_shortage(error) else NotStarted(problem)
    attention.started(process.pid)
    imposed = _wait(process, command.timeout, capture, attention)
    _end_the_rest(process.pid, lambda: _meanwhile(capture, attention))
    return imposed or _end_of(process.returncode)


@attrs.define
class _Process:
    """The command's own process. Its number is nobody else's until it ``has_ended``."""

    pid: int
    returncode: int = 0
    """The exit code, or the number of the signal below zero, as soon as it has ended."""

    def has_ended(self) -> bool:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)
        return pid != 0


def is_shortage(error: Exception) -> bool:
    """Whether this worker lacks something now, so that no other command would fare better."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES


def _problem(command: Command, error: Exception) -> str:
    if isinstance(error, DirectoryError):
        return f"the directory {error.filename}: {error.strerror}"
    if isinstance(error, OSError):
        named = f": {error.filename}" if error.filename else ""
        hint = _QUOTED if _is_a_line(command) and isinstance(error, FileNotFoundError) else ""
        return f"{error.strerror or error}{named}{hint}"
    return f"{command.arguments()[0]!r}: {error}"


def _is_a_line(command: Command) -> bool:
    """Whether the program was probably meant as a line for a shell, as other tools take it."""
    words = command.args or ()
    return len(words) == 1 and " " in words[0]


def _wait(
    process: _Process,
    timeout: timedelta | None,
    capture: Capture,
    attention: Attention,
) -> End | None:
    """Wait until the command has exited; the end that was imposed on it, or None."""
    poller = select.poll()
    for fd in attention.fds:
        poller.register(fd, select.POLLIN)
    timeout_at = _FAR if timeout is None else time.monotonic() + timeout.total_seconds()
    imposed: End | None = None
    kill_at = _FAR
    while True:
        look = attention.look()
        if process.has_ended():
            return imposed
        _reap_orphans(process.pid)
        now = time.monotonic()
        if imposed is None and (look.wanted or now >= timeout_at):
            imposed = look.wanted or TimedOut(timeout or timedelta(0))
            timeout_at, kill_at = _FAR, now + tree.TERM_GRACE_SECONDS
            _signal_tree(process, signal.SIGTERM)
        if now >= kill_at:
            kill_at = now + _KILL_AGAIN_SECONDS
            _signal_tree(process, signal.SIGKILL)
        if now >= capture.look_at:
            capture.look()
        due = min(look.again_at, capture.look_at, kill_at, timeout_at)
        poller.poll(max(0.0, due - time.monotonic()) * 1000)


def _signal_tree(process: _Process, number: int) -> None:
    """Signal the command's group, and all that left it.

    The group's number cannot be another's while we have not reaped the command.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
        os.killpg(process.pid, signal.SIGCONT)
    for pid, born in tree.descendants(os.getpid()).items():
        if _group_of(pid) != process.pid:
            send_to(pid, born, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _meanwhile(capture: Capture, attention: Attention) -> None:
    """What goes on while that which outlived the command, and may still write, is ended."""
    _reap_all()
    if time.monotonic() >= capture.look_at:
        capture.look()
    attention.renew()


def _end_the_rest(leader: int, meanwhile: Callable[[], None]) -> None:
    """End what outlived the command.

    Where orphans become this process's children it is known at once when there are none.
    Elsewhere only the command's own session can be found.
    """
    if sys.platform == "linux":
        own, until = os.getpid(), time.monotonic() + _PATIENCE_SECONDS
        while _has_children() and time.monotonic() < until:
            tree.end_all(lambda: tree.descendants(own), tree.TERM_GRACE_SECONDS, meanwhile)
    elif _group_lives(leader):
        tree.end_all(lambda: tree.of_session(leader), tree.TERM_GRACE_SECONDS, meanwhile)


def _group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def _has_children() -> bool:
    if sys.platform == "linux":
        with suppress(ChildProcessError):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            return True
    return False


def _reap_orphans(main: int) -> None:
    """Reap adopted processes that have ended, and leave the command itself.

    Elsewhere nobody is adopted, and macOS has no ``waitid`` before Python 3.13.
    """
    if sys.platform != "linux":
        return
    with suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid == main:
                return
            os.waitpid(found.si_pid, os.WNOHANG)


def _reap_all() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _end_of(returncode: int) -> End:
    if returncode >= 0:
        return Exited(returncode)
    try:
        return Signalled(signal.Signals(-returncode).name)
    except ValueError:
        return Signalled(f"SIG{-returncode}")
