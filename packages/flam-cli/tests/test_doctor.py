"""queuectl doctor, backup and restore: words, documents and exit codes."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, Workshop

from flam_cli.render import progress
from flam_store.home import Home


def spoil(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.database_path, isolation_level=None)) as db:
        db.execute(statement)


def test_doctor_says_that_nothing_is_there_yet_and_makes_nothing(queuectl: Run, home: Home) -> None:
    said = queuectl("doctor")
    assert (said.code, said.err) == (0, "")
    assert "not there yet" in said.out
    assert said.out.endswith("All is well.\n")
    assert not home.path.exists()
    assert queuectl("doctor", "--repair").code == 0
    assert not home.path.exists()


def test_doctor_has_a_line_for_everything(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", b"out")
    said = queuectl("doctor")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines.pop() == "All is well."
    assert len(lines) >= 15
    assert all(line.startswith("pass  ") for line in lines)


def test_doctor_as_a_document(queuectl: Run, workshop: Workshop, home: Home) -> None:
    workshop.completed("a")
    sound = queuectl("--json", "doctor").json
    assert (sound["sound"], sound["repairs"]) == (True, [])
    assert all(each.keys() == {"level", "subject", "text", "mend"} for each in sound["findings"])
    spoil(home, "UPDATE counters SET jobs = 5 WHERE state = 'completed'")
    said = queuectl("doctor", "--json")
    assert (said.code, said.err, said.json["sound"]) == (1, "", False)
    (fault,) = [each for each in said.json["findings"] if each["level"] == "fail"]
    assert (fault["subject"], "--repair" in fault["mend"]) == ("counters", True)
    mended = queuectl("doctor", "--repair", "--json")
    assert (mended.code, mended.json["sound"]) == (0, True)
    assert [each["subject"] for each in mended.json["repairs"]] == ["counters"]


def test_a_fault_is_a_line_with_its_mend_and_exit_code_1(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    workshop.completed("a")
    spoil(home, "UPDATE counters SET jobs = 5 WHERE state = 'completed'")
    said = queuectl("doctor")
    assert said.code == 1
    lines = said.out.splitlines()
    (index,) = [n for n, line in enumerate(lines) if line.startswith("fail  counters")]
    assert lines[index + 1].strip() == "Mend: queuectl doctor --repair"
    assert lines[-1] == "1 fault, 0 warnings."
    mended = queuectl("doctor", "--repair")
    assert mended.code == 0
    assert mended.out.startswith("mended  counters ")


def test_what_others_wrote_reaches_no_terminal_raw(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    workshop.running("a")
    spoil(home, "UPDATE counters SET queue = 'a' || char(27) || '[2J'")
    said = queuectl("doctor")
    assert said.code == 1
    assert "\x1b" not in said.out
    assert r"\x1b[2J" in said.out


def test_a_directory_open_to_others_is_a_fault_that_repair_mends(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    home.path.chmod(0o777)
    said = queuectl("doctor")
    assert (said.code, "chmod 700" in said.out) == (1, True)
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o777
    assert queuectl("doctor", "--repair").code == 0
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_a_backup_is_one_line(queuectl: Run, workshop: Workshop, tmp_path: Path) -> None:
    workshop.completed("a")
    said = queuectl("backup", "b.db")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("b.db: 1 job, ")
    document = queuectl("--json", "backup", str(tmp_path / "c.db")).json
    assert document == {
        "path": str(tmp_path / "c.db"), "jobs": 1, "size_bytes": (tmp_path / "c.db").stat().st_size
    }  # fmt: skip


def test_a_backup_overwrites_only_by_force(queuectl: Run, workshop: Workshop) -> None:
    Path("b.db").write_text("precious")
    said = queuectl("backup", "b.db")
    assert (said.code, said.out) == (4, "")
    assert "--force" in said.err
    assert Path("b.db").read_text() == "precious"
    assert queuectl("backup", "b.db", "--force").code == 0
    assert Path("b.db").read_bytes().startswith(b"SQLite format 3")


def test_there_is_no_backup_of_nothing(queuectl: Run, home: Home) -> None:
    said = queuectl("backup", "b.db")
    assert (said.code, said.out, said.err.count("\n")) == (5, "", 1)
    assert not home.path.exists()
    assert not Path("b.db").exists()


def test_a_restore_says_what_it_did(queuectl: Run, workshop: Workshop, home: Home) -> None:
    workshop.completed("a")
    workshop.running("b")
    queuectl("backup", "b.db")
    spoil(home, "DELETE FROM workers")
    workshop.store.close()
    said = queuectl("restore", "b.db")
    assert (said.code, said.err) == (0, "")
    first, second, third = said.out.splitlines()
    assert first == "2 jobs restored from b.db"
    assert second.startswith("1 of them processing")
    assert third.startswith(f"The queue as it was is kept in {home.path}/before-restore-")
    document = queuectl("--json", "restore", "b.db").json
    assert (document["jobs"], document["processing"]) == (2, 1)
    assert Path(document["kept"]).is_dir()
    assert queuectl("doctor").code == 1  # a job of nobody known, until a pool starts


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda file: None, 2),
        (lambda file: file.write_bytes(b"no database"), 5),
        (lambda file: file.mkdir(), 5),
        (lambda file: (file.touch(), file.chmod(0o666)), 6),
    ],
    ids=["missing", "garbage", "folder", "open to others"],
)
def test_what_is_no_backup_is_refused(
    queuectl: Run, workshop: Workshop, make: Callable[[Path], Any], code: int
) -> None:
    workshop.completed("a")
    make(Path("b.db"))
    said = queuectl("restore", "b.db")
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)
    assert queuectl("status", "--json").json["counts"]["completed"] == 1


def test_a_missing_backup_makes_no_data_directory(queuectl: Run, home: Home) -> None:
    missing = queuectl("restore", "missing.db")
    told = "queuectl: FILE: missing.db: No such file or directory\n"
    assert (missing.code, missing.err) == (2, told)
    assert not home.path.exists()


def test_a_restore_makes_what_is_missing(
    queuectl: Run, workshop: Workshop, home: Home, tmp_path: Path
) -> None:
    workshop.completed("a")
    queuectl("backup", "b.db")
    other = str(tmp_path / "other")
    assert queuectl("--home", other, "restore", "b.db").out == "1 job restored from b.db\n"
    assert queuectl("--home", other, "--json", "show", "a").json["state"] == "completed"
    assert stat.S_IMODE(os.stat(other).st_mode) == 0o700


def test_progress_is_told_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.share("Copying") as tell:
        tell(1, 2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "is_terminal", lambda _: True)
    with progress.share("Copying") as tell:
        tell(1, 2)
        tell(0, 0)
    said = capsys.readouterr()
    assert "Copying 50 %" in said.err
    assert said.err.endswith("\r\x1b[K")
    assert said.out == ""
