"""Processes of attempts that are over: they carry the cookie of one, and should be gone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import attrs

from flam_store import AttemptState, StoreReader
from flam_store.finding import Finding, Repair, counted, passed, warned
from flam_store.output import Logs
from flam_worker import tree
from flam_worker.identity import born

_GRACE_SECONDS = 2.0
_MOST_NAMED = 5


@attrs.frozen
class Leftover:
    """A living process, and the cookie of the attempt that left it."""

    pid: int
    born: str
    seq: int
    attempt: int
    cookie: str


def find(store: StoreReader) -> tuple[Leftover, ...]:
    """Those whose attempt is in this store, by the same worker, and has ended.

    An attempt of a purged job cannot be told from one of another queue: its processes are not
    counted. Never this process, nor those that it runs under.
    """
    bearers = tree.cookies(but_not=tree.ancestry(os.getpid()))
    found = (_read(pid, then, cookie) for pid, (then, cookie) in bearers.items())
    return tuple(each for each in found if each and _is_over(each, store))


def examine(store: StoreReader) -> Iterator[Finding]:
    left = find(store)
    if left:
        more = ", …" if len(left) > _MOST_NAMED else ""
        pids = ", ".join(str(each.pid) for each in left[:_MOST_NAMED])
        text = f"{counted(len(left), 'process')} of attempts that are over: pid {pids}{more}"
        yield warned("processes", text, "queuectl doctor --repair")
    else:
        yield passed("processes", "none is left of attempts that are over")


def end(logs: Logs, store: StoreReader) -> Iterator[Repair]:
    """SIGTERM, then SIGKILL, to all that an attempt left, each proved to be the one seen."""
    spared = tree.ancestry(os.getpid())
    for seq, attempt, cookie in {(each.seq, each.attempt, each.cookie) for each in find(store)}:
        log = os.path.realpath(logs.path_of(seq, attempt))
        traces = tree.Traces(cookie=cookie, logs=frozenset((log,)), leader=None)

        def left(traces: tree.Traces = traces) -> tree.Processes:
            found = tree.found_by(traces)
            return {pid: then for pid, then in found.items() if pid not in spared}

        if tree.end_all(left, _GRACE_SECONDS, reap=lambda: None):
            yield Repair(subject="processes", text=f"what attempt {seq}-{attempt} left was ended")


def _read(pid: int, then: str, cookie: str) -> Leftover | None:
    worker, _, fence = cookie.partition(":")
    seq, _, attempt = fence.partition(":")
    numbers = (seq, attempt)
    if not worker or not all(n.isascii() and n.isdecimal() and len(n) < 19 for n in numbers):
        return None
    return Leftover(pid, then, int(seq), int(attempt), cookie)


def _is_over(process: Leftover, store: StoreReader) -> bool:
    """Asked of the store after the process was seen, so that it lived on beyond its attempt."""
    worker = process.cookie.partition(":")[0]
    for start in store.ledger(process.seq, process.seq).starts:
        if (start.attempt, start.worker) == (process.attempt, worker):
            return start.state is not AttemptState.RUNNING and born(process.pid) == process.born
    return False
