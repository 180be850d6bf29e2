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
    return [_interpreter(), "-P", *_code()]


def _code() -> list[str]:
    loader = getattr(sys.modules["__main__"], "__loader__", None)
    if isinstance(loader, zipimporter):
        return [os.path.abspath(loader.archive)]
    return ["-m", "flam_worker"]


def _interpreter() -> str:
    """Python does not know its own path when it was found without a PATH."""
    return sys.executable or os.path.realpath("/proc/self/exe")
