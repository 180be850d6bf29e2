"""Deleting the finished jobs of a filter.

They are looked up by reading, before the write lock is taken: a filter that few jobs match may
read many. Then each is judged again under the lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

import attrs

from flam_store.clock import span
from flam_store.errors import SpecError
from flam_store.job import JobFilter
from flam_store.sqlite import finished, paging
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.rows import packed
from flam_store.sqlite.session import Session
from flam_store.state import FINISHED

_LONGEST_LOOK = 5_000
"""How many jobs are looked at in one state of the queue, at most."""

_Asked = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Portion:
    """At most ``limit`` jobs that match, come after the ``seq`` ``after``, and are old enough."""

    which: JobFilter
    older_than: timedelta
    after: int
    limit: int


def purge(session: Session, portion: Portion, now: int) -> tuple[int, ...]:
    """Delete them; return their seqs, none only when none is left."""
    for field in ("since", "command", "failed_with"):
        if getattr(portion.which, field) is not None:
            raise SpecError("is nothing that a purge goes by", field=field)
    states = tuple(sorted(FINISHED.intersection(portion.which.states or FINISHED)))
    if not states:
        return ()
    wanted = attrs.evolve(portion, which=attrs.evolve(portion.which, states=states))
    until = now - span(portion.older_than)
    asked = {
        "states": packed([state.value for state in states]),
        "until": until,
        "queue": portion.which.queue,
        "labels": packed(dict(portion.which.labels)),
    }
    last = session.read(partial(_last, older_than=portion.older_than, until=until))
    found = _found(session, wanted, asked, last)
    while some := list(islice(found, portion.limit)):
        if gone := session.write(partial(_delete, seqs=some, asked=asked)):
            return gone
    return ()


def _last(db: sqlite3.Connection, *, older_than: timedelta, until: int) -> int:
    """After it none is old enough, as none changed before it was stored."""
    if older_than:
        return paging.last_until(db, until)
    return paging.LAST


def _found(session: Session, portion: Portion, asked: _Asked, last: int) -> Iterator[int]:
    after, size = portion.after, min(portion.limit, _LONGEST_LOOK)
    while True:
        reach = {"after": after, "limit": size, "last": last}
        look = partial(_look, which=portion.which, reach=reach, asked=asked)
        seqs, matching = session.read(look)
        yield from matching
        if len(seqs) < size:
            return
        after, size = seqs[-1], min(size * 4, _LONGEST_LOOK)


def _look(
    db: sqlite3.Connection, *, which: JobFilter, reach: dict[str, int], asked: _Asked
) -> tuple[list[int], list[int]]:
    """The next numbers of an index, and which of them may be deleted."""
    seqs = paging.numbers(db, which, **reach)
    return seqs, _purgeable(db, seqs, asked)


def _purgeable(db: sqlite3.Connection, seqs: list[int], asked: _Asked) -> list[int]:
    found = db.execute(SQL["purgeable"], {**asked, "seqs": packed(seqs)}).fetchall()
    return sorted(seq for (seq,) in found)


def _delete(db: sqlite3.Connection, *, seqs: list[int], asked: _Asked) -> tuple[int, ...]:
    """They may have been retried, or needed, since they were found."""
    return finished.delete(db, _purgeable(db, seqs, asked))
