"""Jobs with their history, page by page, the oldest first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import attrs

from flam_store.copies import Progress
from flam_store.errors import SpecError, StoreError
from flam_store.job import Job, JobFilter
from flam_store.portable import Record, past, record_of
from flam_store.sqlite import paging, rows
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
    seqs = [seq for seq in paging.numbers(db, which, after=after, limit=_PAGE) if seq <= last]
    if not seqs:
        return [], None
    records = []
    sum_of_widths = 0
    for row, width in paging.matching(db, which, seqs):
        records.append(_record(db, row, which))
        sum_of_widths += width
        if sum_of_widths > rows.MOST_WIDTH:
            return records, row[0]
    return records, seqs[-1]


def _record(db: sqlite3.Connection, row: rows.Row, which: JobFilter) -> Record:
    try:
        job = rows.job(row)
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
    settled = dict(db.execute(SQL["settled_parents_of"], (job.seq,)).fetchall())
    for row, _ in paging.matching(db, which, sorted(settled)):
        del settled[row[0]]
    return attrs.evolve(job, after=tuple(id_ for id_ in job.after if id_ not in settled.values()))
