#!/usr/bin/env python3
"""Prints the lowest versions that the packages' dependencies allow, as constraints for pip.

Only ``name>=version`` with perhaps an upper bound has a lowest version; anything else is refused.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[\w,.-]+\])?>=(?P<version>[\w.]+)(,<[\w.]+)?")


def main(repository: Path = REPOSITORY) -> int:
    """Print a line for each dependency that is not one of the packages themselves."""
    found = [project(path) for path in sorted(repository.glob("packages/*/pyproject.toml"))]
    own = {name for name, _ in found}
    lines = [line for _, words in found for line in words]
    try:
        lowest = dict(lowest_versions(lines))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for name, version in sorted(lowest.items()):
        if name not in own:
            print(f"{name}=={version}")
    return 0


def project(path: Path) -> tuple[str, list[str]]:
    """A package's name and what it depends on."""
    table = tomllib.loads(path.read_text())["project"]
    return table["name"], [*table["dependencies"], *extras(table)]


def extras(table: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    for words in table.get("optional-dependencies", {}).values():
        yield from words


def lowest_versions(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The lower bound of each, where several name one package the highest of theirs."""
    highest: dict[str, str] = {}
    for requirement in requirements:
        match = REQUIREMENT.fullmatch(requirement.replace(" ", ""))
        if match is None:
            raise ValueError(f"{requirement!r} has no lowest version; write name>=version")
        name, version = match["name"], match["version"]
        highest[name] = max(highest.get(name, version), version, key=numbers)
    yield from highest.items()


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


if __name__ == "__main__":
    sys.exit(main())
