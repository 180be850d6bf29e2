"""The supervisors as those who look at the schedules: whether there is one, and telling it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime

from flam_store import StoreReader
from flam_store.finding import Finding, counted, warned
from flam_store.worker import Role, WorkerRecord
from flam_worker.identity import Presence, host, presence, send


def is_watched(store: StoreReader) -> bool:
    """Whether a supervisor lives that enqueues what is due; one elsewhere, within its lease."""
    return any(map(_watches, _supervisors(store)))


def tell(store: StoreReader) -> None:
    """Have the supervisors of this host look now: the next tick may come before their next look.

    Those of other hosts look in a third of their lease.
    """
    for record in _supervisors(store):
        if record.process.host == host():
            send(record.process, signal.SIGUSR1)


def examine(store: StoreReader) -> Iterator[Finding]:
    """Schedules that wait for their ticks while nobody is there to enqueue them."""
    waiting = [each.name for each in store.schedules() if each.next_at is not None]
    if waiting and not is_watched(store):
        problem = f"{counted(len(waiting), 'schedule')} waiting, and no worker runs"
        yield warned("schedules", problem, "queuectl worker start")


def _supervisors(store: StoreReader) -> list[WorkerRecord]:
    return [record for record in store.workers() if record.role is Role.SUPERVISOR]


def _watches(record: WorkerRecord) -> bool:
    found = presence(record.process)
    silent = datetime.now(UTC) - record.heartbeat_at > record.lease
    return found is Presence.ALIVE or (found is Presence.UNKNOWN and not silent)
