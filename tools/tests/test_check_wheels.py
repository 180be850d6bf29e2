from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

import check_wheels

SHARE = "flam_worker-0.1.0.data/data/share/man/man1"
INFO = "flam_worker-0.1.0.dist-info"
METADATA = """\
Metadata-Version: 2.4
Name: flam-worker
Version: 0.1.0
License-Expression: MIT
Requires-Python: >=3.11
Requires-Dist: flam-store<0.2,>=0.1

What it is.
"""
CODE = {
    "flam_worker/__init__.py": '__version__ = "0.1.0"\n',
    "flam_worker/__main__.py": "def main(): ...\n",
    "flam_worker/py.typed": "",
    "flam_worker/units/flam-worker.service": "[Unit]\n",
}
PAGE = {"man/man1/flam-worker.1": ".TH FLAM-WORKER 1\n"}
PROJECT = """\
[project]
name = "flam-worker"
license = "MIT"
requires-python = ">=3.11"
dependencies = ["flam-store >=0.1, <0.2"]

[project.scripts]
flam-worker = "flam_worker.__main__:main"
"""
WHEEL = {
    **CODE,
    **{f"flam_worker-0.1.0.data/data/share/{name}": text for name, text in PAGE.items()},
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/entry_points.txt": "[console_scripts]\nflam-worker = flam_worker.__main__:main\n",
    f"{INFO}/licenses/LICENSE": "Do as you like.\n",
}
SDIST = {
    **{f"src/{name}": text for name, text in CODE.items()},
    **{f"share/{name}": text for name, text in PAGE.items()},
    "CHANGELOG.md": "",
    "LICENSE": "Do as you like.\n",
    "PKG-INFO": METADATA,
    "README.md": "What it is.\n",
    "pyproject.toml": PROJECT,
    "tests/test_loop.py": "",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one package, built as it should be into its folder dist."""
    package = tmp_path / "packages/flam-worker"
    for name, text in CODE.items():
        (package / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (package / "src" / name).write_text(text)
    for name, text in PAGE.items():
        (package / "share" / name).parent.mkdir(parents=True, exist_ok=True)
        (package / "share" / name).write_text(text)
    (package / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "LICENSE").write_text("Do as you like.\n")
    (tmp_path / "dist").mkdir()
    write_wheel(tmp_path, WHEEL)
    write_sdist(tmp_path, SDIST)
    return tmp_path


def write_wheel(repository: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(repository / "dist/flam_worker-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def write_sdist(repository: Path, files: dict[str, str]) -> None:
    with tarfile.open(repository / "dist/flam_worker-0.1.0.tar.gz", "w:gz") as sdist:
        for name, text in files.items():
            member = tarfile.TarInfo(f"flam_worker-0.1.0/{name}")
            member.size = len(text.encode())
            sdist.addfile(member, io.BytesIO(text.encode()))


def problems(repository: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    status = check_wheels.main(repository / "dist", repository)
    lines = capsys.readouterr().out.splitlines()
    assert status == bool(lines)
    return lines


def test_what_was_built_from_the_sources_passes_in_silence(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problems(repository, capsys) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("flam_worker/py.typed", None, "flam_worker/py.typed: missing"),
        ("flam_worker/old.py", "", "flam_worker/old.py: not among the sources"),
        ("flam_worker/__main__.py", "", "flam_worker/__main__.py: not as in the sources"),
        (f"{SHARE}/flam-worker.1", None, f"{SHARE}/flam-worker.1: missing"),
        (f"{SHARE}/flam-worker.1", "", f"{SHARE}/flam-worker.1: not as in the sources"),
        (f"{INFO}/licenses/LICENSE", None, "LICENSE: missing, or not the project's"),
        (f"{INFO}/licenses/LICENSE", "Pay.", "LICENSE: missing, or not the project's"),
        (
            f"{INFO}/entry_points.txt",
            None,
            "console_scripts: {}, not {'flam-worker': 'flam_worker.__main__:main'}",
        ),
        (f"{INFO}/METADATA", METADATA.replace("0.1.0", "0.2.0"), "Version: 0.2.0, not 0.1.0"),
        (
            f"{INFO}/METADATA",
            METADATA.replace("Requires-Python: >=3.11\n", ""),
            "Requires-Python: None, not >=3.11",
        ),
        (
            f"{INFO}/METADATA",
            METADATA.replace("Requires-Dist: flam-store<0.2,>=0.1\n", ""),
            "Requires-Dist: flam-store<0.2,>=0.1: missing",
        ),
        (
            f"{INFO}/METADATA",
            METADATA.replace("\n\n", "\nRequires-Dist: click\n\n"),
            "Requires-Dist: click: not in pyproject.toml",
        ),
        (
            f"{INFO}/METADATA",
            METADATA.replace("What it is.\n", ""),
            "README.md: not in the metadata",
        ),
    ],
)
def test_a_fault_in_a_wheel_is_a_line(
    name: str,
    text: str | None,
    problem: str,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {key: kept for key, kept in WHEEL.items() if key != name}
    write_wheel(repository, files if text is None else {**files, name: text})

    assert problems(repository, capsys) == [f"flam_worker-0.1.0-py3-none-any.whl: {problem}"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("src/flam_worker/py.typed", None, "src/flam_worker/py.typed: missing"),
        (
            "share/man/man1/flam-worker.1",
            None,
            "share/man/man1/flam-worker.1: missing",
        ),
        ("CHANGELOG.md", None, "CHANGELOG.md: missing"),
        ("LICENSE", "Pay.", "LICENSE: not the project's"),
        ("notes.txt", "", "notes.txt: does not belong there"),
        ("PKG-INFO", METADATA.replace("0.1.0", "0.2.0"), "Version: 0.2.0, not 0.1.0"),
    ],
)
def test_a_fault_in_an_sdist_is_a_line(
    name: str,
    text: str | None,
    problem: str,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {key: kept for key, kept in SDIST.items() if key != name}
    write_sdist(repository, files if text is None else {**files, name: text})

    assert problems(repository, capsys) == [f"flam_worker-0.1.0.tar.gz: {problem}"]


@pytest.mark.parametrize("name", ["tests/test_loop.py", "test_loop.py", "conftest.py"])
def test_a_test_among_the_sources_is_a_fault_of_the_wheel(
    name: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = repository / "packages/flam-worker/src/flam_worker" / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    write_wheel(repository, {**WHEEL, f"flam_worker/{name}": ""})
    write_sdist(repository, {**SDIST, f"src/flam_worker/{name}": ""})

    assert problems(repository, capsys) == [
        f"flam_worker-0.1.0-py3-none-any.whl: flam_worker/{name}: a test"
    ]


def test_data_that_the_sources_lost_is_a_fault(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "packages/flam-worker/src/flam_worker/py.typed").unlink()
    write_wheel(repository, {k: v for k, v in WHEEL.items() if "py.typed" not in k})
    write_sdist(repository, {k: v for k, v in SDIST.items() if "py.typed" not in k})

    assert problems(repository, capsys) == ["flam-worker: no py.typed among the sources"]


def test_a_page_that_the_package_lost_is_a_fault(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "packages/flam-worker/share/man/man1/flam-worker.1").unlink()
    write_wheel(repository, {k: v for k, v in WHEEL.items() if "share" not in k})
    write_sdist(repository, {k: v for k, v in SDIST.items() if "share" not in k})

    assert problems(repository, capsys) == ["flam-worker: no man/man1/flam-worker.1 in share"]


def test_a_file_that_was_not_built_is_a_line_each(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = repository / "dist"
    for file in empty.iterdir():
        file.unlink()

    assert problems(repository, capsys) == [
        f"flam_worker-0.1.0-py3-none-any.whl: not in {empty}",
        f"flam_worker-0.1.0.tar.gz: not in {empty}",
    ]
