"""Jobs with their history, page by page, the oldest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import attrs

from flam_store.copies import Progress
from flam_store.errors import SpecError, StoreError
from flam_store.job import Job, JobFilter
from flam_store.portable import Record, is_wanted, past, record_of
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.session import Session

_PAGE = 500


def export(session: Session, which: JobFilter, progress: Progress | None) -> Iterator[Record]:
    """Each page is one state of the queue; between pages nothing is held."""
    ((last,),) = session.read(lambda db: db.execute(SQL["next_seq"]).fetchall())
    after = 0
    while True:
        records, until = session.read(
            lambda db, after=after: _page(db, which, after, last - 1)  # type: ignore[misc]
        )
        yield from records
        if progress is not None:
            progress(last - 1 if until is None else until, last - 1)
        if until is None:
            return
        after = until


def _page(
    db: sqlite3.Connection, which: JobFilter, after: int, last: int
) -> tuple[list[Record], int | None]:
    """What is wanted of the next jobs, and the number of the last one looked at, if any."""
    bounds = {"after": after, "last": last, "limit": _PAGE}
    ((until,),) = db.execute(SQL["last_of_oldest"], bounds).fetchall()
    if until is None:
        return [], None
    found = _found(db, which, after, until)
    records = (_record(db, row, which) for row in found)
    return [record for record in records if record is not None], until


def _found(db: sqlite3.Connection, which: JobFilter, after: int, until: int) -> list[rows.Row]:
    asked = {
        "after": after,
        "until": until,
        "queue": which.queue,
        "states": rows.packed_names([state.value for state in which.states] or None),
        "labels": rows.packed(dict(which.labels)),
    }
    return db.execute(SQL["jobs_oldest"], asked).fetchall()


def _record(db: sqlite3.Connection, row: rows.Row, which: JobFilter) -> Record | None:
    try:
        job = rows.job(row)
        if not is_wanted(job, which):
            return None
        history = [
            past(rows.attempt(kept[:11]), **rows.kept_of_attempt(kept[11:]))
            for kept in db.execute(SQL["past_of"], (job.seq,)).fetchall()
        ]
        gone = [id_ for (id_,) in db.execute(SQL["gone_of"], (job.seq,)).fetchall()]
        return record_of(_without_settled(db, job, which), history, gone)
    except (SpecError, ValueError, TypeError, AttributeError, OverflowError) as error:
        problem = f"has a job {row[1]!r} that cannot be read ({error}). See: queuectl doctor"
        raise StoreError("The queue", problem) from error


def _without_settled(db: sqlite3.Connection, job: Job, which: JobFilter) -> Job:
    """The job without parents that are not exported and for which nothing has to wait.

    Of those that are left out too, but have not come to the end that the job waits for, it keeps
    the ids: where it is imported they may be stored.
    """
    if not job.after or which == JobFilter():
        return job
    left_out = {
        parent_id
        for parent, parent_id in db.execute(SQL["settled_parents_of"], (job.seq,)).fetchall()
        if not _is_exported(db, parent, which)
    }
    return attrs.evolve(job, after=tuple(id_ for id_ in job.after if id_ not in left_out))


def _is_exported(db: sqlite3.Connection, seq: int, which: JobFilter) -> bool:
    return any(is_wanted(rows.job(row), which) for row in _found(db, which, seq - 1, seq))
