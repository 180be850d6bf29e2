#!/usr/bin/env python3
"""Checks the wheels and sdists in a folder against the sources they were built from.

A wheel holds the package's source tree, what it shares (manual pages, completion), the licence
and the metadata, and nothing else; an sdist
holds what a wheel is built from. Both say what pyproject.toml and ``__version__`` say.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]

# What must be among a package's sources, so that it is in its wheel.
DATA = {
    "flam_store": ("py.typed", "sqlite/*.sql", "sqlite/migrations/*.sql"),
    "flam_worker": ("py.typed", "units/*"),
    "flam_cli": ("py.typed",),
}
# What must be among the files that a package shares with the system.
SHARED = {
    "flam_worker": ("man/man1/flam-worker.1",),
    "flam_cli": (
        "man/man1/queuectl.1",
        "bash-completion/completions/queuectl",
        "zsh/site-functions/_queuectl",
        "fish/vendor_completions.d/queuectl.fish",
    ),
}
TESTS = ("tests/*", "*/tests/*", "test_*.py", "*/test_*.py", "*/conftest.py")
SDIST = (
    "CHANGELOG.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "share/*",
    "src/*",
    "tests/*",
)

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Package:
    """A package as its sources describe it. ``sources`` are named as they are in the wheel.

    ``shared`` is what goes below the ``share`` of wherever it is installed.
    """

    name: str
    version: str
    project: Mapping[str, Any]
    sources: Files
    shared: Files
    licence: bytes

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")


def main(dist: Path, repository: Path = REPOSITORY) -> int:
    """Print what is wrong with the files in ``dist``, a line each; 1 if anything is."""
    packages = [read_package(folder) for folder in sorted(repository.glob("packages/*"))]
    problems = [line for package in packages for line in check(package, dist)]
    for line in problems:
        print(line)
    return 1 if problems else 0


def read_package(folder: Path) -> Package:
    """Read what the sources of a package say about it."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    sources = files_below(folder / "src")
    package = project["name"].replace("-", "_")
    version = re.search(rb'^__version__ = "(.+)"$', sources[f"{package}/__init__.py"], re.MULTILINE)
    return Package(
        name=project["name"],
        version=version[1].decode() if version else "none",
        project=project,
        sources=sources,
        shared=files_below(folder / "share"),
        licence=(folder.parents[1] / "LICENSE").read_bytes(),
    )


def files_below(folder: Path) -> Files:
    """Files by their names in a folder, which need not be there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def check(package: Package, dist: Path) -> Iterator[str]:
    """Everything that is wrong with a package's wheel and sdist."""
    stem = f"{package.module}-{package.version}"
    for pattern in DATA.get(package.module, ()):
        if not any(fnmatch(name, f"{package.module}/{pattern}") for name in package.sources):
            yield f"{package.name}: no {pattern} among the sources"
    for name in SHARED.get(package.module, ()):
        if name not in package.shared:
            yield f"{package.name}: no {name} in share"
    for pattern, read, checked in (
        (f"{stem}-py3-none-any.whl", read_wheel, check_wheel),
        (f"{stem}.tar.gz", read_sdist, check_sdist),
    ):
        if not (dist / pattern).is_file():
            yield f"{pattern}: not in {dist}"
            continue
        for problem in checked(package, read(dist / pattern)):
            yield f"{pattern}: {problem}"


def check_wheel(package: Package, files: Files) -> Iterator[str]:
    """Everything that is wrong with the content of a wheel."""
    info = f"{package.module}-{package.version}.dist-info"
    data = info.replace(".dist-info", ".data")
    shared = {f"{data}/data/share/{name}": text for name, text in package.shared.items()}
    code = {name: text for name, text in files.items() if not name.startswith(f"{info}/")}
    yield from differences({**package.sources, **shared}, code)
    yield from (f"{name}: a test" for name in code if matches(name, TESTS))
    if files.get(f"{info}/licenses/LICENSE") != package.licence:
        yield "LICENSE: missing, or not the project's"
    yield from check_metadata(package, files.get(f"{info}/METADATA", b""))
    yield from check_scripts(package, files.get(f"{info}/entry_points.txt", b""))


def check_sdist(package: Package, files: Files) -> Iterator[str]:
    """Everything that is wrong with the content of an sdist."""
    root = f"{package.module}-{package.version}/"
    inside = {name.removeprefix(root): data for name, data in files.items()}
    expected = {f"src/{name}": data for name, data in package.sources.items()}
    expected |= {f"share/{name}": data for name, data in package.shared.items()}
    built_from = {name: inside[name] for name in inside if name.startswith(("src/", "share/"))}
    yield from differences(expected, built_from)
    yield from (f"{name}: missing" for name in SDIST if "*" not in name and name not in inside)
    yield from (
        f"{name}: does not belong there"
        for name in inside
        if not matches(name, (*SDIST, ".gitignore"))  # hatchling adds the repository's
    )
    if inside.get("LICENSE", package.licence) != package.licence:
        yield "LICENSE: not the project's"
    yield from check_metadata(package, inside.get("PKG-INFO", b""))


def check_metadata(package: Package, text: bytes) -> Iterator[str]:
    """Whether the metadata says what pyproject.toml and ``__version__`` say."""
    metadata: Message = Parser().parsestr(text.decode())
    for key, expected in (
        ("Name", package.name),
        ("Version", package.version),
        ("Requires-Python", package.project["requires-python"]),
        ("License-Expression", package.project["license"]),
    ):
        if metadata[key] != expected:
            yield f"{key}: {metadata[key]}, not {expected}"
    required = requirements(metadata.get_all("Requires-Dist", []))
    expected_requirements = requirements(package.project["dependencies"])
    for word, names in (
        ("missing", expected_requirements - required),
        ("not in pyproject.toml", required - expected_requirements),
    ):
        yield from (f"Requires-Dist: {name}: {word}" for name in sorted(names))
    if not metadata.get_payload():
        yield "README.md: not in the metadata"


def check_scripts(package: Package, text: bytes) -> Iterator[str]:
    """Whether the wheel installs the executables of pyproject.toml and no others."""
    parser = ConfigParser()
    parser.read_string(text.decode())
    found = dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}
    if found != package.project.get("scripts", {}):
        yield f"console_scripts: {found}, not {package.project.get('scripts', {})}"


def differences(expected: Files, found: Files) -> Iterator[str]:
    """What ``found`` lacks, has too much or has otherwise."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name}: missing"
        elif name not in expected:
            yield f"{name}: not among the sources"
        elif expected[name] != found[name]:
            yield f"{name}: not as in the sources"


def requirements(lines: Iterable[str]) -> set[str]:
    """Requirements in one spelling: ``typer <0.29,>=0.26`` is ``typer<0.29,>=0.26``."""
    split = (re.fullmatch(r"([\w.-]+)(.*)", re.sub(r"[\s()]", "", line)) for line in lines)
    return {f"{match[1]}{','.join(sorted(match[2].split(',')))}" for match in split if match}


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file's name is like one of ``patterns``."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def read_wheel(path: Path) -> Files:
    """The files of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}


def read_sdist(path: Path) -> Files:
    """The files of an sdist."""
    with tarfile.open(path) as sdist:
        members = ((member.name, sdist.extractfile(member)) for member in sdist if member.isfile())
        return {name: file.read() for name, file in members if file is not None}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_wheels.py DIST")
    sys.exit(main(Path(sys.argv[1])))
