"""What a pool is started with, as an installed module, a bundle, or one file."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
import zipfile
from pathlib import Path

import pytest

import flam_worker
from flam_worker.__main__ import main
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


def test_a_python_that_is_too_old_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    monkeypatch.setattr(sys, "version", "3.10.13 (main)")
    assert main(["--version"]) == 2
    refused = "flam-worker: Flam needs Python 3.11 or later, and this is 3.10.13.\n"
    assert capsys.readouterr() == ("", refused)


def test_a_unit_of_one_file_has_a_place_to_unpack_it_and_others_need_none(
    tmp_path: Path,
) -> None:
    code = "from flam_worker.unit import unit; print(unit('service'), unit('template'))\n"
    path = tmp_path / "flam-worker.pyz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", code)
    lines = printed(sys.executable, path)
    assert lines.count("Environment=SHIV_ROOT=%C/flam-worker") == 2
    assert not any("SHIV_ROOT" in line for line in printed(sys.executable, "-c", code))
