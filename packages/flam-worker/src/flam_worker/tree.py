"""The processes of one attempt: found by what they carry, and ended."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import attrs

from flam_worker.environment import COOKIE
from flam_worker.footprint import Step
from flam_worker.identity import send_to

TERM_GRACE_SECONDS = 5.0
"""How long a command has between SIGTERM and SIGKILL."""

_KILL_PATIENCE_SECONDS = 10.0

Processes = dict[int, str]
"""Living processes: when each was born, by pid."""


@attrs.frozen(kw_only=True)
class Traces:
    """What the processes of an attempt can be known by.

    ``cookie`` is in their environment unless they cleared it, one of ``logs`` (paths without
    links) is their output unless they redirected it, ``leader`` led the session in which they
    began, if known.
    """

    cookie: str
    logs: frozenset[str]
    leader: Step | None


def found_by(traces: Traces) -> Processes:
    """The living processes that bear a trace, all in their sessions, and their descendants."""
    table = _table()
    marked = {pid for pid in table if _is_marked(pid, traces)}
    sessions = {table[pid].session for pid in marked}
    if traces.leader is not None and _is_session_of(traces.leader, table):
        sessions.add(traces.leader.pid)
    own = _own_sessions(table)
    members = {pid for pid, entry in table.items() if entry.session in sessions - own}
    return _living(table, _with_descendants(table, marked | members))


def cookies(but_not: set[int]) -> dict[int, tuple[str, str]]:
    """Every living process that carries a cookie: when it was born, and the cookie, by pid."""
    found = {}
    for pid, entry in _table().items():
        if pid not in but_not and not entry.ended and (cookie := _cookie(pid)):
            found[pid] = (entry.born, cookie)
    return found


def ancestry(pid: int) -> set[int]:
    """A process and its ancestors."""
    table, found = _table(), set[int]()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def users_of(path: str) -> Processes:
    """The other living processes that have the file open, as far as they can be seen."""
    try:
        wanted = os.stat(path)
    except OSError:
        return {}
    table = _table()
    users = {pid for pid in table if pid != os.getpid() and _has_open(pid, wanted)}
    return _living(table, users)


def descendants(pid: int) -> Processes:
    """The living descendants of a process of ours."""
    table = _table()
    return _living(table, _with_descendants(table, {pid}) - {pid})


def descendants_except(pid: int, others: set[int]) -> Processes:
    """The living descendants of a process of ours, without these and their descendants."""
    table = _table()
    kept = {each: entry for each, entry in table.items() if each not in others}
    return _living(kept, _with_descendants(kept, {pid}) - {pid})


def of_session(leader: int) -> Processes:
    """The living processes of the session that this one began."""
    table = _table()
    return _living(table, {pid for pid, entry in table.items() if entry.session == leader})


def end_all(find: Callable[[], Processes], grace_seconds: float, reap: Callable[[], None]) -> bool:
    """SIGTERM to all that ``find`` finds, SIGKILL after the grace; whether all are gone.

    ``find`` is asked again and again, as processes may have started others meanwhile. That
    it finds none counts only twice in a row: it reads one process after the other, and may
    have come too early for a child and too late for its parent.
    """
    started, told, nothing_before = time.monotonic(), set[tuple[int, str]](), False
    while True:
        reap()
        left = find()
        if not left:
            if nothing_before:
                return True
            nothing_before = True
            continue
        nothing_before = False
        waited = time.monotonic() - started
        if waited > grace_seconds + _KILL_PATIENCE_SECONDS:
            return False
        if waited > grace_seconds:
            _send_each(left.items(), signal.SIGKILL)
        else:
            _send_each(set(left.items()) - told, signal.SIGTERM)
            told.update(left.items())
        time.sleep(min(0.05, 0.002 + waited / 10))


def _send_each(processes: Iterable[tuple[int, str]], number: int) -> None:
    for pid, then in processes:
        send_to(pid, then, number)
        send_to(pid, then, signal.SIGCONT)


@attrs.frozen
class _Entry:
    parent: int
    session: int
    born: str
    ended: bool


def _is_session_of(leader: Step, table: dict[int, _Entry]) -> bool:
    """Whether the session of the leader's number is provably the leader's.

    A number is not given again while its process or a process of its session lives. So it is
    if one of them is as old as the last sight of the leader.
    """
    if leader.pid in table:
        return float(table[leader.pid].born) <= leader.seen
    members = (entry for entry in table.values() if entry.session == leader.pid)
    return any(float(entry.born) <= leader.seen for entry in members)


def _table() -> dict[int, _Entry]:
    """Every process that can be seen, also those that have ended and wait to be reaped."""
    if sys.platform != "linux":
        return _table_by_psutil()
    table = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent, _, session, *more = file.read().rpartition(b")")[2].split()
                ended = state in (b"Z", b"X")
                table[int(name)] = _Entry(int(parent), int(session), more[15].decode(), ended)
    return table


def _table_by_psutil() -> dict[int, _Entry]:
    import psutil

    table = {}
    for process in psutil.process_iter(["ppid", "create_time", "status"]):
        with suppress(OSError, psutil.Error):
            facts = process.info
            ended = facts["status"] == psutil.STATUS_ZOMBIE
            session = os.getsid(process.pid)
            table[process.pid] = _Entry(
                facts["ppid"] or 0, session, repr(facts["create_time"]), ended
            )
    return table


def _is_marked(pid: int, traces: Traces) -> bool:
    return _has_cookie(pid, traces.cookie) or _writes_to(pid, traces.logs)


def _has_cookie(pid: int, cookie: str) -> bool:
    wanted = f"{COOKIE}={cookie}"
    if sys.platform != "linux":
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(pid).environ().get(COOKIE) == cookie
        return False
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return wanted.encode() in file.read().split(b"\0")
    return False


def _cookie(pid: int) -> str | None:
    if sys.platform != "linux":
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(pid).environ().get(COOKIE)
        return None
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == COOKIE.encode():
                return value.decode(errors="replace")
    return None


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    if sys.platform != "linux":
        import psutil

        with suppress(OSError, psutil.Error):
            files = (os.stat(file.path) for file in psutil.Process(pid).open_files())
            return any(os.path.samestat(wanted, found) for found in files)
        return False
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.path.samestat(wanted, os.stat(f"/proc/{pid}/fd/{name}")):
                    return True
    return False


def _writes_to(pid: int, logs: frozenset[str]) -> bool:
    for fd in (1, 2):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{fd}") in logs:
                return True
    return False


def _own_sessions(table: dict[int, _Entry]) -> set[int]:
    """Sessions that are never a job's: this process's and its parent's, and the kernel's."""
    near = (os.getpid(), os.getppid())
    return {0} | {table[pid].session for pid in near if pid in table}


def _with_descendants(table: dict[int, _Entry], roots: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    found, queue = set(roots), list(roots)
    while queue:
        new = [pid for pid in children.get(queue.pop(), ()) if pid not in found]
        found.update(new)
        queue += new
    return found


def _living(table: dict[int, _Entry], pids: Iterable[int]) -> Processes:
    return {pid: table[pid].born for pid in pids if pid in table and not table[pid].ended}
