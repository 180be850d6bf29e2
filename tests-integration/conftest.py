"""Installed executables, a data directory for each test, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))
MARK = "FLAM_TEST_MARK"
PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition, and say what was waited for when it does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE_SECONDS:g} s in vain until {what}")


@attrs.frozen
class Flam:
    """The installed executables with a data directory of their own."""

    home: Path
    environ: Mapping[str, str]

    def run(
        self, program: str, *arguments: str | Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / program, *arguments],
            check=False,
            **{
                "env": self.environ,
                "cwd": self.home.parent,
                "capture_output": True,
                "text": True,
                "timeout": PATIENCE_SECONDS,
                "stdin": subprocess.DEVNULL if "input" not in options else None,
                **options,
            },
        )

    def ctl(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``queuectl``, whatever comes of it."""
        return self.run("queuectl", "--home", self.home, *arguments, **options)

    def ok(self, *arguments: str | Path, **options: Any) -> str:
        """Run ``queuectl`` to its success; its standard output."""
        done = self.ctl(*arguments, **options)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return str(done.stdout)

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.ok("--json", *arguments))

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.json("status")["counts"]
        return counts

    def state(self, job_id: str) -> str:
        return str(self.json("show", job_id)["state"])

    def start(self, count: int) -> None:
        self.ok("worker", "start", "--count", str(count))

    def until_quiet(self) -> None:
        """Wait until nothing is pending, processing or failed."""
        busy = ("pending", "processing", "failed")
        until(lambda: not any(self.counts()[state] for state in busy), "nothing is left to do")


def marked_processes(mark: str) -> list[int]:
    """The living processes that this test has started, however indirectly."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _bears(path, mark)]


def _bears(process: Path, mark: str) -> bool:
    try:
        ended = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
        words = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return not ended and f"{MARK}={mark}".encode() in words


@pytest.fixture
def flam(tmp_path: Path) -> Iterator[Flam]:
    mark = uuid.uuid4().hex
    cleared = {name: value for name, value in os.environ.items() if not name.startswith("FLAM_")}
    handle = Flam(tmp_path / "home", {**cleared, MARK: mark})
    yield handle
    if handle.home.exists() and (SCRIPTS / "queuectl").exists():
        handle.ctl("worker", "stop", "--now")
    left = marked_processes(mark) if sys.platform == "linux" else []
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"processes were left behind: {left}"
