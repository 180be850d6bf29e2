"""Enqueueing what schedules are due for.

Whoever moves ``next_at`` on, stores the job and the tick's row in the same transaction: a tick
is enqueued at most once however many look, and stays due when one of them dies in the middle.
"""

from __future__ import annotations

import sqlite3

import attrs

from flam_store.clock import instant, millis
from flam_store.config import Config
from flam_store.cron import parse_cron
from flam_store.errors import KeyTaken
from flam_store.schedule import (
    LABEL,
    TICKS_KEPT,
    Look,
    Overlap,
    Schedule,
    Ticked,
    dropped_reason,
    look,
)
from flam_store.sqlite import enqueueing, rows
from flam_store.sqlite.due import next_tick
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.scheduling import from_row, job_of, schedule


def enqueue_due(db: sqlite3.Connection, limit: int, config: Config, now: int) -> Ticked:
    """Take each due schedule's turn; return what came of them."""
    jobs: list[str] = []
    problems: list[str] = []
    for row in db.execute(SQL["due_schedules"], {"now": now, "limit": limit}).fetchall():
        found, due = from_row(row), row[-1]
        if found.problem is not None:
            problems.append(f"schedule {found.name}: {found.problem}")
            _skip_unreadable(db, found, due, now)
        elif job_id := _turn(db, found, due, config, now):
            jobs.append(job_id)
    return attrs.evolve(next_tick(db, now), jobs=tuple(jobs), problems=tuple(problems))


def run(db: sqlite3.Connection, name: str, config: Config, now: int) -> str:
    """Enqueue the schedule's job now; its id."""
    return _enqueue(db, schedule(db, name), config, at=now, now=now)


def _turn(
    db: sqlite3.Connection, found: Schedule, due: int, config: Config, now: int
) -> str | None:
    cron = parse_cron(found.cron, found.timezone)
    todo = look(cron, rows.instant_within_the_calendar(due), instant(now), found.catch_up)
    next_at = None if todo.next_at is None else millis(todo.next_at)
    if not _move_on(db, found.name, due, next_at):
        return None
    if todo.dropped:
        _note(db, found.name, due, skipped=dropped_reason(todo.dropped))
    return _enqueue_or_skip(db, found, todo, config, now)


def _enqueue_or_skip(
    db: sqlite3.Connection, found: Schedule, todo: Look, config: Config, now: int
) -> str | None:
    if todo.tick is None:
        return None
    at = millis(todo.tick)
    if found.overlap is Overlap.SKIP and (earlier := _unfinished(db, found.name)):
        _note(db, found.name, at, skipped=f"job {earlier} is not finished")
        return None
    try:
        return _enqueue(db, found, config, at=at, now=now)
    except KeyTaken as error:
        reason = f"job {error.holder} holds the unique key {error.unique_key!r}"
        _note(db, found.name, at, skipped=reason)
        return None


def _enqueue(db: sqlite3.Connection, found: Schedule, config: Config, *, at: int, now: int) -> str:
    job = job_of(found)
    spec = attrs.evolve(job, labels={LABEL: found.name, **job.labels}).named()
    enqueueing.insert(db, [spec], config, now)
    ((seq,),) = db.execute(SQL["seq_of"], (spec.id,)).fetchall()
    _note(db, found.name, at, seq=seq, job_id=spec.id)
    return str(spec.id)


def _unfinished(db: sqlite3.Connection, name: str) -> str | None:
    held = db.execute(SQL["unfinished_of_schedule"], {"name": name}).fetchall()
    return held[0][0] if held else None


def _skip_unreadable(db: sqlite3.Connection, found: Schedule, due: int, now: int) -> None:
    """Move on all the same; where even the expression cannot be read, nothing more is to come."""
    try:
        following = parse_cron(found.cron, found.timezone).next(instant(now))
    except ValueError:
        following = None
    if _move_on(db, found.name, due, None if following is None else millis(following)):
        _note(db, found.name, due, skipped=found.problem)


def _move_on(db: sqlite3.Connection, name: str, due: int, next_at: int | None) -> bool:
    moved = db.execute(SQL["move_on"], {"name": name, "due": due, "next_at": next_at})
    return moved.rowcount == 1


def _note(
    db: sqlite3.Connection,
    name: str,
    at: int,
    *,
    seq: int | None = None,
    job_id: str | None = None,
    skipped: str | None = None,
) -> None:
    """Record what became of a tick, and keep the newest.

    Where jobs may not overlap, the tick of an unfinished one is kept for twice as long a list:
    it alone tells that others are to be skipped.

    A run by hand may have the very time of a tick: the second to come stands a moment later.
    """
    told = {"name": name, "at": at, "seq": seq, "job_id": job_id, "skipped": skipped}
    while db.execute(SQL["insert_tick"], told).rowcount != 1:
        told["at"] = at = at + 1
    db.execute(SQL["forget_old_ticks"], {"name": name, "kept": TICKS_KEPT})
