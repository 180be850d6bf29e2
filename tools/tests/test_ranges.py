from __future__ import annotations

from pathlib import Path

import pytest
from test_release import commit, git, identity

import ranges

RANGES = {
    "flam-store": [],
    "flam-worker": ["attrs>=23.2", "flam-store>=0.1,<0.2"],
    "flam-cli": ["flam-store>=0.1,<0.2", "flam-worker>=0.1,<0.2"],
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three packages at 0.1.0, and nothing is out."""
    identity(monkeypatch)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for name, needed in RANGES.items():
        write(tmp_path, name, "0.1.0", needed)
    commit(tmp_path)
    return tmp_path


def write(root: Path, name: str, version: str, needed: list[str] | None = None) -> None:
    folder = root / "packages" / name
    source = folder / "src" / name.replace("-", "_") / "__init__.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(f'__version__ = "{version}"\n')
    project = f'[project]\nname = "{name}"\ndependencies = {needed or RANGES[name]}\n'
    (folder / "pyproject.toml").write_text(project)


def put_out(root: Path, name: str, version: str, needed: list[str] | None = None) -> None:
    write(root, name, version, needed)
    commit(root)
    git(root, "tag", f"{name}-v{version}")


def listed(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert ranges.main(["--list"], root) == 0
    return capsys.readouterr().out.splitlines()


def test_where_nothing_is_out_it_says_so_and_takes_what_is_here(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ", ".join(f"{name} 0.1.0 (here)" for name in RANGES)
    assert listed(root, capsys) == [
        "Out: nothing: there is no tag like flam-store-v0.1.0.",
        f"The packages as they are here: {here}",
    ]


def test_both_ends_of_each_range_are_taken(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("0.1.0", "0.1.1", "0.1.2"):
        for name in RANGES:
            put_out(root, name, version)
    for name in RANGES:
        write(root, name, "0.1.3")
    old = {name: f"{name} 0.1.0" for name in RANGES}
    new = {name: f"{name} 0.1.3 (here)" for name in RANGES}
    store, worker, cli = RANGES
    assert listed(root, capsys)[1:] == [
        f"The newest worker, the oldest store: {old[store]}, {new[worker]}, {new[cli]}",
        f"The newest CLI, the oldest worker and store: {old[store]}, {old[worker]}, {new[cli]}",
        f"The newest store, the oldest worker: {new[store]}, {old[worker]}",
        f"The newest worker and store, the oldest CLI: {new[store]}, {new[worker]}, {old[cli]}",
    ]


def test_what_a_range_leaves_out_is_not_taken(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_out(root, "flam-store", "0.1.0")
    put_out(root, "flam-store", "0.2.0rc1")
    put_out(root, "flam-store", "0.2.0")
    put_out(root, "flam-worker", "0.1.0")
    put_out(root, "flam-worker", "0.2.0", ["flam-store>=0.2,<0.3"])
    write(root, "flam-cli", "0.2.0", ["flam-store>=0.2,<0.3", "flam-worker>=0.2,<0.3"])
    out, *mixes = listed(root, capsys)
    assert out == ("Out: flam-store 0.1.0, flam-store 0.2.0, flam-worker 0.1.0, flam-worker 0.2.0.")
    assert all("0.1.0" not in mix for mix in mixes)
    assert "The newest worker, the oldest store: flam-store 0.2.0, " in mixes[0]


def test_a_range_that_nothing_fits_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "flam-worker", "0.1.0", ["flam-store>=0.3,<0.4"])
    assert ranges.main(["--list"], root) == 1
    assert "no version fits flam-worker 0.1.0 (here)" in capsys.readouterr().err


def test_another_tree_than_the_present_one_is_gone_after_its_use(root: Path) -> None:
    put_out(root, "flam-store", "0.1.0")
    write(root, "flam-store", "0.1.1")
    package = ranges.package_of(root, "flam-store", "flam-store-v0.1.0")
    with ranges.sources(root, package, root / "tree") as tree:
        assert '"0.1.0"' in (tree / "packages/flam-store/src/flam_store/__init__.py").read_text()
    assert not (root / "tree").exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1
