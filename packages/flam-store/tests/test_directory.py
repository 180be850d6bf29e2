"""What an examination says of a data directory, its configuration, and the room around it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from flam_store import JobSpec, open_store
from flam_store.config import Config
from flam_store.directory import (
    config_as_far_as_readable,
    examine_config,
    examine_directory,
    mend_directory,
)
from flam_store.finding import Finding, Level
from flam_store.home import Home
from flam_store.output import Logs
from flam_store.room import room


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A data directory in use."""
    home = Home(path=tmp_path / "data")
    home.ensure()
    with open_store(f"sqlite:///{home.database_path}") as store:
        store.enqueue(JobSpec(command="true"))
    os.close(Logs(home.logs_path).create(1, 1))
    home.run_path.mkdir(mode=0o700)
    return home


def faults(home: Home) -> list[Finding]:
    return [each for each in examine_directory(home) if each.level is not Level.PASS]


def config_faults(home: Home, **environ: str) -> list[Finding]:
    return [each for each in examine_config(home, environ) if each.level is not Level.PASS]


def configured(home: Home, text: str) -> None:
    home.config_path.write_text(text)
    home.config_path.chmod(0o600)


def test_a_sound_directory_has_no_faults(home: Home) -> None:
    subjects = [each.subject for each in examine_directory(home)]
    assert (faults(home), subjects) == ([], ["directory", "room"])
    assert mend_directory(home) == ()


def test_a_missing_directory_is_told_and_not_made(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "data")
    (finding,) = examine_directory(home)
    assert (finding.level, "not there yet" in finding.text) == (Level.PASS, True)
    assert mend_directory(home) == ()
    assert not home.path.exists()


LOOSE: dict[str, tuple[Callable[[Home], Path], int, Level]] = {
    "the directory": (lambda home: home.path, 0o770, Level.FAIL),
    "the database": (lambda home: home.database_path, 0o620, Level.FAIL),
    "the gate": (lambda home: Path(f"{home.database_path}-gate"), 0o666, Level.FAIL),
    "the logs": (lambda home: home.logs_path, 0o777, Level.FAIL),
    "a log": (lambda home: Logs(home.logs_path).path_of(1, 1), 0o602, Level.FAIL),
    "the run folder": (lambda home: home.run_path, 0o755, Level.WARN),
    "a log that can be read": (lambda home: Logs(home.logs_path).path_of(1, 1), 0o644, Level.WARN),
    "a database that can be read": (lambda home: home.database_path, 0o640, Level.WARN),
}


@pytest.mark.parametrize("case", LOOSE)
def test_what_is_open_to_others_is_found_and_made_private(home: Home, case: str) -> None:
    which, mode, level = LOOSE[case]
    path = which(home)
    path.chmod(mode)
    (finding,) = faults(home)
    assert (finding.level, str(path) in finding.text) == (level, True)
    assert finding.mend
    (repair,) = mend_directory(home)
    assert str(path) in repair.text
    assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert faults(home) == []


def test_many_files_with_one_fault_are_one_finding(home: Home) -> None:
    logs = Logs(home.logs_path)
    for seq in range(2, 30):
        os.close(logs.create(seq, 1))
        logs.path_of(seq, 1).chmod(0o644)
    (finding,) = faults(home)
    assert "27 more" in finding.text


def test_a_link_is_a_fault_that_is_left_alone(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch(mode=0o666)
    target.chmod(0o666)
    log = Logs(home.logs_path).path_of(1, 1)
    log.unlink()
    log.symlink_to(target)
    (finding,) = faults(home)
    assert (finding.level, "symbolic link" in finding.text) == (Level.FAIL, True)
    assert mend_directory(home) == ()
    assert stat.S_IMODE(target.stat().st_mode) == 0o666


def test_what_belongs_to_another_is_a_fault_that_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.path.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    found = faults(home)
    assert {each.level for each in found} == {Level.FAIL}
    assert any("belong" in each.text for each in found)
    assert mend_directory(home) == ()


def test_a_shared_directory_is_a_fault_that_is_left_alone(home: Home) -> None:
    home.path.chmod(0o1777)
    (finding,) = faults(home)
    assert finding.mend
    assert "another directory" in finding.mend
    assert mend_directory(home) == ()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o1777


def test_a_file_in_its_place_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    (finding,) = examine_directory(Home(path=tmp_path / "data"))
    assert finding.level is Level.FAIL


def test_an_examination_opens_no_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "open", refuse)
    assert list(examine_directory(home))
    assert mend_directory(home) == ()


def test_a_sound_configuration_says_what_it_sets(home: Home) -> None:
    (finding,) = examine_config(home, {})
    assert (finding.level, "defaults" in finding.text) == (Level.PASS, True)
    configured(home, '{"max_retries": 5}')
    (finding,) = examine_config(home, {})
    assert (finding.level, "max_retries" in finding.text) == (Level.PASS, True)


@pytest.mark.parametrize("text", ["{", "[]", '{"max_retries": -1}', '{"no_such": 1}', "\xff"])
def test_a_corrupt_configuration_is_a_fault_and_left_as_it_is(home: Home, text: str) -> None:
    configured(home, text)
    before = home.config_path.read_bytes()
    (finding,) = config_faults(home)
    assert (finding.level, str(home.config_path) in finding.text) == (Level.FAIL, True)
    assert finding.mend
    assert config_as_far_as_readable(home) == Config()
    assert home.config_path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"backoff_base": 10, "backoff_max": 5}', "backoff_max"),
        ('{"backoff_base": 0.5}', "backoff_base"),
        ('{"lease_seconds": 3}', "lease_seconds"),
    ],
)
def test_values_that_fight_each_other_are_told(home: Home, text: str, word: str) -> None:
    configured(home, text)
    (finding,) = config_faults(home)
    assert (finding.level, word in finding.text, word in str(finding.mend)) == (
        Level.WARN, True, True)  # fmt: skip


def test_two_stores_are_told_and_not_named(home: Home) -> None:
    configured(home, '{"store_url": "sqlite:////a/secret.db"}')
    assert config_faults(home) == []
    (finding,) = config_faults(home, FLAM_STORE_URL="sqlite:////b/other.db")
    assert (finding.level, "secret" in finding.text) == (Level.WARN, False)


@pytest.mark.parametrize(
    ("mib", "files", "level"),
    [(10_000, 1_000_000, Level.PASS), (255, 1_000_000, Level.WARN), (15, 1_000_000, Level.FAIL),
     (10_000, 9_999, Level.WARN), (10_000, 99, Level.FAIL), (10_000, None, Level.PASS)],
)  # fmt: skip
def test_little_room_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int, files: int | None, level: Level
) -> None:
    found = SimpleNamespace(
        f_bavail=mib * 256, f_frsize=4096, f_favail=files or 0, f_files=1_000_000 if files else 0
    )
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    finding = room("room", tmp_path)
    assert (finding.level, finding.mend is None) == (level, level is Level.PASS)
