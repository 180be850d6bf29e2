"""Storing the jobs of hooks together with the outcome that sets them off."""

from __future__ import annotations

import sqlite3

import attrs

from flam_store.config import Config
from flam_store.errors import SpecError
from flam_store.hooks import hook_specs
from flam_store.outcome import Result
from flam_store.sqlite import enqueueing, rows
from flam_store.sqlite.queries import SQL


def enqueue_hooks(db: sqlite3.Connection, result: Result, config: Config, *, now: int) -> int:
    """Store what the outcome, which is recorded, sets off; return how many jobs that are.

    A row that another program has spoilt sets off nothing: its outcome stands all the same.
    """
    (row,) = db.execute(SQL["job_by_seq"], (result.seq,)).fetchall()
    which = {"seq": result.seq, "attempt": result.attempt}
    (ended,) = db.execute(SQL["attempt_of"], which).fetchall()
    try:
        specs = hook_specs(rows.job(row), rows.attempt(ended))
    except (SpecError, ValueError, TypeError, AttributeError, OverflowError):
        return 0
    # The configuration's hooks are for the jobs of producers: a hook's own would never end.
    without = attrs.evolve(config, on_success=None, on_failure=None, on_dead=None)
    return enqueueing.insert(db, [spec.named() for spec in specs], without, now)
