"""What can be put right from the rows alone, without deciding anything about a job."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

from flam_store.finding import Repair, counted
from flam_store.sqlite import bells, scheduling
from flam_store.sqlite.copying import abandoned
from flam_store.sqlite.examining import LARGE_WAL_BYTES
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.session import Session


def mend(session: Session, now: int) -> tuple[Repair, ...]:
    """Flags and counters in one transaction; then the files beside the database."""
    done = session.write(lambda db: _rows(db, now))
    if session.in_memory:
        return tuple(done)
    done += _bells(f"{session.place}-bells")
    done += _abandoned_copies(session.place)
    with suppress(FileNotFoundError):
        if os.lstat(f"{session.place}-wal").st_size > LARGE_WAL_BYTES:
            session.truncate_log()
            done.append(Repair(subject="wal", text="moved into the database"))
    return tuple(done)


def _rows(db: sqlite3.Connection, now: int) -> list[Repair]:
    done = []
    # First: a trigger that counts on wrong numbers may break the rule that none is negative.
    if wrong := db.execute(SQL["miscounted"]).fetchall():
        db.execute(SQL["clear_counts"])
        db.execute(SQL["recount"])
        text = f"{counted(len(wrong), 'counter')} recounted"
        done.append(Repair(subject="counters", text=text))
    if flagged := db.execute(SQL["flag_again"], {"now": now}).rowcount:
        text = f"the ready flag of {counted(flagged, 'job')} was set as its state says"
        done.append(Repair(subject="waiting", text=text))
    if freed := db.execute(SQL["unblock_again"], {"now": now}).rowcount:
        text = f"{counted(freed, 'job')} that nothing blocked became pending"
        done.append(Repair(subject="waiting", text=text))
    if called := scheduling.call_back(db, now):
        text = f"{counted(called, 'schedule')} waiting for the next tick again"
        done.append(Repair(subject="schedules", text=text))
    return done


def _bells(folder: str) -> list[Repair]:
    gone = 0
    for path in bells.silent(folder):
        with suppress(OSError):
            os.unlink(path)
            gone += 1
    text = f"{counted(gone, 'bell')} of processes that died taken away"
    return [Repair(subject="bells", text=text)] if gone else []


def _abandoned_copies(place: str) -> list[Repair]:
    gone = []
    with suppress(OSError):
        for path in abandoned(place):
            os.unlink(path)
            gone.append(Repair(subject="copies", text=f"{path} deleted"))
    return gone
