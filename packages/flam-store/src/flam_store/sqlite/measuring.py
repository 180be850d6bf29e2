"""Looking back at attempts: the last that ended, what they took, and how many there ever were."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from datetime import datetime, timedelta

from flam_store.clock import millis
from flam_store.errors import SpecError
from flam_store.measures import By, Ended, Statistics, Took, Total, measured
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.reading import job_by_seq
from flam_store.state import AttemptState

_MOST_MEASURED = 100_000
_LONGEST_NAME = 200


def last_ended(db: sqlite3.Connection, limit: int) -> tuple[Ended, ...]:
    found = db.execute(SQL["last_ended"], (limit,)).fetchall()
    return tuple(Ended(job=job_by_seq(db, row[0]), attempt=rows.attempt(row)) for row in found)


def statistics(db: sqlite3.Connection, by: By, since: datetime, queue: str | None) -> Statistics:
    """One row more than is measured is read, to know whether there are more."""
    by = _known(by)
    asked = {"since": millis(since), "limit": _MOST_MEASURED + 1}
    took: dict[str, list[Took]] = defaultdict(list)
    oldest, looked_at = since, 0
    for ended_at, started_at, due_at, state, of_queue, command, options in db.execute(
        SQL["ended_since"], asked
    ):
        looked_at += 1
        if looked_at > _MOST_MEASURED:
            continue  # the last one: the cursor is read to its end
        oldest = rows.instant_as_far_as_readable(ended_at) or since
        if queue is None or of_queue == queue:
            name = of_queue if by is By.QUEUE else rows.command_line(command, options)
            took[name[:_LONGEST_NAME]].append(
                Took(
                    state=AttemptState(state),
                    waited=_span(due_at, started_at),
                    ran=_span(started_at, ended_at),
                )
            )
    cut = looked_at > _MOST_MEASURED
    measures = [measured(name, each) for name, each in took.items()]
    measures.sort(key=lambda measure: (-measure.attempts, measure.name))
    return Statistics(since=oldest if cut else since, cut=cut, measures=tuple(measures))


def totals(db: sqlite3.Connection) -> tuple[Total, ...]:
    return tuple(
        Total(
            queue=queue,
            state=AttemptState(state),
            ends=ends,
            waited=timedelta(milliseconds=wait_ms),
            ran=timedelta(milliseconds=run_ms),
        )
        for queue, state, ends, wait_ms, run_ms in db.execute(SQL["totals"]).fetchall()
    )


def _known(by: By) -> By:
    """SpecError for what is neither, however the caller came by it."""
    try:
        return By(by)
    except ValueError:
        raise SpecError(f"must be one of {', '.join(By)}", field="by") from None


def _span(since: int, until: int) -> timedelta:
    """None is negative, however the clock was set."""
    return timedelta(milliseconds=max(0, until - since))
