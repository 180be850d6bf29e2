"""The programs that FLAM_STANDALONE names, run in an empty environment.

Without that variable there is nothing to test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from conftest import MARK, PATIENCE_SECONDS, Flam, until

PROGRAMS = [Path(name) for name in os.environ.get("FLAM_STANDALONE", "").split(os.pathsep) if name]
collect_ignore_glob = [] if PROGRAMS else ["test_*.py"]


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda path: path.suffix[1:])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that start an unpacked one."""
    path: Path = request.param
    if path.suffix == ".pyz":
        return [sys.executable, str(path)]
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    return [str(folder / path.name.removesuffix(".tar.gz") / "flam-worker")]


@attrs.frozen
class Standalone:
    """A standalone program and the queue that it serves."""

    words: list[str]
    flam: Flam
    environ: dict[str, str]
    log: Path
    started: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a pool, in the foreground unless the options say otherwise."""
        words = [*self.words, "--home", str(self.flam.home), *arguments]
        with self.log.open("ab") as log:
            process = subprocess.Popen(words, env=self.environ, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, cwd="/", **options)  # fmt: skip
        self.started.append(process)
        return process

    def start_in_background(self) -> list[int]:
        """Start a pool as queuectl starts an installed one; its workers' process ids."""
        read_fd, write_fd = os.pipe()
        process = self.start("--ready-fd", str(write_fd), pass_fds=[write_fd],
                             start_new_session=True)  # fmt: skip
        os.close(write_fd)
        assert process.wait(PATIENCE_SECONDS) == 0
        with open(read_fd, "rb") as ready:
            pids: list[int] = json.loads(ready.readline())
        return pids

    def printed(self, *arguments: str) -> str:
        done = subprocess.run([*self.words, *arguments], check=True, env=self.environ,
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS)  # fmt: skip
        return done.stdout

    def is_at_work(self) -> bool:
        words = [*self.words, "--home", str(self.flam.home), "--check"]
        done = subprocess.run(words, env=self.environ, check=False, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def until_at_work(self) -> None:
        until(self.is_at_work, "the pool is at work")


@pytest.fixture
def standalone(
    program: list[str], flam: Flam, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standalone]:
    # The home of one is that of all: what unpacks itself does so once.
    home = tmp_path_factory.getbasetemp() / "user"
    home.mkdir(exist_ok=True)
    environ = {"HOME": str(home), MARK: flam.environ[MARK]}
    handle = Standalone(program, flam, environ, tmp_path / "pool.log")
    yield handle
    for process in handle.started:
        process.terminate()
    flam.ctl("worker", "stop", "--now")
    for process in handle.started:
        process.wait(PATIENCE_SECONDS)
    print(handle.log.read_text() if handle.log.exists() else "")  # noqa: T201 - shown on failure
