"""Deleting what is too old, a stretch at a time, so that nobody else waits for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import attrs

from flam_store.clock import span
from flam_store.job import Expired
from flam_store.sqlite import finished
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.rows import packed
from flam_store.sqlite.session import Session
from flam_store.state import FINISHED, State

_CHUNK, _CHUNKS = 500, 10
"""How many jobs are read at once, and how often, until a look ends without having found enough."""

_HOUR_MS = 3_600_000
_KEPT_MINUTES_MS = 48 * _HOUR_MS


@attrs.frozen(kw_only=True)
class Stretch:
    """Jobs of a state that come after the ``seq`` ``after``; at most ``limit`` are deleted."""

    state: State
    older_than: timedelta
    after: int
    limit: int


def expire(session: Session, which: Stretch, now: int) -> Expired:
    """Find them by reading alone, so that nothing is locked while there is nothing to do."""
    if which.state not in FINISHED:
        raise ValueError(f"jobs that are {which.state} are not finished")
    until = now - span(which.older_than)
    found = session.read(lambda db: _found(db, which, until))
    if not found.seqs:
        return found
    asked = {"seqs": packed(found.seqs), "state": which.state.value, "until": until}
    return attrs.evolve(found, seqs=session.write(partial(_delete, asked=asked)))


def _found(db: sqlite3.Connection, which: Stretch, until: int) -> Expired:
    """Which are old enough, and where to go on.

    After one that was stored too late an old one is the exception, and there it is: its number
    is from an import, or the clock was ahead when the other was stored.
    """
    old: list[int] = []
    after = which.after
    young = False
    for _ in range(_CHUNKS):
        asked = {"state": which.state.value, "until": until, "after": after, "limit": _CHUNK}
        found = db.execute(SQL["ended_after"], asked).fetchall()
        for after, created_at, is_old in found:
            young = young or created_at > until
            old += [after] if is_old else []
            if len(old) == which.limit:
                return Expired(seqs=tuple(old), after=after, young=young)
        if len(found) < _CHUNK:
            return Expired(seqs=tuple(old), after=None, young=young)
    return Expired(seqs=tuple(old), after=after, young=young)


def _delete(db: sqlite3.Connection, asked: Mapping[str, object]) -> tuple[int, ...]:
    """They may have been retried, or needed, since they were found."""
    still = [seq for (seq,) in db.execute(SQL["still_old"], asked).fetchall()]
    return finished.delete(db, still)


def forget_minutes(session: Session, limit: int, now: int) -> int:
    """An hour's minutes go together, so that this is little to do most of the time."""
    until = (now - _KEPT_MINUTES_MS) // _HOUR_MS * _HOUR_MS
    asked = {"until": until, "limit": limit}
    if not session.read(lambda db: db.execute(SQL["old_minutes"], asked).fetchall()):
        return 0
    return session.write(lambda db: db.execute(SQL["drop_minutes"], asked).rowcount)
