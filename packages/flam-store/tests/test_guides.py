"""The guides: every block of Python is run, in order, and what it prints is compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1]
GUIDES = sorted(path.name for path in FOLDER.glob("*.md") if "```python" in path.read_text())
SOURCES = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
_BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str | None]]:
    """Each block of Python, with the text that is shown below it, if any."""
    code: str | None = None
    for kind, content in _BLOCK.findall(text):
        if kind == "text":
            assert code is not None, "an output without its program"
            yield code, content
            code = None
            continue
        if code is not None:
            yield code, None
        code = content
    if code is not None:
        yield code, None


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory; processes that were started in it are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", SOURCES)
    started: list[Any] = []

    class Popen(subprocess.Popen[Any]):
        def __init__(self, *words: Any, **settings: Any) -> None:
            super().__init__(*words, **settings)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    yield
    for process in started:
        process.kill()
        process.wait()
    for group in _sessions_in(tmp_path):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _sessions_in(folder: Path) -> list[int]:
    """The groups of commands that a killed worker has left in this directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            pid = int(entry.name)
            if (entry / "cwd").readlink() == folder and os.getpgid(pid) == pid != os.getpid():
                found.append(pid)
    return found


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_shows_is_what_happens(guide: str, capfd: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "guide"}
    done = 0
    for code, shown in blocks((FOLDER / guide).read_text()):
        if code.startswith("# worker.py"):
            Path("worker.py").write_text(code)
            continue
        capfd.readouterr()
        exec(compile(code, guide, "exec"), names)
        sys.stdout.flush()
        printed = capfd.readouterr()
        assert printed.err == ""
        if shown is not None:
            assert printed.out == shown
        done += 1
    assert done


def test_the_example_worker_is_short() -> None:
    code = next(code for code, _ in blocks((FOLDER / "WORKERS.md").read_text()))
    assert len([line for line in code.splitlines() if line.strip()]) < 120
