"""The unit files, as service managers read them."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flam_worker import unit
from flam_worker.__main__ import main


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed ``flam-worker`` whose path asks for quotes."""
    path = tmp_path / "100% mine" / "flam-worker"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


@pytest.mark.parametrize("kind", ["service", "template"])
def test_systemd_finds_nothing_wrong_with_a_unit(kind: str, script: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze")
    name = "flam-worker@mail.service" if kind == "template" else "flam-worker.service"
    file = tmp_path / name
    # The user is the administrator's to make.
    file.write_text(unit.unit(kind).replace("User=flam", "User=root"))
    done = subprocess.run([program, "verify", file], check=False, capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "flam-worker" in line]
    assert (done.returncode, ours) == (0, [])


def test_a_unit_starts_the_program_that_printed_it(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--print-unit"]) == 0
    text = capsys.readouterr().out
    path = str(script).replace("%", "%%")
    assert f'ExecStart="{path}" --home %S/flam --count 4\n' in text
    assert "{" not in text


def test_a_template_serves_the_queue_that_its_instance_names(script: Path) -> None:
    assert "--queue %i " in unit.unit("template")


def test_launchd_reads_the_arguments(script: Path) -> None:
    read = plistlib.loads(unit.unit("launchd").encode())
    assert read["ProgramArguments"] == [str(script), "--count", "4"]


def test_without_an_installed_script_a_unit_names_interpreter_and_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/flam_worker/__main__.py"])
    assert f"ExecStart={sys.executable} -P -m flam_worker --home" in unit.unit("service")


def test_a_bundle_s_unit_names_the_bundle_wherever_it_was_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["flam-worker"])
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/flam/flam-worker")
    assert "ExecStart=/opt/flam/flam-worker --home" in unit.unit("service")


def test_a_kind_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--print-unit", "upstart"])
    assert ended.value.code == 2
    assert "service" in capsys.readouterr().err
