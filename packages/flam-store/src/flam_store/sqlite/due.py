"""When the next tick of any schedule is: what every pool asks, also where there are none."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from flam_store.schedule import Ticked
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL

_LONGEST_MS = rows.END_OF_TIME
"""A spoilt ``next_at`` may be more than a duration can hold."""


def next_tick(db: sqlite3.Connection, now: int) -> Ticked:
    """When the next tick is, and nothing done."""
    ((next_at,),) = db.execute(SQL["next_tick"]).fetchall()
    if next_at is None:
        return Ticked()
    wait = min(max(0, next_at - now), _LONGEST_MS)
    return Ticked(next_in=timedelta(milliseconds=wait))
