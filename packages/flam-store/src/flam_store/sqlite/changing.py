"""Changing what a job that waits asks for."""

from __future__ import annotations

import sqlite3

from flam_store.change import UNCHANGED, JobChange
from flam_store.clock import millis, span
from flam_store.errors import JobNotFound, SpecError, WrongState
from flam_store.names import is_name
from flam_store.spec import MAX_SPEC_BYTES
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.state import WAITING


def update(db: sqlite3.Connection, job_id: str, change: JobChange, now: int) -> int:
    """Change the job; return its seq. JobNotFound; WrongState; SpecError."""
    found = is_name(job_id) and db.execute(SQL["state_of"], (job_id,)).fetchall()
    if not found:
        raise JobNotFound(job_id)
    ((seq, state, _),) = found
    if state not in WAITING:
        raise WrongState(job_id, state, "update", tuple(map(str, WAITING)))
    timeout = None if change.timeout is UNCHANGED else change.timeout
    new = {
        "seq": seq,
        "now": now,
        "priority": change.priority,
        "queue": change.queue,
        "max_retries": change.max_retries,
        "new_timeout": change.timeout is not UNCHANGED,
        "timeout_ms": None if timeout is None else span(timeout),
        "run_at": _due(change, now),
    }
    db.execute(SQL["update_waiting"], new)
    _relabel(db, seq, change)
    return int(seq)


def _due(change: JobChange, now: int) -> int | None:
    if change.run_at is not None:
        return millis(change.run_at)
    return None if change.delay is None else now + span(change.delay)


def _relabel(db: sqlite3.Connection, seq: int, change: JobChange) -> None:
    if change.unlabel:
        db.execute(SQL["take_labels"], {"seq": seq, "keys": rows.packed_names(change.unlabel)})
    db.executemany(SQL["set_label"], [(seq, key, value) for key, value in change.labels.items()])
    ((size,),) = db.execute(SQL["spec_bytes"], {"seq": seq}).fetchall()
    if change.labels and size > MAX_SPEC_BYTES:
        problem = f"with these the job would be longer than {MAX_SPEC_BYTES:,} bytes of JSON"
        raise SpecError(problem, field="labels")
