"""Tests that run in namespaces of their own: small disks, own process ids.

The body of such a test runs in a forked process. What it mounts, and every process of its
pid namespace, vanishes with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec

import pytest

P = ParamSpec("P")

_NEWNS, _NEWUSER, _NEWPID = 0x00020000, 0x10000000, 0x20000000
_PR_SET_PDEATHSIG = 1


def with_own_mounts(test: Callable[P, None]) -> Callable[P, None]:
    """Run the test where it can mount; what it mounts is seen by nobody else."""
    return _inside(test, pids=False)


def with_own_pids(test: Callable[P, None]) -> Callable[P, None]:
    """Run the test in a pid namespace, in which it decides what pid comes next."""
    return _inside(test, pids=True)


def next_pid(pid: int) -> None:
    """Let the next process that is started here have this pid, if it is free."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))


def _inside(test: Callable[P, None], *, pids: bool) -> Callable[P, None]:
    @wraps(test)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        if problem := _problem(pids=pids):
            pytest.skip(f"there are no namespaces to be had: {problem}")
        if told := _forked(lambda: test(*args, **kwargs), pids=pids):
            pytest.fail(told, pytrace=False)

    return wrapped


@cache
def _problem(*, pids: bool) -> str | None:
    if sys.platform != "linux":
        return "this is not Linux"

    def probe() -> None:
        mount("tmpfs", Path("/mnt"), "size=64k")
        if pids:
            next_pid(os.getpid() + 50)

    told = _forked(probe, pids=pids)
    return told and told.strip().rpartition("\n")[2]


def mount(kind: str, place: Path, options: str) -> None:
    """Mount a file system, or change one with the kind ``remount``."""
    words = ["-o", f"remount,{options}"] if kind == "remount" else ["-t", kind, "-o", options, kind]
    subprocess.run(["mount", *words, place], check=True, stdin=subprocess.DEVNULL)


def _forked(body: Callable[[], None], *, pids: bool) -> str:
    """Run the body in a process in its own namespaces; what went wrong, or nothing."""
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_fd)
        _child(body, write_fd, pids=pids)
    os.close(write_fd)
    try:
        with open(read_fd, encoding="utf-8") as told:
            return told.read()
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _child(body: Callable[[], None], told: int, *, pids: bool) -> None:
    """The life of the forked process; it never returns.

    As the first of a pid namespace it only reaps, and the body runs in another.
    """
    try:
        _die_with_parent()
        _unshare(_NEWNS | (_NEWPID if pids else 0))
        if pids:
            _fork_and_wait(told)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        if pids:
            mount("proc", Path("/proc"), "nosuid")
            _fork_and_wait(told)
        body()
    except BaseException:  # noqa: BLE001, also pytest's own are no Exception
        os.write(told, traceback.format_exc().encode())
    finally:
        os._exit(0)


def _fork_and_wait(told: int) -> None:
    """Go on in a child, which does not outlive this process; reap whatever ends until then."""
    if child := os.fork():
        os.close(told)
        while os.wait()[0] != child:
            pass
        os._exit(0)
    _die_with_parent()


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(flags if uid == 0 else flags | _NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
