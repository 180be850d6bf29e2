"""Putting a backup back, unless somebody is at work on what it would replace."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flam_store.copies import Restored
from flam_store.errors import StoreInUse
from flam_store.opening import database_path, restore_store, without_password
from flam_store.worker import WorkerRecord
from flam_worker import tree
from flam_worker.identity import Presence, presence


def restore(url: str, backup: Path) -> Restored:
    """Put ``backup`` in the place of the store at ``url``; see ``restore_store``.

    StoreInUse while a worker or supervisor of it lives, or may live elsewhere within its lease;
    and, where the register cannot be read, while any process has the database open.
    """

    def refuse(workers: tuple[WorkerRecord, ...] | None) -> None:
        users = _at_work(workers) if workers is not None else _with_it_open(url)
        if users:
            raise StoreInUse(without_password(url), users)

    return restore_store(url, backup, refuse=refuse)


def _at_work(workers: tuple[WorkerRecord, ...]) -> tuple[str, ...]:
    return tuple(
        f"{worker.role.value} pid {worker.process.pid} on {worker.process.host}"
        for worker in workers
        if _may_work(worker)
    )


def _may_work(worker: WorkerRecord) -> bool:
    match presence(worker.process):
        case Presence.ALIVE:
            return True
        case Presence.GONE:
            return False
        case Presence.UNKNOWN:
            return datetime.now(UTC) - worker.heartbeat_at <= worker.lease


def _with_it_open(url: str) -> tuple[str, ...]:
    return tuple(f"pid {pid}" for pid in sorted(tree.users_of(str(database_path(url)))))
