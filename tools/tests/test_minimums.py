from __future__ import annotations

from pathlib import Path

import pytest

import minimums


def repository(tmp_path: Path, **dependencies: list[str]) -> Path:
    """A repository whose packages depend on these."""
    for name, words in dependencies.items():
        path = tmp_path / "packages" / name / "pyproject.toml"
        path.parent.mkdir(parents=True)
        path.write_text(f'[project]\nname = "flam-{name}"\ndependencies = {words!r}\n')
    return tmp_path


def test_lower_bounds_become_constraints_and_the_packages_themselves_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, store=["attrs>=23.2", "cattrs >=24.1, <26"],
                      worker=["flam-store>=0.1,<0.2", "psutil>=5.9"])  # fmt: skip
    assert minimums.main(root) == 0
    assert capsys.readouterr().out.split() == ["attrs==23.2", "cattrs==24.1", "psutil==5.9"]


def test_of_two_lower_bounds_the_higher_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, cli=["attrs>=23.10"], store=["attrs>=23.2"])
    assert minimums.main(root) == 0
    assert capsys.readouterr().out.split() == ["attrs==23.10"]


def test_an_optional_dependency_counts_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, store=["attrs>=23.2"])
    with (root / "packages/store/pyproject.toml").open("a") as file:
        file.write('[project.optional-dependencies]\npg = ["psycopg[binary]>=3.2"]\n')
    assert minimums.main(root) == 0
    assert capsys.readouterr().out.split() == ["attrs==23.2", "psycopg==3.2"]


@pytest.mark.parametrize("requirement", ["attrs", "attrs<24", "attrs~=23.2", "attrs @ file:///x"])
def test_what_has_no_lowest_version_is_refused(
    requirement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert minimums.main(repository(tmp_path, store=[requirement])) == 1
    assert requirement in capsys.readouterr().err
