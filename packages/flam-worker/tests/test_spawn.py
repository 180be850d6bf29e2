from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import Children

from flam_worker.spawn import Command, keep_files, spawn


def command(text: str, **fields: Any) -> Command:
    given: dict[str, Any] = {
        "shell": text, "args": None, "environment": dict(os.environ), "directory": None,
        "stdin": None, "timeout": None,
    }  # fmt: skip
    return Command(**given | fields)


def output_of(folder: Path, given: Command, prepare: Callable[[], object] = lambda: None) -> str:
    """What the command writes, started and waited for by the process that calls this."""
    path = folder / "output"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    prepare()
    keep_files()
    os.waitpid(spawn(given, fd), 0)
    return path.read_text()


def test_a_worker_without_standard_files_gives_all_three_to_its_commands(
    tmp_path: Path, children: Children
) -> None:
    def close_all() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    given = command("cat; echo out; echo err >&2", stdin="in\n")
    child = children.fork(lambda: output_of(tmp_path, given, close_all))
    assert child.answer() == "in\nout\nerr\n"


def test_the_worker_is_back_in_its_directory_whatever_becomes_of_the_command(
    tmp_path: Path, children: Children
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()

    def directories() -> list[str]:
        os.chdir(tmp_path)
        told = output_of(tmp_path, command("pwd", directory=str(inner)))
        with pytest.raises(OSError, match="No such file"):
            spawn(command("", shell=None, args=("none",), directory=str(inner)), 1)
        with pytest.raises(OSError, match="No such file"):
            spawn(command("true", directory=str(tmp_path / "nowhere")), 1)
        return [told.strip(), os.getcwd()]

    assert children.fork(directories).answer() == [str(inner), str(tmp_path)]


def test_a_program_with_a_relative_name_is_the_one_in_the_commands_directory(
    tmp_path: Path, children: Children
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    tool = inner / "tool"
    tool.write_text("#!/bin/sh\necho it\n")
    tool.chmod(0o700)
    given = command("", shell=None, args=("./tool",), directory=str(inner))
    assert children.fork(lambda: output_of(tmp_path, given)).answer() == "it\n"


def test_a_worker_that_cannot_go_back_ends_rather_than_run_others_there(
    tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fchdir", refused)
    child = children.fork(lambda: output_of(tmp_path, command("true", directory="/")))
    with pytest.raises(RuntimeError, match="cannot return"):
        child.answer()


def test_of_programs_along_the_path_one_that_may_not_be_run_is_passed_over(
    tmp_path: Path, children: Children
) -> None:
    for name, mode in (("first", 0o600), ("second", 0o700)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name / "tool").chmod(mode)
    path = f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second:/bin"
    given = command("", shell=None, args=("tool",), environment={"PATH": path})
    assert children.fork(lambda: output_of(tmp_path, given)).answer() == "second\n"


def test_if_none_may_be_run_it_is_told_which_there_was(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("")
    given = command("", shell=None, args=("tool",), environment={"PATH": f"{tmp_path}:/none"})
    with pytest.raises(PermissionError) as refused:
        spawn(given, 1)
    assert refused.value.filename == "tool"
