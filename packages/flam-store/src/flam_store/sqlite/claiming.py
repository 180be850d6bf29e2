"""Finishing attempts and claiming jobs, in one transaction."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, assert_never

import attrs

from flam_store.clock import span
from flam_store.config import Config
from flam_store.job import Claim, Job
from flam_store.outcome import Cancelled, Completed, Dead, Failure, Released, Result, Retry, When
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.state import FINISHED, AttemptState, State
from flam_store.worker import Turn

_Head = tuple[int, int, str, int | None]
"""Of a queue's first job: minus its priority, its number, its queue; how many that one may give."""

_PROMOTE_AT_ONCE = 10_000
"""Waiting jobs made ready in one transaction. No job is claimed while more are due."""


def turn(
    db: sqlite3.Connection,
    results: Sequence[Result],
    *,
    worker_id: str,
    want: int,
    queues: Collection[str] | None,
    config: Config,
    now: int,
    reported_at: int,
) -> tuple[Turn, int]:
    """Record the results, then claim up to ``want`` jobs for a registered worker.

    Also returns how many jobs the results have made fit for others to claim.
    """
    freed = [_finish(db, result, config, now=now, reported_at=reported_at) for result in results]
    refused = tuple(result for result, jobs in zip(results, freed, strict=True) if jobs is None)
    answer = _claims(db, worker_id=worker_id, want=want, queues=queues, config=config, now=now)
    return attrs.evolve(answer, refused=refused), sum(jobs or 0 for jobs in freed)


def _claims(
    db: sqlite3.Connection,
    *,
    worker_id: str,
    want: int,
    queues: Collection[str] | None,
    config: Config,
    now: int,
) -> Turn:
    if want < 1:
        return Turn()
    asked = {"worker": worker_id, "now": now}
    ((is_worker, is_due),) = db.execute(SQL["before_claims"], asked).fetchall()
    if not is_worker:
        return Turn()
    if is_due and _promote(db, now) == _PROMOTE_AT_ONCE:
        return Turn(next_due_in=timedelta(0))
    served = rows.packed_names(queues)
    claims: list[Claim] = []
    for seq in _in_order(db, served, config, want=want, now=now):
        claims += _claim(db, seq, worker_id, config=config, now=now)
        if len(claims) == want:
            break
    if len(claims) == want:
        return Turn(claims=tuple(claims))
    ((drained,),) = db.execute(SQL["drained"], {"queues": served}).fetchall()
    return Turn(claims=tuple(claims), next_due_in=_next_due(db, now), drained=bool(drained))


def _promote(db: sqlite3.Connection, now: int) -> int:
    return db.execute(SQL["promote_due"], {"now": now, "limit": _PROMOTE_AT_ONCE}).rowcount


def _next_due(db: sqlite3.Connection, now: int) -> timedelta | None:
    ((due,),) = db.execute(SQL["next_due"]).fetchall()
    return None if due is None else timedelta(milliseconds=max(0, due - now))


def _in_order(
    db: sqlite3.Connection, served: str | None, config: Config, *, want: int, now: int
) -> Iterator[int]:
    """The numbers of what may be claimed, in order. Each is taken before the next is asked for."""
    if config.priority_ageing is not None:
        level_ms = max(1, round(config.priority_ageing * 1000))
        asked = {"queues": served, "level_ms": level_ms, "now": now}
        while found := db.execute(SQL["choose_aged"], asked).fetchall():
            yield found[0][0]
        return
    while heads := _heads(db, served, limit=want):
        yield from _merged(db, heads)


def _heads(db: sqlite3.Connection, served: str | None, *, limit: int) -> list[_Head]:
    """The first job of each queue that gives any, in order; more than ``limit`` are not needed."""
    if served is None:
        return db.execute(SQL["choose"], {"limit": limit}).fetchall()
    return db.execute(SQL["choose_of"], {"queues": served, "limit": limit}).fetchall()


def _merged(db: sqlite3.Connection, heads: list[_Head]) -> Iterator[int]:
    """The jobs of these queues in order, as each is followed by the next of its queue."""
    while heads:
        _, seq, queue, room = heads[0]
        yield seq
        room = None if room is None else room - 1
        following = [] if room == 0 else db.execute(SQL["head_of"], (queue,)).fetchall()
        if following:
            heapq.heapreplace(heads, (*following[0], queue, room))
        else:
            heapq.heappop(heads)


def _claim(
    db: sqlite3.Connection, seq: int, worker_id: str, *, config: Config, now: int
) -> tuple[Claim, ...]:
    """Start the job. If its row cannot be read, it goes to the dead letters instead."""
    (row,) = db.execute(SQL["take"], {"seq": seq, "now": now}).fetchall()
    attempt, due_at = row[rows.ATTEMPT], row[rows.RUN_AT]
    start = {"seq": seq, "attempt": attempt, "worker": worker_id, "due_at": due_at, "now": now}
    db.execute(SQL["start_attempt"], start)
    try:
        return (Claim(job=_runnable(row), attempt=attempt, worker=worker_id),)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        _bury(db, (seq, attempt), f"its row cannot be read: {error}", config=config, now=now)
        return ()


def _runnable(row: rows.Row) -> Job:
    job = rows.job(row)
    if job.command is None and not job.args:
        raise ValueError("it has no command")
    return job


def _bury(
    db: sqlite3.Connection, start: tuple[int, int], problem: str, *, config: Config, now: int
) -> None:
    failure = Failure(state=AttemptState.FAILED, cause="unreadable", error=problem)
    seq, attempt = start
    result = Result(seq=seq, attempt=attempt, outcome=Dead(failure=failure))
    _finish(db, result, config, now=now, reported_at=now)


def _finish(
    db: sqlite3.Connection, result: Result, config: Config, *, now: int, reported_at: int
) -> int | None:
    """Write the outcome where the attempt still holds its job, or return None.

    Returns how many jobs it has made fit to be claimed.
    """
    fence = {"seq": result.seq, "attempt": result.attempt, "now": now}
    job = _job_after(result, now)
    if job["state"] != State.COMPLETED and db.execute(SQL["is_cancel_requested"], fence).fetchall():
        job |= {"state": State.CANCELLED.value, "ready": None, "given_back": 0, "run_at": None}
    settled = db.execute(SQL["settle_job"], fence | job).fetchall()
    if not settled:
        note = f"; its worker reported later: {_told(result)}"
        db.execute(SQL["note_late_result"], fence | {"note": note})
        return None
    ended_at = _tell_when(db, fence, result.when, now, reported_at)
    db.execute(SQL["end_attempt"], fence | _attempt_after(result) | {"ended_at": ended_at})
    ((may_have_children, may_have_hooks),) = settled
    fit = int(job["ready"] is not None)
    if may_have_children and job["state"] in FINISHED:
        fit += db.execute(SQL["unblock_children"], {"seq": result.seq, "now": now}).rowcount
    if may_have_hooks:
        fit += _run_hooks(db, result, config, now=now)
    return fit


def _run_hooks(db: sqlite3.Connection, result: Result, config: Config, *, now: int) -> int:
    from flam_store.sqlite.hooking import enqueue_hooks

    return enqueue_hooks(db, result, config, now=now)


def _tell_when(
    db: sqlite3.Connection, fence: dict[str, int], when: When | None, now: int, reported_at: int
) -> int:
    """Correct the start of an attempt that is reported late, and return when it ended."""
    if when is None:
        return now
    ended_at = min(now, reported_at - span(when.ended_ago))
    began_at = min(ended_at, reported_at - span(when.began_ago))
    db.execute(SQL["correct_start"], fence | {"began_at": began_at})
    return ended_at


def _job_after(result: Result, now: int) -> dict[str, Any]:
    state, ready, run_at, given_back = State.COMPLETED, None, None, 0
    match result.outcome:
        case Completed():
            pass
        case Retry(delay=delay):
            run_at = now + span(delay)
            state, ready = State.FAILED, int(run_at <= now)
        case Dead():
            state = State.DEAD
        case Cancelled():
            state = State.CANCELLED
        case Released():
            state, ready, given_back = State.PENDING, 1, 1
        case _ as unknown:
            assert_never(unknown)
    return {"state": state.value, "ready": ready, "run_at": run_at, "given_back": given_back}


def _attempt_after(result: Result) -> dict[str, Any]:
    ended: dict[str, Any] = {
        "exit_code": None, "signal": None, "cause": None, "error": None,
        "output_bytes": result.output_bytes,
    }  # fmt: skip
    match result.outcome:
        case Completed(exit_code=code):
            return ended | {"state": AttemptState.COMPLETED.value, "exit_code": code}
        case Retry(failure=failure) | Dead(failure=failure):
            return ended | {
                "state": failure.state.value, "exit_code": failure.exit_code,
                "signal": failure.signal, "cause": failure.cause, "error": failure.error,
            }  # fmt: skip
        case Cancelled(exit_code=code, signal=signal):
            how = {"exit_code": code, "signal": signal, "cause": "cancelled"}
            return ended | how | {"state": AttemptState.CANCELLED.value}
        case Released(reason=reason):
            how = {"cause": "released", "error": reason}
            return ended | how | {"state": AttemptState.RELEASED.value}
        case _ as unknown:
            assert_never(unknown)


def _told(result: Result) -> str:
    match result.outcome:
        case Retry(failure=failure) | Dead(failure=failure):
            return failure.error
        case Completed(exit_code=code):
            return f"exit code {code}"
        case outcome:
            return type(outcome).__name__.lower()
