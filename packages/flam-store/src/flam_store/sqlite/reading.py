"""Looking at jobs, attempts and counts."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flam_store.errors import JobNotFound, QueueNotFound
from flam_store.names import is_name
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.state import State

if TYPE_CHECKING:
    from flam_store.job import Attempt, Claim, Job, Ledger
    from flam_store.overview import Overview, QueueInfo, Rate

_MINUTE_MS = 60_000
_RATE_MINUTES = (5, 60)
_UNSET = (None, None, None, None)


def job(db: sqlite3.Connection, job_id: str) -> Job:
    return job_by_seq(db, seq_of(db, job_id))


def job_by_seq(db: sqlite3.Connection, seq: int) -> Job:
    (row,) = db.execute(SQL["job_by_seq"], (seq,)).fetchall()
    return rows.job_as_far_as_readable(row)


def seq_of(db: sqlite3.Connection, job_id: str) -> int:
    found = is_name(job_id) and db.execute(SQL["seq_of"], (job_id,)).fetchall()
    if not found:
        raise JobNotFound(job_id)
    return int(found[0][0])


def attempts(db: sqlite3.Connection, job_id: str) -> tuple[Attempt, ...]:
    found = db.execute(SQL["attempts_of"], (seq_of(db, job_id),)).fetchall()
    return tuple(rows.attempt(row) for row in found)


def running(db: sqlite3.Connection) -> tuple[Claim, ...]:
    from flam_store.job import Claim

    held = db.execute(SQL["running"]).fetchall()
    return tuple(
        Claim(job=job_by_seq(db, seq), attempt=attempt, worker=worker)
        for seq, attempt, worker in held
    )


def ledger(db: sqlite3.Connection, first: int, last: int) -> Ledger:
    from flam_store.job import Ledger

    between = {"first": first, "last": last}
    ((following,),) = db.execute(SQL["next_seq"]).fetchall()
    return Ledger(
        jobs=frozenset(seq for (seq,) in db.execute(SQL["seqs_between"], between).fetchall()),
        starts=tuple(map(rows.start, db.execute(SQL["starts_between"], between).fetchall())),
        given=following - 1,
    )


def newest_started(db: sqlite3.Connection) -> Job | None:
    found = db.execute(SQL["newest_started"]).fetchall()
    return job_by_seq(db, found[0][0]) if found else None


def overview(db: sqlite3.Connection, now: int) -> Overview:
    from flam_store.overview import Overview

    known = queues(db)
    totals = {state: sum(queue.counts[state] for queue in known) for state in State}
    ((due,),) = db.execute(SQL["oldest_due"]).fetchall()
    return Overview(
        counts=totals,
        queues=known,
        oldest_due_at=rows.instant_as_far_as_readable(due),
        rates=tuple(_rate(db, minutes, now) for minutes in _RATE_MINUTES),
    )


def queues(db: sqlite3.Connection) -> tuple[QueueInfo, ...]:
    """Every queue that a job, a pause or a limit has named, by name."""
    settings = {row[0]: row[1:] for row in db.execute(SQL["queues"]).fetchall()}
    counts: dict[str, dict[State, int]] = {name: {} for name in settings}
    for queue, state, jobs in db.execute(SQL["counts"]).fetchall():
        counts.setdefault(queue, {})[State(state)] = jobs
    return tuple(_queue(name, counts[name], settings.get(name, _UNSET)) for name in sorted(counts))


def queue(db: sqlite3.Connection, name: str) -> QueueInfo:
    """One queue; QueueNotFound if nothing has named it."""
    asked = {"queue": name}
    settings = db.execute(SQL["queue_settings"], asked).fetchall()
    counts = {State(state): jobs for state, jobs in db.execute(SQL["counts_of"], asked).fetchall()}
    if not settings and not counts:
        raise QueueNotFound(name)
    return _queue(name, counts, settings[0] if settings else _UNSET)


def _queue(name: str, counts: dict[State, int], settings: rows.Row) -> QueueInfo:
    from flam_store.overview import QueueInfo

    paused_at, paused_by, note, concurrency = settings
    return QueueInfo(
        name=name,
        counts={state: counts.get(state, 0) for state in State},
        paused_at=rows.instant_as_far_as_readable(paused_at),
        paused_by=paused_by,
        note=note,
        concurrency=concurrency,
    )


def _rate(db: sqlite3.Connection, minutes: int, now: int) -> Rate:
    from flam_store.overview import Rate

    since = (now // _MINUTE_MS - minutes + 1) * _MINUTE_MS
    (row,) = db.execute(SQL["rates"], {"since": since}).fetchall()
    completed, failed, wait_ms, run_ms, ends = (value or 0 for value in row)
    return Rate(
        seconds=minutes * 60,
        completed=completed,
        failed=failed,
        wait_seconds=wait_ms / ends / 1000 if ends else None,
        run_seconds=run_ms / ends / 1000 if ends else None,
    )
