"""Pages of jobs: where the walk begins, what is looked at, and what matches."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import timedelta
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import attrs

from flam_store.clock import millis, span
from flam_store.job import Job, JobFilter, Order, Page
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.sqlite.reading import seq_of
from flam_store.sqlite.schema import found_schema
from flam_store.state import State

_EVERY = JobFilter()
LAST = 2**63 - 1
_LONGEST_LOOK = 5_000
"""How many numbers are taken from an index at once, and looked at, at most."""

_FEWEST, _MOST = 10, 500
"""How many rows are read at once, at first and at most."""

_COUNTED_LABELS = 10_000
"""So far a label's jobs are counted, to find out which index has fewest to look at."""

_CLOCK_SLACK = span(timedelta(minutes=5))
"""So far the clock may have been set back, and ``since`` still finds every job."""

_IMPORTS_SINCE_SCHEMA = 2

_UNCOMPLETED = (State.FAILED, State.DEAD, State.CANCELLED)

_WALKS = {
    Order.NEWEST: {
        "all": SQL["newest"],
        "state": SQL["newest_in_state"],
        "queue": SQL["newest_in_queue"],
        "label": SQL["newest_labelled"],
    },
    Order.OLDEST: {
        "all": SQL["oldest"],
        "state": SQL["oldest_in_state"],
        "queue": SQL["oldest_in_queue"],
        "label": SQL["oldest_labelled"],
    },
}

_Bound = Mapping[str, Any]
_Source = tuple[str, _Bound]
"""The index to walk along, and what it is bound to."""


def page(
    db: sqlite3.Connection, which: JobFilter, order: Order, *, limit: int, after: str | None
) -> Page:
    """One more row than is shown is read, to know whether there are more. ``limit`` 0: all.

    Under a limit the page is over, too, when its jobs have grown wide.
    """
    look, seqs = _begun(db, which, order, limit=limit, after=after)
    jobs: list[Job] = []
    width = 0
    for row, row_width in look.matching(seqs):
        if limit and (len(jobs) == limit or width > rows.MOST_WIDTH):
            return Page(jobs=tuple(jobs), more=True)
        jobs.append(rows.job_as_far_as_readable(row))
        width += row_width
    return Page(jobs=tuple(jobs), more=False)


def page_of_numbers(
    db: sqlite3.Connection, which: JobFilter, order: Order, *, limit: int, after: str | None
) -> tuple[list[int], bool]:
    """The numbers of the jobs of a page, whose texts are not read; whether there are more."""
    look, seqs = _begun(db, which, order, limit=limit, after=after)
    found = list(islice(look.matching_numbers(seqs), limit + 1))
    return found[:limit], len(found) > limit


def _begun(
    db: sqlite3.Connection, which: JobFilter, order: Order, *, limit: int, after: str | None
) -> tuple[_Look, Iterator[int]]:
    """A walk, and the numbers along it."""
    reach = _reach(db, which, order, after)
    look = _Look(
        db, which, order, at_first=min(limit + 1, _LONGEST_LOOK) if limit else _LONGEST_LOOK
    )
    walks = [look.walked(kind, {**reach, **bound}) for kind, bound in _sources(db, which)]
    return look, merge(*walks, reverse=order is Order.NEWEST)


def numbers(
    db: sqlite3.Connection, which: JobFilter, *, after: int, limit: int, last: int = LAST
) -> list[int]:
    """The next numbers, the oldest first, of the index that has fewest besides all that match."""
    look = _Look(db, which, Order.OLDEST, at_first=limit)
    reach = {"low": after + 1, "high": last}
    walks = [look.walked(kind, {**reach, **bound}) for kind, bound in _sources(db, which)]
    return list(islice(merge(*walks), limit))


def matching(
    db: sqlite3.Connection, which: JobFilter, seqs: list[int]
) -> Iterator[tuple[rows.Row, int]]:
    """The rows of those of these jobs that the filter lets through, the oldest first.

    With how wide each is: few wide ones are in memory at once.
    """
    return _Look(db, which, Order.OLDEST, at_first=len(seqs)).matching(iter(seqs))


def _width(row: rows.Row) -> int:
    return len(row[5] or "") + len(row[6] or "") + len(row[20]) + len(row[21])


def _reach(
    db: sqlite3.Connection, which: JobFilter, order: Order, after: str | None
) -> dict[str, int]:
    """The lowest and the highest number that can belong to the page."""
    low = 1 if which.since is None else _first_since(db, millis(which.since) - _CLOCK_SLACK)
    if after is None:
        return {"low": low, "high": LAST}
    seq = seq_of(db, after)
    if order is Order.NEWEST:
        return {"low": low, "high": seq - 1}
    return {"low": max(low, seq + 1), "high": LAST}


def _first_since(db: sqlite3.Connection, at: int) -> int:
    """A number before which no job was stored at that time or later.

    It is found by halves, as numbers and times grow together: an index on the times would cost
    every enqueue, and reading them all ten million rows. Of imported jobs that is not so: the
    halves pass over them, and an import with one of that time is looked through as a whole.
    """
    imports = _imports(db)
    low = _first_stored_since(db, at, imports)
    return int(min([low, *(first for first, _, latest_at in imports if latest_at >= at)]))


def last_until(db: sqlite3.Connection, at: int) -> int:
    """A number after which every job was stored later than that, found as ``_first_since`` is."""
    imports = _imports(db)
    low = _first_stored_since(db, at + _CLOCK_SLACK + 1, imports)
    return int(max([low - 1, *(last for _, last, _ in imports)]))


def _first_stored_since(db: sqlite3.Connection, at: int, imports: list[rows.Row]) -> int:
    low = 1
    ((high,),) = db.execute(SQL["next_seq"]).fetchall()
    while low < high:
        middle = (low + high) // 2
        found = _first_stored_here(db, middle, imports)
        if found is None or found[1] >= at:
            high = middle
        else:
            low = found[0] + 1
    return int(low)


def _first_stored_here(
    db: sqlite3.Connection, seq: int, imports: list[rows.Row]
) -> tuple[int, int] | None:
    """The number and the time of the first job from there on that was not imported."""
    while found := db.execute(SQL["first_stored_from"], (seq,)).fetchall():
        ((seq, created_at),) = found
        before = bisect_right(imports, seq, key=itemgetter(0)) - 1
        if before < 0 or imports[before][1] < seq:
            return seq, created_at
        seq = imports[before][1] + 1
    return None


def _imports(db: sqlite3.Connection) -> list[rows.Row]:
    """The first and the last number of each, and the latest time of its jobs."""
    if found_schema(db, "it") < _IMPORTS_SINCE_SCHEMA:  # whoever only looks migrates nothing
        return []
    return db.execute(SQL["imports"]).fetchall()


def _sources(db: sqlite3.Connection, which: JobFilter) -> list[_Source]:
    """Of the indexes that hold every match, the one with fewest entries.

    The counters tell how many; that they could be wrong would cost time and no job.
    """
    counts = db.execute(SQL["counts"]).fetchall()
    costs: list[tuple[int, list[_Source]]] = [
        (sum(jobs for _, _, jobs in counts), [("all", {})]),
    ]
    if states := _states(which):
        jobs_there = sum(jobs for _, state, jobs in counts if state in states)
        costs.append((jobs_there, [("state", {"state": state}) for state in states]))
    if which.queue is not None:
        jobs_there = sum(jobs for queue, _, jobs in counts if queue == which.queue)
        costs.append((jobs_there, [("queue", {"queue": which.queue})]))
    for key, value in which.labels.items():
        label = {"key": key, "value": value}
        ((jobs_there,),) = db.execute(SQL["count_labelled"], {**label, "limit": _COUNTED_LABELS})
        costs.append((jobs_there, [("label", label)]))
    return min(costs, key=lambda cost: cost[0])[1]


def _states(which: JobFilter) -> tuple[str, ...]:
    """The states that a match can be in; empty for all."""
    states = which.states
    if which.failed_with is not None:
        states = tuple(set(states or _UNCOMPLETED).intersection(_UNCOMPLETED)) or (State.FAILED,)
    return tuple(dict.fromkeys(state.value for state in states))


@attrs.frozen
class _Look:
    """A walk along indexes; each stretch of it is longer than the one before."""

    db: sqlite3.Connection
    which: JobFilter
    order: Order
    at_first: int

    def walked(self, kind: str, bound: _Bound) -> Iterator[int]:
        """Numbers from an index. No cursor stays open while they are used."""
        reach = dict(bound)
        for size in self._sizes():
            asked = {**reach, "limit": size}
            seqs = [seq for (seq,) in self.db.execute(_WALKS[self.order][kind], asked).fetchall()]
            yield from seqs
            if len(seqs) < size:
                return
            if self.order is Order.NEWEST:
                reach["high"] = seqs[-1] - 1
            else:
                reach["low"] = seqs[-1] + 1

    def matching(self, seqs: Iterator[int]) -> Iterator[tuple[rows.Row, int]]:
        """The rows of these jobs that the filter lets through, in the order, and their widths.

        SQLite knows the letter case of ASCII only, and no arguments: the rest is seen here.
        """
        piece = self.which.command.lower() if self.which.command else None
        size = _FEWEST
        for stretch in self._matching(seqs):
            rest = iter(stretch)
            while some := list(islice(rest, size)):
                sum_of_widths = 0
                for row in self._rows(some):
                    width = _width(row)
                    sum_of_widths += width
                    if piece is None or piece in rows.command_line(*row[5:7]).lower():
                        yield row, width
                narrow = sum_of_widths <= rows.MOST_WIDTH
                size = min(size * 10, _MOST) if narrow else _FEWEST

    def _rows(self, seqs: list[int]) -> Iterator[rows.Row]:
        """The rows of these jobs, so many at a time that they are little in memory.

        To tell how wide a row is takes as long as reading it: ``seqs`` are few, until all of
        them turn out to be narrow.
        """
        asked = {"seqs": rows.packed(seqs)}
        widths = dict(self.db.execute(SQL["widths_of"], asked).fetchall())
        for some in _cut(seqs, widths):
            found = self.db.execute(SQL["jobs_of"], {"seqs": rows.packed(some)}).fetchall()
            found.sort(key=itemgetter(0), reverse=self.order is Order.NEWEST)
            yield from found

    def matching_numbers(self, seqs: Iterator[int]) -> Iterator[int]:
        """The numbers of these rows; their texts are only read where the filter asks for it."""
        if self.which.command:
            return (row[0] for row, _ in self.matching(seqs))
        return chain.from_iterable(self._matching(seqs))

    def _matching(self, seqs: Iterator[int]) -> Iterator[list[int]]:
        """Of a stretch after the other those that match, as far as SQLite can tell."""
        asked = self._asked()
        for size in self._sizes():
            some = list(islice(seqs, size))
            if not some:
                return
            if self.which == _EVERY:
                yield some
                continue
            bound = {**asked, "seqs": rows.packed(some)}
            found = self.db.execute(SQL["jobs_matching"], bound).fetchall()
            yield sorted((seq for (seq,) in found), reverse=self.order is Order.NEWEST)

    def _asked(self) -> _Bound:
        which = self.which
        piece = which.command.lower() if which.command else None
        states = [state.value for state in which.states]
        return {
            "states": rows.packed(states) if states else None,
            "queue": which.queue,
            "labels": rows.packed(dict(which.labels)),
            "since": None if which.since is None else millis(which.since),
            "piece": piece if piece is not None and piece.isascii() else None,
            "failed_with": which.failed_with,
        }

    def _sizes(self) -> Iterator[int]:
        size = self.at_first
        while True:
            yield size
            size = min(size * 4, _LONGEST_LOOK)


def _cut(seqs: list[int], widths: Mapping[int, int]) -> Iterator[list[int]]:
    some: list[int] = []
    width = 0
    for seq in seqs:
        some.append(seq)
        width += widths.get(seq, 0)
        if width > rows.MOST_WIDTH:
            yield some
            some, width = [], 0
    if some:
        yield some
