"""The register of workers and supervisors."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from flam_store.clock import span
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.worker import Orders, Registration, Stop, WorkerRecord


def register(db: sqlite3.Connection, worker: Registration, now: int) -> None:
    db.execute(
        SQL["register"],
        {
            "id": worker.id,
            "role": worker.role.value,
            "supervisor": worker.supervisor,
            "host": worker.process.host,
            "boot": worker.process.boot,
            "pid": worker.process.pid,
            "born": worker.process.born,
            "queues": rows.packed_names(worker.queues),
            "lease_ms": span(worker.lease),
            "now": now,
        },
    )


def renew(db: sqlite3.Connection, worker_id: str, now: int) -> Orders:
    db.execute(SQL["renew"], {"id": worker_id, "now": now})
    return orders(db, worker_id)


def orders(db: sqlite3.Connection, worker_id: str) -> Orders:
    found = db.execute(SQL["stop_of"], (worker_id,)).fetchall()
    if not found:
        return Orders(known=False)
    stop = found[0][0]
    cancelled = db.execute(SQL["cancelled_of"], (worker_id,)).fetchall()
    return Orders(
        known=True,
        stop=None if stop is None else Stop(stop),
        cancelled=frozenset((seq, attempt) for seq, attempt in cancelled),
    )


def forget(db: sqlite3.Connection, worker_id: str) -> None:
    db.execute(SQL["forget"], {"id": worker_id})


def request_stop(db: sqlite3.Connection, worker_ids: Collection[str], stop: Stop) -> None:
    asked = {"ids": rows.packed_names(worker_ids), "stop": stop.value}
    db.execute(SQL["request_stop"], asked)


def workers(db: sqlite3.Connection) -> tuple[WorkerRecord, ...]:
    return tuple(rows.worker(row) for row in db.execute(SQL["workers"]).fetchall())
