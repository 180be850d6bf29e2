"""Cancelling and retrying the jobs of a selection, a stretch at a time.

A stretch is looked up as ``jobs`` looks up a page, before the write lock is taken: a filter that
few jobs match may read many. Then each row is judged again, by its state, under the lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator

import attrs

from flam_store.errors import KeyTaken
from flam_store.job import JobFilter, Order
from flam_store.selection import Selection, Sweep
from flam_store.sqlite import finished, paging, rows, steering
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.session import Session
from flam_store.state import FINISHED, RETRYABLE, State


def cancel(session: Session, selection: Selection, *, by: str, limit: int, now: int) -> Sweep:
    """Cancel the next jobs of the selection that are not finished."""
    wanted = _wanted(selection, [each for each in State if each not in FINISHED])

    def change(db: sqlite3.Connection, seqs: list[int]) -> Sweep:
        running = []
        done = 0
        for seq, state, id_, _ in _still(db, seqs, wanted):
            steering.end(db, seq, state, by=by, now=now)
            if state is State.PROCESSING:
                running.append(id_)
            else:
                done += 1
        return Sweep(done=done, running=tuple(running))

    return _swept(session, attrs.evolve(selection, which=wanted), limit=limit, change=change)


def retry(session: Session, selection: Selection, *, limit: int, now: int) -> Sweep:
    """Retry the next jobs of the selection that can be retried."""
    wanted = _wanted(selection, RETRYABLE)

    def change(db: sqlite3.Connection, seqs: list[int]) -> Sweep:
        done = kept = 0
        for seq, state, _, key in _still(db, seqs, wanted):
            try:
                finished.run_again(db, (seq, state, key), now)
                done += 1
            except KeyTaken:
                kept += 1
        return Sweep(done=done, kept=kept)

    return _swept(session, attrs.evolve(selection, which=wanted), limit=limit, change=change)


def _wanted(selection: Selection, possible: Collection[State]) -> JobFilter:
    """The filter with only those of its states in which the verb takes a job."""
    states = tuple(each for each in selection.which.states or State if each in possible)
    return attrs.evolve(selection.which, states=states)


def _swept(
    session: Session,
    selection: Selection,
    *,
    limit: int,
    change: Callable[[sqlite3.Connection, list[int]], Sweep],
) -> Sweep:
    if not selection.which.states:
        return Sweep(done=0)
    seqs, more = session.read(lambda db: _page(db, selection, limit))
    if not seqs:
        return Sweep(done=0)
    swept = session.write(lambda db: change(db, seqs))
    if not more:
        return swept
    return attrs.evolve(swept, rest=attrs.evolve(selection, below=seqs[-1]))


def _page(db: sqlite3.Connection, selection: Selection, limit: int) -> tuple[list[int], bool]:
    # Older than the first job from ``below`` on: that bound cannot be deleted meanwhile.
    bound = db.execute(SQL["at_or_after"], {"seq": selection.below}).fetchall()
    return paging.page_of_numbers(
        db, selection.which, Order.NEWEST, limit=limit, after=bound[0][0] if bound else None
    )


def _still(
    db: sqlite3.Connection, seqs: list[int], which: JobFilter
) -> Iterator[tuple[int, State, str, str | None]]:
    """The number, state, id and unique key of those that the verb takes."""
    asked = {"seqs": rows.packed(seqs)}
    for seq, state, id_, key in db.execute(SQL["states_of"], asked).fetchall():
        if state in which.states:
            yield seq, State(state), id_, key
