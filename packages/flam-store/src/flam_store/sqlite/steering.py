"""What somebody wants of jobs and queues: cancel, pause, limit."""

from __future__ import annotations

import sqlite3

from flam_store.errors import JobNotFound, WrongState
from flam_store.names import is_name
from flam_store.overview import QueueInfo
from flam_store.sqlite import reading
from flam_store.sqlite.queries import SQL
from flam_store.state import FINISHED, State


def cancel(db: sqlite3.Connection, job_id: str, by: str, now: int) -> int:
    """End a job that waits, or ask the worker of one that runs to end it; return its seq."""
    found = is_name(job_id) and db.execute(SQL["state_of"], (job_id,)).fetchall()
    if not found:
        raise JobNotFound(job_id)
    ((seq, state, _),) = found
    if state in FINISHED:
        allowed = tuple(str(each) for each in State if each not in FINISHED)
        raise WrongState(job_id, state, "cancel", allowed)
    end(db, seq, state, by=by, now=now)
    return int(seq)


def end(db: sqlite3.Connection, seq: int, state: str, *, by: str, now: int) -> None:
    """End a job that stands in this state now and is not finished, or ask for its end."""
    if state == State.PROCESSING:
        db.execute(SQL["request_cancel"], {"seq": seq, "now": now, "by": by})
    else:
        db.execute(SQL["cancel_waiting"], {"seq": seq, "now": now})
        db.execute(SQL["unblock_children"], {"seq": seq, "now": now})


def pause(db: sqlite3.Connection, queue: str, by: str, note: str | None, now: int) -> QueueInfo:
    asked = {"queue": queue, "now": now, "by": by, "note": note}
    db.execute(SQL["pause_queue"], asked)
    return reading.queue(db, queue)


def resume(db: sqlite3.Connection, queue: str) -> QueueInfo:
    """A queue that nobody has named is not there. QueueNotFound."""
    db.execute(SQL["resume_queue"], {"queue": queue})
    return reading.queue(db, queue)


def limit(db: sqlite3.Connection, queue: str, concurrency: int | None) -> QueueInfo:
    db.execute(SQL["limit_queue"], {"queue": queue, "concurrency": concurrency})
    return reading.queue(db, queue)
