"""The documents of the repository, and the blocks in them, each of which is checked by its kind.

``console``  is typed by the integration tests, and what comes out compared with what is shown
``python``   is run, and what it prints compared with the ``text`` below it
``sh``, ``ini``, ``crontab``, ``dockerfile``   cannot be run in a test: the commands of Flam in them
             are read as the programs read them
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

REPOSITORY = Path(__file__).resolve().parents[1]
READ_ONLY_KINDS = ("sh", "ini", "crontab", "dockerfile")
KINDS = ("console", "python", "text", *READ_ONLY_KINDS)

# Where a block may be a drawing, or something to write and not to run.
DRAWINGS = ("ARCHITECTURE.md", ".github/CONTRIBUTING.md")

_BLOCK = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind, "" if none is told, and what stands in it."""

    kind: str
    text: str


def documents(root: Path = REPOSITORY) -> list[str]:
    """Every Markdown file of the repository, by its name in it."""
    places = (root, root / ".github", root / "docs", root / "tools", *root.glob("packages/*"))
    found = [path for place in places for path in place.glob("*.md")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def blocks(name: str, root: Path = REPOSITORY) -> Iterator[Block]:
    """The blocks of a document, in order."""
    for kind, text in _BLOCK.findall((root / name).read_text("utf-8")):
        yield Block(kind, text)


def having(*kinds: str) -> list[str]:
    """The documents that have a block of one of these kinds."""
    return [name for name in documents() if any(each.kind in kinds for each in blocks(name))]


def picture_as_console(path: Path) -> str:
    """What a recording shows, as a ``console`` block would have it."""
    # What is read was made by tools/recording.py.
    lines = ET.parse(path).iter(f"{_SVG}text")  # noqa: S314
    return "".join(
        "".join(each.itertext()).replace("\N{NO-BREAK SPACE}", " ") + "\n" for each in lines
    )
