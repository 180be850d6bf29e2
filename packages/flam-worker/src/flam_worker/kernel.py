"""What the kernel offers and Python does not: reaping orphans, and holes in files."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_PR_SET_CHILD_SUBREAPER = 36
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> bool:
    """Make this process the parent of every descendant whose own parent ends (Linux).

    Returns whether that is so. It does not pass on to children.
    """
    if sys.platform != "linux":
        return False
    return int(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def leave_orphans() -> None:
    """Take ``adopt_orphans`` back."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Give the blocks of a stretch of a file back, which then reads as zeros.

    Returns False where the file system cannot. OSError for other trouble.
    """
    if sys.platform != "linux":
        return False
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    size = ctypes.c_long
    if _libc.fallocate(fd, mode, size(offset), size(length)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code))
