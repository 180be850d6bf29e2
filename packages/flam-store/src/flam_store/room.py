"""Whether there is room to go on: blocks and files of a file system."""

from __future__ import annotations

import os
from pathlib import Path

from flam_store.finding import Finding, failed, passed, warned

_MIB = 1 << 20
_LITTLE_MIB, _NEXT_TO_NONE_MIB = 256, 16
_FEW_FILES, _NEXT_TO_NONE_FILES = 10_000, 100
_MEND = "Make room: delete what is not needed, or purge finished jobs"


def room(subject: str, folder: Path) -> Finding:
    """What is left for this user where the folder lies. OSError when that cannot be told."""
    found = os.statvfs(folder)
    left = found.f_bavail * found.f_frsize // _MIB
    # A file system that makes its inodes as it needs them says that it has none.
    files = found.f_favail if found.f_files else _FEW_FILES
    text = f"{left:,} MiB left at {folder}"
    if files < _FEW_FILES:
        text += f", and room for {files:,} files"
    if left < _NEXT_TO_NONE_MIB or files < _NEXT_TO_NONE_FILES:
        return failed(subject, text, _MEND)
    if left < _LITTLE_MIB or files < _FEW_FILES:
        return warned(subject, text, _MEND)
    return passed(subject, text)
