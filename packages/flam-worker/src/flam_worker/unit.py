"""The unit files for service managers, with the program that is running put in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from xml.sax.saxutils import escape

UNITS = {
    "service": "flam-worker.service",
    "template": "flam-worker@.service",
    "launchd": "flam-worker.plist",
}
"""The file of each kind: for systemd, for systemd with the queue as the instance, for launchd."""


def unit(kind: str) -> str:
    """The text of a unit that starts this very program."""
    text = (files("flam_worker") / "units" / UNITS[kind]).read_text("utf-8")
    program = _program()
    strings = "\n".join(f"    <string>{escape(word)}</string>" for word in program)
    return text.replace("{program_strings}", strings).replace("{program}", _quoted(program))


def _program() -> Sequence[str]:
    """The bundle or the installed script that is running, or else interpreter and module."""
    script = os.path.abspath(sys.argv[0])
    if getattr(sys, "frozen", False):
        return [sys.executable]
    if os.path.basename(script) == "flam-worker":
        return [script]
    return [sys.executable, "-P", "-m", "flam_worker"]


def _quoted(words: Sequence[str]) -> str:
    """As systemd reads a command line: % and $ mean something, and so do blanks and quotes."""
    return " ".join(map(_quoted_word, words))


def _quoted_word(word: str) -> str:
    plain = word.replace("%", "%%").replace("$", "$$")
    if all(sign.isalnum() or sign in "/._-+:@%" for sign in plain):
        return plain
    inner = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
