from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import release

CHANGELOG = """\
# Changelog of flam-store

## Unreleased

### Fixed

- A thing.

## 0.1.0 - 2026-01-31

The first version.
"""
SPECIMEN = """\
import pathlib
import sys

import flam_store

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
(folder / "queue.db").write_text(flam_store.__doc__)
"""
NEEDS = {"flam-store": "attrs>=23.2", "flam-worker": "flam-store>=0.1,<0.3"}


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", root, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "more")


def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git know who commits, and nothing else of whoever runs the tests."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two packages at 0.1.0, of which flam-store has something to release."""
    identity(monkeypatch)
    for name, needed in NEEDS.items():
        source = tmp_path / "packages" / name / "src" / name.replace("-", "_")
        source.mkdir(parents=True)
        (source / "__init__.py").write_text('"""It."""\n\n__version__ = "0.1.0"\n')
        project = f'[project]\nname = "{name}"\ndependencies = ["{needed}"]\n'
        (source.parents[1] / "pyproject.toml").write_text(project)
    changelog(tmp_path).write_text(CHANGELOG)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/specimen.py").write_text(SPECIMEN)
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    git(tmp_path, "tag", "flam-store-v0.1.0")
    return tmp_path


def changelog(root: Path) -> Path:
    return root / "packages/flam-store/CHANGELOG.md"


def run(root: Path, *words: str) -> int:
    return release.main(words, root)


def refusal(root: Path, version: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a release is refused with, which then has changed nothing."""
    before = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), git(root, "tag")
    assert run(root, "flam-store", version) == 1
    after = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), git(root, "tag")
    assert before == after
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_release_is_one_commit_and_one_annotated_tag(root: Path) -> None:
    assert run(root, "flam-store", "0.2.0") == 0
    assert git(root, "log", "-1", "--format=%s") == "flam-store: 0.2.0"
    assert git(root, "cat-file", "-t", "flam-store-v0.2.0") == "tag"
    assert git(root, "rev-parse", "flam-store-v0.2.0^{}") == git(root, "rev-parse", "HEAD")
    assert git(root, "status", "--porcelain") == ""
    init = root / "packages/flam-store/src/flam_store/__init__.py"
    assert init.read_text() == '"""It."""\n\n__version__ = "0.2.0"\n'
    specimen = "tests-integration/databases/flam-store-0.2.0/queue.db"
    assert git(root, "show", f"flam-store-v0.2.0:{specimen}") == "It."
    dated = f"## 0.2.0 - {datetime.now(UTC).date().isoformat()}"
    assert changelog(root).read_text() == CHANGELOG.replace("## Unreleased", dated)


def test_a_release_puts_its_version_and_day_into_the_manual_page(root: Path) -> None:
    page = root / "packages/flam-store/share/man/man1/flam-store.1"
    page.parent.mkdir(parents=True)
    page.write_text('.TH FLAM-STORE 1 "" "flam-store 0.1.0" "Flam"\n.SH NAME\n')
    commit(root)
    assert run(root, "flam-store", "0.2.0") == 0
    assert git(root, "status", "--porcelain") == ""
    today = datetime.now(UTC).date().isoformat()
    assert page.read_text().startswith(f'.TH FLAM-STORE 1 "{today}" "flam-store 0.2.0" "Flam"\n')


def test_a_dry_run_shows_the_changes_and_makes_none(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = git(root, "rev-parse", "HEAD"), git(root, "tag")
    assert run(root, "flam-store", "0.2.0", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "-## Unreleased\n+## 0.2.0 - " in shown
    assert '-__version__ = "0.1.0"\n+__version__ = "0.2.0"' in shown
    assert "flam-store-v0.2.0" in shown
    assert "specimen  tests-integration/databases/flam-store-0.2.0\n" in shown
    assert (git(root, "rev-parse", "HEAD"), git(root, "tag")) == before
    assert git(root, "status", "--porcelain") == ""


def test_a_release_without_a_queue_of_its_own_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "tools/specimen.py").write_text(f"{SPECIMEN}\nraise SystemExit('no queue')\n")
    commit(root)
    assert "no queue" in refusal(root, "0.2.0", capsys)


def test_of_the_other_packages_no_queue_is_kept(root: Path) -> None:
    text = "# Changelog\n\n## Unreleased\n\n- A thing.\n"
    (root / "packages/flam-worker/CHANGELOG.md").write_text(text)
    commit(root)
    assert run(root, "flam-worker", "0.2.0") == 0
    assert not (root / "tests-integration").exists()


def test_the_first_release_may_have_its_version_as_heading_and_in_the_sources(root: Path) -> None:
    git(root, "tag", "--delete", "flam-store-v0.1.0")
    changelog(root).write_text("# Changelog\n\n## 0.1.0\n\nThe first version.\n")
    commit(root)
    assert run(root, "flam-store", "0.1.0") == 0
    assert git(root, "tag") == "flam-store-v0.1.0"
    assert "## 0.1.0 - 2" in changelog(root).read_text()


def test_notes_are_the_section_of_a_version(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "flam-store", "0.1.0", "--notes") == 0
    assert capsys.readouterr().out == "The first version.\n"
    assert run(root, "flam-store", "0.3.0", "--notes") == 1


@pytest.mark.parametrize("version", ["0.2", "v0.2.0", "0.2.0-rc1", "00.2.0", "0.2.0rc", "next", ""])
def test_what_is_no_version_is_refused(
    root: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no version" in refusal(root, version, capsys)


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.1.0rc1"])
def test_a_version_that_does_not_follow_is_refused(
    root: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "0.1.0 is out" in refusal(root, version, capsys)


def test_a_version_before_that_of_the_sources_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init = root / "packages/flam-store/src/flam_store/__init__.py"
    init.write_text('__version__ = "0.3.0"\n')
    commit(root)
    assert "0.3.0 already" in refusal(root, "0.2.0", capsys)


def test_candidates_come_before_their_version_and_after_the_last() -> None:
    words = ["0.10.0", "0.2.0rc10", "0.2.0rc2", "0.2.0", "0.1.0", "0.2.0a1"]
    in_order = ["0.1.0", "0.2.0a1", "0.2.0rc2", "0.2.0rc10", "0.2.0", "0.10.0"]
    assert sorted(words, key=release.Version.read) == in_order


def test_a_tree_with_changes_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "new.txt").touch()
    assert "new.txt" in refusal(root, "0.2.0", capsys)


@pytest.mark.parametrize(
    "words", [("switch", "--quiet", "-c", "other"), ("checkout", "-q", "HEAD~0")]
)
def test_another_branch_or_none_is_refused(
    root: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    git(root, *words)
    assert "made on main" in refusal(root, "0.2.0", capsys)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# Changelog\n", "no section"),
        ("# Changelog\n\n## 0.1.0 - 2026-01-31\n\n- Old.\n", "no section"),
        ("# Changelog\n\n## 0.2.0 - 2026-01-31\n\n- Dated.\n", "no section"),
        ("# Changelog\n\n## Unreleased\n\n### Fixed\n\n## 0.1.0\n\n- Old.\n", "says nothing"),
        ("# Changelog\n\n## Unreleased\n", "says nothing"),
    ],
)
def test_a_changelog_without_words_for_it_is_refused(
    root: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changelog(root).write_text(text)
    commit(root)
    assert problem in refusal(root, "0.2.0", capsys)


@pytest.mark.parametrize("version", ["0.3.0", "0.3.0rc1", "1.0.0"])
def test_a_version_that_another_package_excludes_is_refused(
    root: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(root, version, capsys)
    assert "flam-worker needs flam-store>=0.1,<0.3" in said
    assert "packages/flam-worker/pyproject.toml" in said


def test_a_package_that_there_is_not_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(root, "flam-shop", "0.2.0")
    assert ended.value.code == 2
    assert "flam-shop" in capsys.readouterr().err
