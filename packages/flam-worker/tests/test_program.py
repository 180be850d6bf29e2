"""What a pool is started with, as an installed module, a bundle, or one file."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

import flam_worker
from flam_worker.pool import PoolOptions, foreground_arguments
from flam_worker.program import program

PRINTS = "from flam_worker.program import program; print(*program(), sep='\\n')\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One file that prints how it would be started."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "__main__.py").write_text(PRINTS)
    path = tmp_path / "flam-worker-1.0.pyz"
    zipapp.create_archive(tmp_path / "code", path)
    return path


def printed(*words: str | Path, **options: object) -> list[str]:
    environ = {"PYTHONPATH": str(Path(flam_worker.__file__).parents[1])}
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, **{"env": environ, **options}
    )  # type: ignore[call-overload]
    return str(done.stdout).splitlines()


def test_an_installed_module_is_started_by_its_interpreter_and_not_from_the_working_directory() -> (
    None
):
    assert program() == [sys.executable, "-P", "-m", "flam_worker"]


def test_a_bundle_is_its_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/flam/flam-worker")
    options = PoolOptions(
        home=Path("/srv/q"), store_url=None, count=2, queues=("mail",), drain=True
    )
    assert foreground_arguments(options) == [
        "/opt/flam/flam-worker", "--home", "/srv/q", "--count", "2", "--queue", "mail", "--drain",
    ]  # fmt: skip


def test_one_file_is_started_as_that_file_also_when_it_was_named_relatively(archive: Path) -> None:
    words = printed(sys.executable, archive.name, cwd=archive.parent)
    assert words == [sys.executable, "-P", str(archive)]
    assert printed(*words) == words


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python asks the system")
def test_a_python_that_does_not_know_its_path_is_found_all_the_same(archive: Path) -> None:
    code = f"import sys; sys.executable = ''; {PRINTS}"
    assert os.path.samefile(printed(sys.executable, "-c", code)[0], sys.executable)
