"""System calls of Flam's programs: watched, failed or delayed by strace."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

SYNCS = "fdatasync,fsync"


def failing_syncs(when: str) -> list[str]:
    """Run what follows so that these of each process's syncs fail (strace's ``when=``)."""
    return _with_strace("-e", f"inject={SYNCS}:error=EIO:when={when}")


def slow_syncs(seconds: float) -> list[str]:
    """Run what follows on a disk that takes its time."""
    return _with_strace("-e", f"inject=fdatasync:delay_enter={int(seconds * 1e6)}")


def syncs_told(path: Path) -> list[str]:
    """Run what follows, with a line in the file for each sync and the file that it is of."""
    return ["strace", "-f", "-qq", "-y", "-o", str(path), "-e", f"trace={SYNCS}"]


def need_strace() -> None:
    if problem := _problem():
        pytest.skip(f"strace cannot be used here: {problem}")


@cache
def _problem() -> str | None:
    if not shutil.which("strace"):
        return "it is not installed"
    done = subprocess.run(
        [*failing_syncs("1"), "true"], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode else None


def _with_strace(*words: str) -> list[str]:
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={SYNCS}", *words]


def stopped_at(path: Path, call: str, told: Path) -> list[str]:
    """Run what follows until it first does this to the file; there SIGSTOP meets it."""
    inject = f"inject={call}:signal=SIGSTOP:when=1"
    return ["strace", "-f", "-o", str(told), "-P", str(path), "-e", f"trace={call}", "-e", inject]


def has_stopped(told: Path) -> bool:
    return told.exists() and "stopped by SIGSTOP" in told.read_text()
