#!/usr/bin/env python3
"""Tests the packages beside the oldest and the newest of each other that their ranges allow.

What is out is told by git's tags, ``flam-store-v0.2.0``. Each mix of versions is built, installed
into a fresh environment, and has to pass ``tests-integration/test_smoke.py``. Where there is no tag
it says so, and tests the packages as they are here. The interpreter needs build and hatchling.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from release import ASSIGNMENT, VERSION, RefusedError, Version, holds, split

REPOSITORY = Path(__file__).resolve().parents[1]
STORE, WORKER, CLI = "flam-store", "flam-worker", "flam-cli"
NAMES = (STORE, WORKER, CLI)
SMOKE = "tests-integration/test_smoke.py"
TEST_TOOLS = ("attrs", "pytest>=8.3", "pytest-timeout>=2.3")
HERE = ""


@dataclass(frozen=True)
class Package:
    """One version of one package. ``tag`` is empty for that of the working tree."""

    name: str
    version: str
    tag: str
    needs: Mapping[str, Sequence[str]] = field(compare=False)

    @property
    def order(self) -> tuple[Version, bool]:
        """Of two that call themselves the same, what is out comes first."""
        return Version.read(self.version), self.tag == HERE

    def __str__(self) -> str:
        return f"{self.name} {self.version}{'' if self.tag else ' (here)'}"

    def takes(self, other: Package) -> bool:
        wanted = Version.read(other.version)
        return all(holds(bound, wanted) for bound in self.needs.get(other.name, ()))


@dataclass(frozen=True)
class Mix:
    """Versions to be installed beside each other, and what they are a case of."""

    title: str
    packages: tuple[Package, ...]


def main(arguments: Sequence[str] | None = None, root: Path = REPOSITORY) -> int:
    words = argparse.ArgumentParser(prog="ranges.py", description=__doc__)
    words.add_argument("--list", action="store_true", help="say which mixes there are, and stop")
    given = words.parse_args(arguments)
    try:
        here = {name: package_of(root, name, HERE) for name in NAMES}
        out = [package_of(root, name, tag) for name in NAMES for tag in tags(root, name)]
        found = mixes(here, out)
        told = ", ".join(map(str, out)) or "nothing: there is no tag like flam-store-v0.1.0"
        print(f"Out: {told}.")
        for mix in found:
            print(f"{mix.title}: {', '.join(map(str, mix.packages))}", flush=True)
            if not given.list:
                try_out(root, mix)
    except RefusedError as error:
        print(f"ranges.py: {error}", file=sys.stderr)
        return 1
    return 0


def mixes(here: Mapping[str, Package], out: Iterable[Package]) -> list[Mix]:
    """Each once; the packages as they are here by themselves when there is nothing else."""
    every = sorted([*out, *here.values()], key=lambda package: package.order)
    all_of = {name: [each for each in every if each.name == name] for name in NAMES}
    store, worker, cli = (here[name] for name in NAMES)
    old_store = oldest(all_of[STORE], [worker])
    old_worker = oldest(all_of[WORKER], [cli])
    store_of_both = oldest(all_of[STORE], [cli, old_worker])
    found = [
        Mix("The newest worker, the oldest store", with_fitting(cli, worker, old_store)),
        Mix("The newest CLI, the oldest worker and store", (store_of_both, old_worker, cli)),
        Mix("The newest store, the oldest worker", (store, oldest_for(all_of[WORKER], [store]))),
        Mix("The newest worker and store, the oldest CLI",
            (store, worker, oldest_for(all_of[CLI], [store, worker]))),
    ]  # fmt: skip
    mixed = {mix.packages: mix for mix in reversed(found) if any(p.tag for p in mix.packages)}
    as_here = Mix("The packages as they are here", (store, worker, cli))
    return list(reversed(mixed.values())) or [as_here]


def oldest(versions: Iterable[Package], users: Sequence[Package]) -> Package:
    """The oldest that all of its users take."""
    for each in versions:
        if all(user.takes(each) for user in users):
            return each
    raise RefusedError(f"no version fits {' and '.join(map(str, users))}: mend their ranges")


def oldest_for(versions: Iterable[Package], needed: Sequence[Package]) -> Package:
    """The oldest that takes all of what it stands on."""
    for each in versions:
        if all(each.takes(other) for other in needed):
            return each
    raise RefusedError(f"no version takes {' and '.join(map(str, needed))}: mend the ranges")


def with_fitting(cli: Package, worker: Package, store: Package) -> tuple[Package, ...]:
    """The CLI too, where its own range takes them."""
    fits = cli.takes(worker) and cli.takes(store)
    return (store, worker, cli) if fits else (store, worker)


def tags(root: Path, name: str) -> Iterator[str]:
    """Those of final versions: no range takes a candidate."""
    for tag in git(root, "tag", "--list", f"{name}-v*").split():
        match = VERSION.fullmatch(tag.removeprefix(f"{name}-v"))
        if match and not match[4]:
            yield tag


def package_of(root: Path, name: str, tag: str) -> Package:
    """A package as its files say, of a tag or of the working tree."""
    folder = f"packages/{name}"
    project = tomllib.loads(read(root, tag, f"{folder}/pyproject.toml"))["project"]
    source = read(root, tag, f"{folder}/src/{name.replace('-', '_')}/__init__.py")
    version = ASSIGNMENT.search(source)
    if version is None:
        raise RefusedError(f"{folder} has no __version__ {f'at {tag}' if tag else 'here'}")
    needs = dict(map(split, project.get("dependencies", ())))
    return Package(name, version[1], tag, needs)


def read(root: Path, tag: str, path: str) -> str:
    return git(root, "show", f"{tag}:{path}") if tag else (root / path).read_text("utf-8")


def try_out(root: Path, mix: Mix) -> None:
    """Build, install and test them. RefusedError when anything of it fails."""
    with tempfile.TemporaryDirectory(prefix="flam-ranges-") as work:
        wheels = [build(root, each, Path(work) / each.name) for each in mix.packages]
        python = Path(work) / "venv/bin/python"
        run(sys.executable, "-m", "venv", python.parents[1])
        run(python, "-m", "pip", "install", "--quiet", *wheels, *TEST_TOOLS)
        run(python, "-m", "pip", "check")
        quiet = ["-q", "--tb=short", "-p", "no:cacheprovider"]
        run(python, "-m", "pytest", *quiet, root / SMOKE, cwd=root)


def build(root: Path, package: Package, dist: Path) -> Path:
    with sources(root, package, dist.with_name(f"{dist.name}-tree")) as tree:
        words = ["--no-isolation", "--wheel", f"--outdir={dist}"]
        run(sys.executable, "-m", "build", *words, tree / "packages" / package.name)
    (wheel,) = dist.glob("*.whl")
    return wheel


@contextmanager
def sources(root: Path, package: Package, tree: Path) -> Iterator[Path]:
    """The working tree, or one of the tag's own for as long as it is needed."""
    if not package.tag:
        yield root
        return
    git(root, "worktree", "add", "--quiet", "--detach", str(tree), package.tag)
    try:
        yield tree
    finally:
        git(root, "worktree", "remove", "--force", str(tree))


def run(*words: str | Path, cwd: Path | None = None) -> None:
    command = [str(word) for word in words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise RefusedError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RefusedError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
