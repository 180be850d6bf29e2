"""``queuectl export`` and ``queuectl import``."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, Workshop

from flam_cli.files import new_private_file
from flam_store.errors import StoreError
from flam_store.home import Home


@pytest.fixture
def exported(queuectl: Run, workshop: Workshop, tmp_path: Path) -> Path:
    """Of a queue with four jobs; beside it there is another, in ``other``."""
    workshop.completed("done", b"hello\n", env={"TOKEN": "s3cret"}, labels={"a": "b"})
    workshop.dead("dead", queue="mail")
    workshop.running("held")
    workshop.store.enqueue_many([])
    queuectl("enqueue", "--id", "waits", "--", "true", "\x1b[2J")
    file = tmp_path / "jobs.ndjson"
    assert queuectl("export", str(file)).out == f"{file}: 4 jobs\n"
    return file


@pytest.fixture
def other(queuectl: Run, tmp_path: Path) -> Run:
    return lambda *words: queuectl("--home", str(tmp_path / "other"), *words)


def test_an_export_is_private_under_any_umask_and_has_all(exported: Path) -> None:
    assert exported.stat().st_mode & 0o777 == 0o600
    assert [each for each in os.listdir(exported.parent) if each.endswith("ndjson")] == [
        exported.name
    ]
    lines = exported.read_text().splitlines()
    assert json.loads(lines[0]) == {"format": "flam-jobs", "version": 1}
    assert json.loads(lines[1])["spec"]["env"] == {"TOKEN": "s3cret"}
    assert json.loads(lines[-1]) == {"end": "flam-jobs"}
    assert "\x1b" not in exported.read_text()


def test_what_is_imported_is_exported_again_byte_for_byte(
    exported: Path, queuectl: Run, other: Run
) -> None:
    words = ("--state", "completed", "--state", "dead", "--state", "pending")
    first = queuectl("export", *words)
    said = other("import", str(exported))
    assert (said.code, said.out) == (
        0, "4 jobs imported\n1 of them had been running, and count as crashed\n")  # fmt: skip
    assert other("export", *words).out == first.out
    assert other("show", "held", "--json").json["history"][0]["state"] == "crashed"
    assert other("doctor").code == 0


def test_standard_input_is_read_and_skipping_is_told(
    exported: Path, process: Callable[..., Any], queuectl: Run
) -> None:
    refused = process("import", stdin=exported.read_bytes())
    assert refused.returncode == 4
    assert b"'done' belongs to a stored job, and so do 3 more of these" in refused.stderr
    done = process("import", "-", "--skip-existing", "--json", stdin=exported.read_bytes())
    assert json.loads(done.stdout) == {
        "jobs": 0, "interrupted": 0, "skipped": 4, "dry_run": False}  # fmt: skip


def test_a_dry_run_makes_nothing(exported: Path, other: Run, tmp_path: Path) -> None:
    assert other("import", "--dry-run", str(exported)).out.startswith("4 jobs can be imported\n")
    assert not (tmp_path / "other").exists()


def test_the_output_of_an_imported_job_is_said_to_be_elsewhere(exported: Path, other: Run) -> None:
    other("import", str(exported))
    said = other("logs", "done")
    assert said.code == 3
    assert "was imported, and what jobs print is not part of an export" in said.err


def test_an_export_is_filtered(exported: Path, queuectl: Run) -> None:
    def ids(*words: str) -> list[str]:
        lines = queuectl("export", *words).out.splitlines()[1:-1]
        return [json.loads(line)["spec"]["id"] for line in lines]

    assert ids("--queue", "mail") == ["dead"]
    assert ids("--label", "a=b") == ["done"]
    assert ids("--state", "pending", "--state", "dead") == ["dead", "waits"]
    assert ids("--queue", "none") == []


def test_a_dash_is_standard_output(exported: Path, queuectl: Run) -> None:
    assert queuectl("export", "-").out.encode() == exported.read_bytes()
    assert not (exported.parent / "-").exists()
    assert queuectl("export", "-", "--json").code == 2


def test_a_file_is_overwritten_only_when_that_is_asked_for(exported: Path, queuectl: Run) -> None:
    before = exported.read_bytes()
    exported.write_text("precious")
    refused = queuectl("export", str(exported))
    assert (refused.code, exported.read_text()) == (4, "precious")
    assert queuectl("export", "--force", "--json", str(exported)).json == {
        "path": str(exported), "jobs": 4}  # fmt: skip
    assert exported.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["export", "nowhere/x"], 5, "nowhere/x cannot be written: No such file"),
        (["export", "--state", "ded"], 2, "Did you mean 'dead'?"),
        (["export", "--queue", "a b"], 2, "--queue"),
        (["export", "--label", "x"], 2, "--label"),
        (["export", "--json"], 2, "leave out --json"),
        (["import", "nowhere"], 2, "FILE: nowhere: No such file or directory"),
        (["import", "."], 2, "FILE: .: Is a directory"),
        (["import", "/dev/null"], 2, "line 1: is no export of Flam"),
    ],
)
def test_what_is_wrong_is_one_line(
    queuectl: Run, home: Home, words: list[str], code: int, told: str
) -> None:
    refused = queuectl(*words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (code, "", 1)
    assert told in refused.err
    assert not home.path.exists()


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="such files are Linux's")
@pytest.mark.parametrize("replace", [False, True])
def test_an_export_that_is_killed_leaves_no_part_of_itself(tmp_path: Path, replace: bool) -> None:
    file = tmp_path / "out/jobs.ndjson"
    file.parent.mkdir()
    if replace:
        file.write_text("before")
    killed = multiprocessing.get_context("fork").Process(
        target=_killed_while_writing, args=(str(file), replace)
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == -signal.SIGKILL
    assert {path.name: path.read_text() for path in file.parent.iterdir()} == (
        {"jobs.ndjson": "before"} if replace else {}
    )


def _killed_while_writing(name: str, replace: bool) -> None:
    with new_private_file(name, replace=replace) as file:
        file.write(b"a part")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("replace", [False, True])
def test_where_a_file_must_have_a_name_it_is_private_and_complete_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    file = tmp_path / "out/jobs.ndjson"
    file.parent.mkdir()
    with new_private_file(str(file), replace=replace) as out:
        out.write(b"whole")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"whole", 0o600)
    assert os.listdir(file.parent) == ["jobs.ndjson"]


def test_what_cannot_be_replaced_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out/folder"
    folder.mkdir(parents=True)
    with pytest.raises(StoreError), new_private_file(str(folder), replace=True) as out:
        out.write(b"whole")
    assert os.listdir(folder.parent) == ["folder"]


def test_a_torn_file_imports_nothing(exported: Path, other: Run, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    for torn in (whole[: len(whole) // 2], whole[: whole.rindex(b'{"end"')]):
        exported.write_bytes(torn)
        refused = other("import", str(exported))
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert refused.err.startswith("queuectl: line ")
    assert not (tmp_path / "other").exists()


def test_what_is_checked_lies_beside_the_queue_and_has_no_name(
    exported: Path, process: Callable[..., Any], home: Home, tmp_path: Path
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    (tmp_path / "tmp").mkdir()
    before = os.listdir(home.path)
    there = {"home": home.path, "not yet": tmp_path}
    for name, folder in there.items():
        data = {"FLAM_HOME": str(folder if name == "home" else folder / "none" / "yet")}
        done = process(
            "import", str(exported), preexec_fn=limited,
            # Python leaves what it could not write of a module's code where the next one finds it.
            env={**data, "TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (5, b"")
        assert done.stderr.decode() == f"queuectl: {folder} cannot be written: File too large.\n"
    assert os.listdir(tmp_path / "tmp") == []
    assert os.listdir(home.path) == before
    assert not (tmp_path / "none").exists()
