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
_FILES_BESIDE = ("-wal", "-shm", "-journal", "-gate")


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
    it cannot be made, UnsafeError when its folder is nobody's to trust.
    """
    check_folder(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(path, f"cannot be made: {error.strerror}.") from error
    os.fchmod(fd, 0o600)  # a umask may have taken rights from us too
    os.close(fd)


def check_file(path: str) -> None:
    """Refuse a database that somebody else could write, or lead us astray beside. UnsafeError."""
    check_folder(path)
    found = os.lstat(path)
    _check_no_link(path, found, "Name the file itself.")
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeError(Path(path), "is no regular file", "Name another file.")
    _check_ours(path, found)
    for ending in _FILES_BESIDE:
        _check_beside(f"{path}{ending}", must_be_file=True)
    # No folder in place of the bells only means that nobody is woken by one.
    _check_beside(f"{path}-bells", must_be_file=False)


def check_folder(path: str) -> None:
    """Refuse a folder in which somebody else could put a file at the database's name, or beside.

    A sticky bit keeps others from taking ours away, not from being there first. A group may
    write: hosts that give every user a group of their own set a umask of 002, and there the
    folder of any project is group-writable and harmless.
    """
    folder = os.path.dirname(path)
    try:
        found = os.stat(folder)
    except OSError:
        return  # whoever opens the database meets it too, and says so
    if found.st_uid not in (0, os.geteuid()):
        problem = f"belongs to another user (uid {found.st_uid}), who could replace {path}"
        raise UnsafeError(Path(folder), problem, "Use a folder of your own.")
    if found.st_mode & stat.S_IWOTH:
        problem = f"can be written by everybody, who could put files beside {path}"
        raise UnsafeError(Path(folder), problem, "Use a folder of your own in it.")


def _check_beside(path: str, *, must_be_file: bool) -> None:
    """A log, an index or a journal of somebody else's would be read into the database."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    _check_no_link(path, found, "Take it away.")
    if must_be_file and not stat.S_ISREG(found.st_mode):
        raise UnsafeError(Path(path), "is no regular file", "Take it away.")
    _check_ours(path, found)


def _check_no_link(path: str, found: os.stat_result, mend: str) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise UnsafeError(Path(path), "is a symbolic link", mend)


def _check_ours(path: str, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        mend = f"As its owner, or: chown {os.geteuid()} {path}"
        raise UnsafeError(Path(path), f"belongs to another user (uid {found.st_uid})", mend)
    if found.st_mode & 0o022:
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise UnsafeError(Path(path), "can be written by others", f"Mend it: chmod {mode} {path}")


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
