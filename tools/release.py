#!/usr/bin/env python3
"""Makes the commit and the tag of a package's release, and pushes neither.

The newest section of the package's CHANGELOG, headed "Unreleased" (or, for a first release, with
the version), gets the version and today's date: "## 0.2.0 - 2026-01-31". So do its manual pages.
Of each flam-store a small queue is kept among the tests (``specimen.py``), which all later ones
must open.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)(0|[1-9]\d*))?")
ASSIGNMENT = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
TITLE = re.compile(r'^(\.TH \S+ 1) "[^"]*" "[^"]*"', re.MULTILINE)
HEADING = re.compile(r"^## (\S+)(?: - (\S+))?$", re.MULTILINE)


class RefusedError(Exception):
    """Why there is no release, in words for whoever wanted one."""


@dataclass(frozen=True, order=True)
class Version:
    """A version in the order of versions: 0.2.0a1, 0.2.0rc1, 0.2.0."""

    numbers: tuple[int, int, int]
    stage: tuple[str, int]

    @classmethod
    def read(cls, text: str) -> Version:
        match = VERSION.fullmatch(text)
        if match is None:
            raise RefusedError(f"{text!r} is no version; write one like 0.2.0 or 0.2.0rc1")
        major, minor, patch, stage, kind, number = match.groups()
        return cls((int(major), int(minor), int(patch)), (kind, int(number)) if stage else ("z", 0))


@dataclass(frozen=True)
class Edit:
    """A file as it is to be."""

    path: Path
    old: str
    new: str


@dataclass(frozen=True)
class Release:
    """One version of one package, and its tag."""

    root: Path
    name: str
    version: str

    @property
    def folder(self) -> Path:
        return self.root / "packages" / self.name

    @property
    def tag(self) -> str:
        return f"{self.name}-v{self.version}"

    @property
    def subject(self) -> str:
        return f"{self.name}: {self.version}"

    @property
    def specimen(self) -> Path | None:
        """The folder for the queue that is kept of it; of flam-store only."""
        folder = self.root / "tests-integration/databases" / f"{self.name}-{self.version}"
        return folder if self.name == "flam-store" else None


def main(arguments: Sequence[str] | None = None, root: Path = REPOSITORY) -> int:
    words = argparse.ArgumentParser(prog="release.py", description=__doc__)
    words.add_argument("package", choices=sorted(path.name for path in root.glob("packages/*")))
    words.add_argument("version")
    words.add_argument("--dry-run", action="store_true", help="show what would be done")
    words.add_argument("--notes", action="store_true", help="print the CHANGELOG's section only")
    given = words.parse_args(arguments)
    release = Release(root, given.package, given.version)
    try:
        if given.notes:
            print(notes(release))
        else:
            perform(release, show if given.dry_run else carry_out)
    except RefusedError as error:
        print(f"release.py: {error}", file=sys.stderr)
        return 1
    return 0


def perform(release: Release, act: Callable[[Release, Sequence[Edit]], None]) -> None:
    """Check everything, then act on it."""
    check_repository(release)
    check_order(release)
    check_ranges(release)
    act(release, [changelog_edit(release), version_edit(release), *page_edits(release)])


def check_repository(release: Release) -> None:
    branch = git(release, "symbolic-ref", "--short", "--quiet", "HEAD", codes=(0, 1)) or "no branch"
    if branch != "main":
        raise RefusedError(f"this is {branch}; releases are made on main")
    if changed := git(release, "status", "--porcelain"):
        raise RefusedError(f"the tree is not clean; commit or stash first:\n{changed}")


def check_order(release: Release) -> None:
    """A version comes after all that are tagged, and not before the one in the sources."""
    wanted = Version.read(release.version)
    prefix = f"{release.name}-v"
    tags = git(release, "tag", "--list", f"{prefix}*").split()
    tagged = [tag.removeprefix(prefix) for tag in tags]
    for version in sorted((each for each in tagged if VERSION.fullmatch(each)), key=Version.read):
        if wanted <= Version.read(version):
            raise RefusedError(f"{release.name} {version} is out; the next one is later than that")
    current = current_version(release)
    if wanted < Version.read(current):
        raise RefusedError(f"the sources are {current} already; {release.version} is before that")


def check_ranges(release: Release) -> None:
    """The other packages must still be installable beside it."""
    wanted = Version.read(release.version)
    for path in sorted(release.root.glob("packages/*/pyproject.toml")):
        for needed in tomllib.loads(path.read_text("utf-8"))["project"].get("dependencies", []):
            name, bounds = split(needed)
            if name == release.name and not all(holds(bound, wanted) for bound in bounds):
                raise RefusedError(
                    f"{path.parent.name} needs {needed}, which is not {release.version}; "
                    f"change {path.relative_to(release.root)} first"
                )


def split(requirement: str) -> tuple[str, list[str]]:
    """``flam-store>=0.1,<0.2`` in its name and its bounds."""
    match = re.fullmatch(r"([\w-]+)(.*)", requirement.replace(" ", ""))
    return (match[1], [bound for bound in match[2].split(",") if bound]) if match else ("", [])


def holds(bound: str, version: Version) -> bool:
    """Whether a version is within a bound. One before 0.2.0 is none before 0.2, as pip has it."""
    match = re.fullmatch(r"(>=|<)(\d+(?:\.\d+){0,2})", bound)
    if match is None:
        raise RefusedError(f"{bound!r} is no bound that this tool knows; write >=X or <X")
    numbers = [*map(int, match[2].split(".")), 0, 0][:3]
    limit = (numbers[0], numbers[1], numbers[2])
    return version >= Version(limit, ("z", 0)) if match[1] == ">=" else version.numbers < limit


def changelog_edit(release: Release) -> Edit:
    path = release.folder / "CHANGELOG.md"
    text = path.read_text("utf-8")
    heading = HEADING.search(text)
    if heading is None or heading[1] not in ("Unreleased", release.version) or heading[2]:
        raise RefusedError(f'{relative(release, path)} has no section "## Unreleased" at its top')
    if not section(text, heading[1]):
        raise RefusedError(f"{relative(release, path)} says nothing under {heading[0]!r}")
    dated = f"## {release.version} - {today()}"
    return Edit(path, text, text[: heading.start()] + dated + text[heading.end() :])


def section(text: str, title: str) -> str:
    """What stands under a heading: nothing, if that is other headings only."""
    headings = list(HEADING.finditer(text))
    for heading, after in zip(headings, [*headings[1:], None], strict=True):
        if heading[1] == title:
            body = text[heading.end() : after.start() if after else None].strip()
            return body if re.search(r"^[^#\s]", body, re.MULTILINE) else ""
    return ""


def notes(release: Release) -> str:
    body = section((release.folder / "CHANGELOG.md").read_text("utf-8"), release.version)
    if not body:
        raise RefusedError(f"the CHANGELOG of {release.name} says nothing of {release.version}")
    return body


def version_edit(release: Release) -> Edit:
    path = version_file(release)
    text = path.read_text("utf-8")
    return Edit(path, text, ASSIGNMENT.sub(f'__version__ = "{release.version}"', text))


def page_edits(release: Release) -> Iterator[Edit]:
    """The manual pages tell the version and its day, as tools/reference.py will have them."""
    for path in sorted(release.folder.glob("share/man/man1/*.1")):
        text = path.read_text("utf-8")
        stamped = TITLE.sub(rf'\1 "{today()}" "{release.name} {release.version}"', text)
        yield Edit(path, text, stamped)


def version_file(release: Release) -> Path:
    return release.folder / "src" / release.name.replace("-", "_") / "__init__.py"


def current_version(release: Release) -> str:
    match = ASSIGNMENT.search(version_file(release).read_text("utf-8"))
    if match is None:
        raise RefusedError(f"{relative(release, version_file(release))} has no __version__")
    return match[1]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def show(release: Release, edits: Sequence[Edit]) -> None:
    """Print the changes, the commit and the tag that would be made."""
    for edit in edits:
        print("\n".join(difference(release, edit)))
    if release.specimen:
        print(f"specimen  {relative(release, release.specimen)}")
    print(f"commit  {release.subject}\ntag     {release.tag}")


def difference(release: Release, edit: Edit) -> Iterator[str]:
    name = relative(release, edit.path)
    lines = edit.old.splitlines(), edit.new.splitlines()
    return difflib.unified_diff(*lines, f"a/{name}", f"b/{name}", lineterm="", n=1)


def carry_out(release: Release, edits: Sequence[Edit]) -> None:
    """Write, commit and tag; say how to publish it."""
    names = [relative(release, edit.path) for edit in edits]
    if release.specimen:
        write_specimen(release, release.specimen)
        names.append(relative(release, release.specimen))
    for edit in edits:
        edit.path.write_text(edit.new, "utf-8")
    git(release, "add", "--", *names)
    git(release, "commit", "--quiet", f"--message={release.subject}", "--", *names)
    message = f"--message={release.name} {release.version}"
    git(release, "tag", "--annotate", message, release.tag)
    print(f"{release.tag} is made. It is published by: git push --atomic origin main {release.tag}")


def write_specimen(release: Release, folder: Path) -> None:
    """Have the sources write the queue. RefusedError, with nothing left, when they do not."""
    command = [sys.executable, str(release.root / "tools/specimen.py"), str(folder)]
    environ = os.environ | {"PYTHONPATH": str(release.folder / "src")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RefusedError(f"no queue could be written: {(done.stderr or done.stdout).strip()}")


def relative(release: Release, path: Path) -> str:
    return path.relative_to(release.root).as_posix()


def git(release: Release, *words: str, codes: Sequence[int] = (0,)) -> str:
    """What git says, without the last end of line."""
    command = ["git", "-C", str(release.root), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in codes:
        raise RefusedError(f"git {words[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.rstrip("\n")


if __name__ == "__main__":
    sys.exit(main())
