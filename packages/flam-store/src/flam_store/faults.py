"""Named points at which a test may make this process fail. Without ``FLAM_FAULTS``, nothing.

``FLAM_FAULTS`` is a list such as ``claimed=kill:0.1,committing=delay:1:0.5``: at the point
``claimed`` SIGKILL in one of ten cases, at ``committing`` half a second's pause each time. The
actions are ``kill``, ``stop`` (SIGSTOP), ``raise`` (an OSError) and ``delay``. Each fault that
is about to happen is a line in the file that ``FLAM_FAULTS_TOLD`` names.
"""

from __future__ import annotations

import os

POINTS = ("committing", "committed", "claimed", "spawned", "exited", "kept")
"""Before a commit; between commit and reply; between claim and spawn; between spawn and its
record; between a command's exit and its record; between that and the report of it."""

_asked = os.environ.get("FLAM_FAULTS", "")


def reach(point: str) -> None:
    """Fail here if the environment asks for it."""
    if _asked:
        for fault in _asked.split(","):
            name, _, action = fault.partition("=")
            if name == point:
                _fail(point, *action.split(":"))


def _fail(point: str, action: str, share: str = "1", seconds: str = "1") -> None:
    import random
    import signal
    import time

    if random.random() >= float(share):
        return
    _tell(f"{point} {action} {os.getpid()}\n")
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "delay":
            time.sleep(float(seconds))
        case "raise":
            raise OSError(f"a fault that FLAM_FAULTS asked for at {point!r}")
        case _:
            raise ValueError(f"FLAM_FAULTS knows no action {action!r}")


def _tell(line: str) -> None:
    path = os.environ.get("FLAM_FAULTS_TOLD")
    if path:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(fd, line.encode())
        os.close(fd)
