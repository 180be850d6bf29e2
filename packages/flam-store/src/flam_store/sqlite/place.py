"""Where a database may lie: its path from the URL, its file's mode and owner, its file system."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

from flam_store.errors import StoreError, StoreUnfit, StoreUrlError, UnsafeError

SCHEME = "sqlite:///"
_SHARED = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "afs", "ceph", "glusterfs", "lustre",
           "gpfs", "beegfs", "vboxsf", "prl_fs")  # fmt: skip


def path_of(url: str) -> str:
    """The absolute path that ``sqlite:///relative`` or ``sqlite:////absolute`` names."""
    path = os.fsdecode(unquote_to_bytes(url.removeprefix(SCHEME)))
    if not path or path.endswith("/"):
        raise StoreUrlError(url, "names no file")
    if "\0" in path or ":memory:" in path:
        raise StoreUrlError(url, "names no file that could outlive this process")
    return "/" + os.path.abspath(path).lstrip("/")


def make_file(path: str) -> None:
    """Make an empty database of mode 0600 under any umask, unless there is a file.

    SQLite gives ``-wal`` and ``-shm`` the mode of the database. The file is never opened when
    it exists: closing it would drop the locks of this process's connections. StoreError when
    it cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(path, f"cannot be made: {error.strerror}.") from error
    os.close(fd)


def check_file(path: str) -> None:
    """Refuse a database that somebody else could write. UnsafeError."""
    found = os.lstat(path)
    where = Path(path)
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeError(where, "is a symbolic link", "Name the file itself.")
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeError(where, "is no regular file", "Name another file.")
    if found.st_uid != os.geteuid():
        mend = f"As its owner, or: chown {os.geteuid()} {path}"
        raise UnsafeError(where, f"belongs to another user (uid {found.st_uid})", mend)
    if found.st_mode & 0o022:
        raise UnsafeError(where, "can be written by others", f"Mend it: chmod 600 {path}")


def check_file_system(path: str) -> None:
    """Refuse a file system whose locks do not hold between hosts. StoreUnfit.

    Only Linux says without a system call of its own which one it is.
    """
    if sys.platform != "linux":
        return
    kind = file_system(path)
    if kind.startswith(_SHARED) and kind != "fuseblk":
        problem = f"lies on {kind}, where SQLite's locks do not hold. Use a local disk."
        raise StoreUnfit(path, problem)


def file_system(path: str) -> str:
    """The kind of file system that the file's folder is on, as Linux names it; empty elsewhere."""
    device = os.stat(os.path.dirname(path)).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                fields = line.split(" ", 3)
                if fields[2] == wanted:
                    return line.rpartition(" - ")[2].split(" ", 1)[0]
    except OSError:
        pass
    return ""
