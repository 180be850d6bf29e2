"""Which process is which: proof before a signal."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from enum import StrEnum
from functools import cache

from flam_store.worker import ProcessId


class Presence(StrEnum):
    """What is known of a recorded process."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


def this_process() -> ProcessId:
    return process_of(os.getpid())


def process_of(pid: int) -> ProcessId:
    """The process of this host that has the pid now, for one that cannot lose it meanwhile."""
    return ProcessId(host=host(), boot=boot(), pid=pid, born=born(pid) or "")


@cache
def host() -> str:
    return os.uname().nodename


@cache
def boot() -> str:
    """This boot of this host and, where there are such, this pid namespace of it."""
    if sys.platform != "linux":
        import psutil

        return f"{psutil.boot_time():.0f}"
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"


def born(pid: int) -> str | None:
    """When the process was started, as a text to compare; None when there is none.

    A zombie has ended: it counts as none.
    """
    if sys.platform != "linux":
        return _born_by_psutil(pid)
    fields = _stat(pid)
    return None if fields is None or fields[0] in (b"Z", b"X") else fields[19].decode()


def _stat(pid: int) -> list[bytes] | None:
    """What the kernel says of a process of this host, from its state on (proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def _born_by_psutil(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None


def instant() -> str:
    """Now, on the clock by which ``born`` is told."""
    if sys.platform != "linux":
        return repr(time.time())
    seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
    return str(int(seconds * os.sysconf("SC_CLK_TCK")))


def presence(process: ProcessId) -> Presence:
    """Whether the recorded process lives: provable for the processes of this host alone.

    Another boot of this host has ended all its processes. Of another host, or of another
    pid namespace, nothing can be said.
    """
    if process.host != host():
        return Presence.UNKNOWN
    if process.boot != boot():
        same_boot = process.boot.partition(" ")[0] == boot().partition(" ")[0]
        return Presence.UNKNOWN if same_boot else Presence.GONE
    return Presence.ALIVE if born(process.pid) == process.born else Presence.GONE


def is_of_this_boot(process: ProcessId) -> bool:
    """Whether its pid and birth mean the same here: same host, boot and pid namespace."""
    return (process.host, process.boot) == (host(), boot())


def is_stopped(process: ProcessId) -> bool:
    """Whether the recorded process lives and does nothing, as SIGSTOP has stopped it."""
    if presence(process) is not Presence.ALIVE:
        return False
    if sys.platform != "linux":
        return _is_stopped_by_psutil(process.pid)
    fields = _stat(process.pid)
    return fields is not None and fields[0] == b"T"


def _is_stopped_by_psutil(pid: int) -> bool:
    import psutil

    try:
        return str(psutil.Process(pid).status()) == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def send(process: ProcessId, number: int) -> bool:
    """Send a signal if the process is provably the one recorded; say whether it was sent."""
    if process.pid <= 1 or presence(process) is not Presence.ALIVE:
        return False
    return send_to(process.pid, process.born, number)


def send_to(pid: int, born_then: str, number: int) -> bool:
    """Send a signal to the process of this host that has the pid and was born then."""
    if pid <= 1 or pid == os.getpid():
        return False
    if not hasattr(os, "pidfd_open"):
        return _send_by_psutil(pid, born_then, number)
    with suppress(OSError, OverflowError):
        fd = os.pidfd_open(pid)
        try:
            if born(pid) == born_then:
                signal.pidfd_send_signal(fd, number)
                return True
        finally:
            os.close(fd)
    return False


def _send_by_psutil(pid: int, born_then: str, number: int) -> bool:
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if repr(process.create_time()) == born_then:
            process.send_signal(number)
            return True
    return False


def usage(process: ProcessId) -> tuple[float, int] | None:
    """CPU in percent of a core since its start, and resident bytes, of a living process."""
    import psutil

    if presence(process) is not Presence.ALIVE:
        return None
    try:
        found = psutil.Process(process.pid)
        with found.oneshot():
            times, age = found.cpu_times(), max(0.01, time.time() - found.create_time())
            return (times.user + times.system) / age * 100, found.memory_info().rss
    except psutil.Error:
        return None
