"""How the program that is running is started once more."""

from __future__ import annotations

import os
import sys
from zipimport import zipimporter


def program() -> list[str]:
    """The words that start ``flam-worker``, as it is here: a bundle, one file, or a module.

    ``-P`` keeps the working directory out of the module path, where anything could lie.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable]
    file = archive()
    return [_interpreter(), "-P", *(["-m", "flam_worker"] if file is None else [file])]


def archive() -> str | None:
    """The one file that is running, or None if it is installed or a bundle."""
    loader = getattr(sys.modules["__main__"], "__loader__", None)
    return os.path.abspath(loader.archive) if isinstance(loader, zipimporter) else None


def _interpreter() -> str:
    """Python does not know its own path when it was found without a PATH."""
    return sys.executable or os.path.realpath("/proc/self/exe")
