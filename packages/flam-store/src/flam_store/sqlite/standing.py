"""Looking at what decides when a job runs: its relatives, its queue, who is before it."""

from __future__ import annotations

import sqlite3

from flam_store.clock import instant
from flam_store.config import Config
from flam_store.job import Job
from flam_store.relatives import MOST_COUNTED, Relative, Relatives
from flam_store.sqlite import reading, registry, rows
from flam_store.sqlite.queries import SQL
from flam_store.standing import Standing
from flam_store.state import State

_NAMED = 5
_PARENTS = 20


def relatives(db: sqlite3.Connection, seq: int, limit: int) -> Relatives:
    """Up to ``limit`` parents and as many children, and how many more there are."""
    asked = {"seq": seq, "limit": limit}
    parents = _relatives(db.execute(SQL["parents_of"], asked).fetchall())
    children = _relatives(db.execute(SQL["children_of"], asked).fetchall())
    counting = {"seq": seq, "limit": MOST_COUNTED + limit}
    ((all_parents,),) = db.execute(SQL["count_parents"], counting).fetchall()
    ((all_children,),) = db.execute(SQL["count_children"], counting).fetchall()
    return Relatives(
        parents=parents,
        children=children,
        more_parents=all_parents - len(parents),
        more_children=all_children - len(children),
    )


def _relatives(found: list[rows.Row]) -> tuple[Relative, ...]:
    return tuple(Relative(id=id_, state=state and State(state)) for id_, state in found)


def standing(db: sqlite3.Connection, job_id: str, config: Config, now: int) -> Standing:
    job = reading.job(db, job_id)
    latest = db.execute(SQL["latest_attempt"], (job.seq, job.attempt)).fetchall()
    running = db.execute(SQL["running_in_queue"], {"queue": job.queue, "limit": _NAMED}).fetchall()
    return Standing(
        job=job,
        at=instant(now),
        latest=rows.attempt(latest[0]) if latest else None,
        relatives=relatives(db, job.seq, _PARENTS),
        queue=reading.queue(db, job.queue),
        running=tuple(id_ for (id_,) in running),
        ahead=_ahead(db, job, now) if config.priority_ageing is None else None,
        workers=registry.workers(db),
    )


def _ahead(db: sqlite3.Connection, job: Job, now: int) -> int:
    if job.state not in (State.PENDING, State.FAILED) or job.run_at > instant(now):
        return 0
    place = {"queue": job.queue, "priority": job.priority, "seq": job.seq, "limit": MOST_COUNTED}
    ((jobs,),) = db.execute(SQL["ahead"], place).fetchall()
    return int(jobs)
