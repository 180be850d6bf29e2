#!/usr/bin/env python3
"""Writes what is made from the programs' own declarations: reference, manual pages, completion.

They are docs/commands.md and what lies in packages/*/share, from where the wheels install it.
With --check nothing is written, and what is not as the programs say is named.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flam_cli.root import root
from flam_worker.__main__ import parser
from pages import completions, markdown, roff, told
from pages.declared import Command, of_argparse, of_typer
from release import ASSIGNMENT, HEADING

REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None, repository: Path = REPOSITORY) -> int:
    words = argparse.ArgumentParser(prog="reference.py", description=__doc__)
    words.add_argument("--check", action="store_true", help="write nothing; 1 if any is stale")
    given = words.parse_args(arguments)
    stale = {
        name: text for name, text in made(repository).items() if _is(repository / name) != text
    }
    for name, text in stale.items():
        if given.check:
            print(f"{name}: not what the programs say. Run tools/reference.py")
            continue
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text, "utf-8")
        print(f"{name}: written")
    return 1 if stale and given.check else 0


def made(repository: Path) -> Mapping[str, str]:
    """The files by their names in the repository, as they should be."""
    queuectl, flam_worker = programs()
    share = "packages/flam-cli/share"
    return {
        "docs/commands.md": markdown.reference(
            [(queuectl, told.QUEUECTL), (flam_worker, told.FLAM_WORKER)]
        ),
        f"{share}/man/man1/queuectl.1": _page(repository, "flam-cli", queuectl, told.QUEUECTL),
        "packages/flam-worker/share/man/man1/flam-worker.1": _page(
            repository, "flam-worker", flam_worker, told.FLAM_WORKER
        ),
        **{
            f"{share}/{place}": completions.script(shell)
            for shell, place in completions.PLACES.items()
        },
    }


def programs() -> tuple[Command, Command]:
    """Of queuectl, and of flam-worker."""
    return of_typer(root(), "queuectl"), of_argparse(parser())


def _page(repository: Path, package: str, program: Command, page: told.Told) -> str:
    folder = repository / "packages" / package
    module = folder / "src" / package.replace("-", "_") / "__init__.py"
    version = _first(ASSIGNMENT, module.read_text("utf-8"))
    date = _released(version, (folder / "CHANGELOG.md").read_text("utf-8"))
    return roff.page(program, page, source=f"{package} {version}", date=date)


def _released(version: str, changelog: str) -> str:
    """The day of a version's release; nothing before that."""
    dates: Iterator[str] = (
        each[2] or "" for each in HEADING.finditer(changelog) if each[1] == version
    )
    return next(dates, "")


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    if match is None:
        raise SystemExit("reference.py: a package has no __version__")
    return match[1]


def _is(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
