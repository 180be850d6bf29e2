"""Jobs that have ended: run again, or deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from flam_store.errors import JobNotFound, KeyTaken, WrongState
from flam_store.names import is_name
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.state import RETRYABLE, State


def retry(db: sqlite3.Connection, job_id: str, now: int) -> int:
    """Make the job pending again, or due if it failed; return its seq."""
    return run_again(db, _found(db, job_id, "retry", RETRYABLE), now)


def retry_dead_letter(db: sqlite3.Connection, job_id: str, now: int) -> int:
    """Make the dead letter pending again; return its seq."""
    return run_again(db, _found(db, job_id, "dlq retry", (State.DEAD,)), now)


def _found(
    db: sqlite3.Connection, job_id: str, verb: str, allowed: tuple[State, ...]
) -> tuple[int, str, str | None]:
    """Its seq, state and unique key. JobNotFound; WrongState."""
    found = is_name(job_id) and db.execute(SQL["state_of"], (job_id,)).fetchall()
    if not found:
        raise JobNotFound(job_id)
    ((seq, state, unique_key),) = found
    if state not in allowed:
        raise WrongState(job_id, state, verb, tuple(map(str, allowed)))
    return seq, state, unique_key


def run_again(db: sqlite3.Connection, job: tuple[int, str, str | None], now: int) -> int:
    """Retry the job with this seq, state and unique key, as they are now. KeyTaken."""
    seq, state, unique_key = job
    if state == State.FAILED:
        db.execute(SQL["retry_failed"], {"seq": seq, "now": now})
        return seq
    if holder := db.execute(SQL["key_holder"], (unique_key,)).fetchall():
        raise KeyTaken(str(unique_key), holder[0][0])
    db.execute(SQL["retry_finished"], {"seq": seq, "now": now})
    db.execute(SQL["block_children"], {"seq": seq, "now": now})
    return seq


def retry_dead(db: sqlite3.Connection, limit: int, now: int) -> int:
    """Of dead letters with one unique key, the oldest is revived and then holds it."""
    revived = 0
    while revived < limit:
        found = db.execute(SQL["dead_letters"], {"limit": limit - revived}).fetchall()
        if not found:
            break
        for (seq,) in found:
            revived += _revive(db, seq, now)
    return revived


def _revive(db: sqlite3.Connection, seq: int, now: int) -> int:
    try:
        revived = db.execute(SQL["retry_finished"], {"seq": seq, "now": now}).rowcount
    except sqlite3.IntegrityError:
        return 0
    db.execute(SQL["block_children"], {"seq": seq, "now": now})
    return revived


def delete(db: sqlite3.Connection, seqs: Collection[int]) -> tuple[int, ...]:
    """Delete these finished jobs; return their seqs."""
    if not seqs:
        return ()
    gone = {"seqs": rows.packed(list(seqs))}
    db.execute(SQL["satisfy_children"], gone)
    return tuple(sorted(seq for (seq,) in db.execute(SQL["purge"], gone).fetchall()))
