"""One command, run by the executor in a process of its own, as a worker has one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
from children import Child, living_descendants

from flam_store.output import Logs
from flam_worker import executor, kernel
from flam_worker.capture import Capture
from flam_worker.end import CalledOff, Cancelled, End
from flam_worker.executor import Attention, Look
from flam_worker.signals import Signals
from flam_worker.spawn import Command, keep_files

ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C"}


def signals_in(mask: str) -> list[int]:
    """The signals of a mask in ``/proc/PID/status``, without the C library's own two.

    No program can block or unblock those through it; a test may have been started with one
    of them blocked.
    """
    bits = int(mask, 16)
    return [number for number in range(1, 65) if bits >> number - 1 & 1 and number not in (32, 33)]


@attrs.frozen(kw_only=True)
class Ran:
    """How a command ended, what it wrote, and which processes it left."""

    end: End
    output: str
    left: Sequence[str]
    looks: int
    renewals: int


def command(shell: str | None = None, *args: str, **fields: Any) -> Command:
    """A command of the shell, or with ``shell`` None a program and its arguments."""
    given: dict[str, Any] = {
        "shell": shell, "args": args or None, "environment": ENVIRONMENT,
        "directory": None, "stdin": None, "timeout": None,
    }  # fmt: skip
    return Command(**given | fields)


def shell(text: str, **fields: Any) -> Command:
    return command(text, **fields)


def program(*args: str, **fields: Any) -> Command:
    return command(None, *args, **fields)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def wanted_once(path: Path, end: CalledOff | Cancelled) -> Callable[[], Look]:
    """Wants that end as soon as there is such a file."""

    def look() -> Look:
        return Look(wanted=end if path.exists() else None, again_at=time.monotonic() + 0.01)

    return look


@attrs.frozen(kw_only=True)
class Setting:
    """What is around a command: ``prepare`` and ``fds`` are called in its worker's process."""

    look: Callable[[], Look] = Look
    prepare: Callable[[], object] = lambda: None
    fds: Callable[[], tuple[int, ...]] = tuple
    max_bytes: int = 1 << 20


def ran(folder: Path, given: Command, **setting: Any) -> Ran:
    """Run a command in a forked worker and return what came of it."""
    child = start(folder, given, **setting)
    try:
        answer: Mapping[str, Any] = child.answer()
    finally:
        child.close()
    log = Logs(folder / "logs").path_of(1, 1)
    return Ran(output=log.read_text(errors="surrogateescape"), **answer)


def start(folder: Path, given: Command, **setting: Any) -> Child:
    around = Setting(**setting)
    return Child(lambda: _run(folder, given, around))


def _run(folder: Path, given: Command, setting: Setting) -> Mapping[str, Any]:
    setting.prepare()
    kernel.adopt_orphans()
    keep_files()
    signals, looks, renewals = Signals(), 0, 0

    def looking() -> Look:
        nonlocal looks
        looks += 1
        signals.drain()
        return setting.look()

    def renewing() -> None:
        nonlocal renewals
        renewals += 1

    capture = Capture(Logs(folder / "logs"), 1, 1, setting.max_bytes)
    fds = (signals.fd, *setting.fds())
    attention = Attention(fds=fds, look=looking, renew=renewing, started=lambda pid: None)
    end = executor.run(given, capture, attention)
    left = living_descendants()
    capture.finish()
    return {"end": end, "left": left, "looks": looks, "renewals": renewals}
