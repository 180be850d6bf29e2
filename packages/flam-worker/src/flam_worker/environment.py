"""What a job's environment is made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from flam_store import Claim

COOKIE = "FLAM_COOKIE"
"""The variable by which the processes of one attempt are found again after a crash."""

_KEPT_OF_FLAM = frozenset({"FLAM_HOME"})  # so that a job can enqueue to its own queue
_SECRETS = frozenset({"PGPASSWORD", "PGPASSFILE", "PGSSLPASSWORD", "PGSERVICEFILE"})
_SERVICE_MANAGER = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
     "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "SYSTEMD_EXEC_PID"}
)  # fmt: skip
_BUNDLE = frozenset({"PEX"})
_BUNDLE_PREFIXES = ("_PYI_", "_MEIPASS", "PYINSTALLER_", "PEX_", "__PEX", "SHIV_")
_SEARCH_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")


def cookie(claim: Claim) -> str:
    """The mark of one attempt: no other attempt of any worker has it."""
    return f"{claim.worker}:{claim.job.seq}:{claim.attempt}"


def inherited(worker: Mapping[str, str]) -> dict[str, str]:
    """What jobs have of their worker's environment.

    Not Flam's own settings and secrets, and nothing that a service manager or a bundled
    interpreter added.
    """
    own = _unbundled(worker) if getattr(sys, "frozen", False) else worker
    return {name: value for name, value in own.items() if _passes(name)}


def job_environment(claim: Claim, kept: Mapping[str, str]) -> dict[str, str]:
    """The environment of a claimed job, from what is ``inherited``.

    With the spec's ``env``, and with what tells the job which one it is.
    """
    return {
        **kept,
        **claim.job.env,
        "FLAM_JOB_ID": claim.job.id,
        "FLAM_ATTEMPT": str(claim.attempt),
        "FLAM_QUEUE": claim.job.queue,
        COOKIE: cookie(claim),
    }


def _passes(name: str) -> bool:
    if name.startswith("FLAM_"):
        return name in _KEPT_OF_FLAM
    dropped = _SECRETS | _SERVICE_MANAGER | _BUNDLE
    return name not in dropped and not name.startswith(_BUNDLE_PREFIXES)


def _unbundled(worker: Mapping[str, str]) -> dict[str, str]:
    """A bundle keeps the search path that it replaced in a variable ending in _ORIG."""
    restored = dict(worker)
    for name in _SEARCH_PATHS:
        restored.pop(name, None)
        original = restored.pop(f"{name}_ORIG", None)
        if original:
            restored[name] = original
    return restored
