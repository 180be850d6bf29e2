"""The unit files for service managers, with the program that is running put in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from xml.sax.saxutils import escape

from flam_worker.program import archive, program

UNITS = {
    "service": "flam-worker.service",
    "template": "flam-worker@.service",
    "launchd": "flam-worker.plist",
}
"""The file of each kind: for systemd, for systemd with the queue as the instance, for launchd."""

_UNPACKED = "CacheDirectory=flam-worker\nEnvironment=SHIV_ROOT=%C/flam-worker\n"
"""Where the one file unpacks itself: a user of the system has no home for that."""


def unit(kind: str) -> str:
    """The text of a unit that starts this very program."""
    text = (files("flam_worker") / "units" / UNITS[kind]).read_text("utf-8")
    text = text.replace("{unpacked}\n", _UNPACKED if archive() else "")
    words = _words()
    strings = "\n".join(f"    <string>{escape(word)}</string>" for word in words)
    return text.replace("{program_strings}", strings).replace("{program}", _quoted(words))


def _words() -> Sequence[str]:
    """The installed script that is running, as a person would write it, or else the program."""
    script = os.path.abspath(sys.argv[0])
    if os.path.basename(script) == "flam-worker" and not getattr(sys, "frozen", False):
        return [script]
    return program()


def _quoted(words: Sequence[str]) -> str:
    """As systemd reads a command line: % and $ mean something, and so do blanks and quotes."""
    return " ".join(map(_quoted_word, words))


def _quoted_word(word: str) -> str:
    plain = word.replace("%", "%%").replace("$", "$$")
    if all(sign.isalnum() or sign in "/._-+:@%" for sign in plain):
        return plain
    inner = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'
