"""Storing jobs that another queue had, with their history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from flam_store.clock import instant, millis
from flam_store.config import Config
from flam_store.errors import FlamError, IdTaken, KeyTaken, SpecError
from flam_store.portable import Imported, PastAttempt, Record, interrupted
from flam_store.sqlite import blocks, rows
from flam_store.sqlite.queries import SQL
from flam_store.state import FINISHED, State

_CHUNK = 500

_AS_GIVEN = Config()
"""A record says itself what the configuration would otherwise add to a spec."""


@attrs.define
class Import:
    """One import within one transaction: jobs get their numbers in the order of the records."""

    _db: sqlite3.Connection
    _now: int
    _skips: bool
    _seq: int = attrs.field(init=False)
    _first: int = attrs.field(init=False)
    _latest: int = attrs.field(default=rows.BEGINNING_OF_TIME, init=False)
    _interrupted: int = attrs.field(default=0, init=False)
    _near: dict[str, tuple[int, str]] = attrs.field(factory=dict, init=False)
    _taken: list[str] = attrs.field(factory=list, init=False)
    _taken_count: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        ((self._seq,),) = self._db.execute(SQL["next_seq"]).fetchall()
        self._first = self._seq

    def run(self, records: Iterable[Record]) -> Imported:
        """All of them. IdTaken, when all have been looked at; KeyTaken; SpecError."""
        for chunk in _chunks(records):
            new = list(self._new(chunk))
            if not self._taken or self._skips:
                self._insert(new)
        if self._taken and not self._skips:
            raise IdTaken(self._taken[0], others=self._taken_count - 1)
        self._note()
        return Imported(
            jobs=self._seq - self._first,
            interrupted=self._interrupted,
            skipped=self._taken_count,
        )

    def _note(self) -> None:
        """Their times may be of long before: whoever goes by times must know their numbers."""
        told = {"first": self._first, "last": self._seq - 1, "latest": self._latest}
        if self._seq > self._first and self._db.execute(SQL["lengthen_import"], told).rowcount != 1:
            self._db.execute(SQL["note_import"], told)

    def _new(self, chunk: list[Record]) -> Iterator[Record]:
        """Those whose ids are not stored yet. SpecError for one that is given twice."""
        asked = rows.packed([record.id for record in chunk])
        stored = dict(self._db.execute(SQL["stored_ids"], (asked,)).fetchall())
        seen: set[str] = set()
        for record in chunk:
            if record.id in seen or stored.get(record.id, 0) >= self._first:
                raise SpecError(
                    f"{record.id!r} stands in the export twice", field="spec.id", line=record.line
                )
            seen.add(record.id)
            if record.id not in stored:
                yield record
                continue
            self._taken = self._taken or [record.id]
            self._taken_count += 1

    def _insert(self, records: list[Record]) -> None:
        settled = [self._settled(record) for record in records]
        jobs: list[rows.Row] = []

        def store_jobs() -> None:
            blocks.insert(
                self._db,
                SQL["import_job"],
                jobs,
                lambda place, error: self._conflict(settled[place], error),
            )

        self._near.clear()
        for seq, record in enumerate(settled, self._seq):
            try:
                jobs.append(self._row(record, seq))
            except SpecError:
                store_jobs()  # what is wrong with one before it comes first
                raise
            self._near[record.id] = (seq, jobs[-1][2])
        store_jobs()
        self._insert_rest(settled)
        self._latest = max([self._latest, *(millis(each.created_at) for each in settled)])
        self._seq += len(settled)

    def _settled(self, record: Record) -> Record:
        if record.state is not State.PROCESSING:
            return record
        self._interrupted += 1
        return interrupted(record, instant(self._now))

    def _row(self, record: Record, seq: int) -> tuple[Any, ...]:
        state = record.state
        if record.spec.after or record.gone:
            waits = self._wait_for_parents(record, seq)
            if state in (State.PENDING, State.BLOCKED):
                state = State.BLOCKED if waits else State.PENDING
        run_at, created_at = millis(record.run_at), millis(record.created_at)
        row = rows.job_row(record.spec, _AS_GIVEN, seq=seq, now=created_at, state=state)
        waiting = state in (State.PENDING, State.FAILED)
        ready = int(run_at <= self._now) if waiting else None
        times = (created_at, millis(record.updated_at), run_at)
        return (*row[:3], ready, *row[4:6], *times, *row[9:],
                record.attempts, len(record.history))  # fmt: skip

    def _wait_for_parents(self, record: Record, seq: int) -> bool:
        """Record what the job waits for; whether any of it is still to come.

        A parent that was deleted has no number any more: any that is never given stands for it.
        """
        ends = record.spec.after_policy == "any"
        gone, parents = self._parents(record)
        waits = bool(gone) and not ends
        for number, parent_id in enumerate(gone, -len(gone)):
            self._db.execute(SQL["import_dependency"], (seq, number, parent_id, ends))
        for parent_id, parent, state in parents:
            self._db.execute(SQL["import_dependency"], (seq, parent, parent_id, ends))
            waits = waits or not (state in FINISHED if ends else state == State.COMPLETED)
        return waits

    def _parents(self, record: Record) -> tuple[list[str], list[tuple[str, int, str]]]:
        """The ids of those that are gone, and of the others id, number and state.

        One that did not come along is gone. SpecError where it is still waited for.
        """
        gone, parents = list(record.gone), []
        for parent_id in record.spec.after:
            if parent_id in self._near:
                parents.append((parent_id, *self._near[parent_id]))
            elif found := self._db.execute(SQL["parent"], (parent_id,)).fetchall():
                parents.append((parent_id, *found[0]))
            elif record.state in (State.PENDING, State.BLOCKED):
                where = "neither here nor before this line; export it as well"
                problem = f"no job has the id {parent_id!r}, {where}"
                raise SpecError(problem, field="spec.after", line=record.line)
            else:
                gone.append(parent_id)
        return gone, parents

    def _insert_rest(self, records: list[Record]) -> None:
        labels = [(seq, key, value) for seq, record in enumerate(records, self._seq)
                  for key, value in record.spec.labels.items()]  # fmt: skip
        blocks.insert(self._db, SQL["insert_label"], labels)
        attempts = [_attempt(seq, each) for seq, record in enumerate(records, self._seq)
                    for each in record.history]  # fmt: skip
        blocks.insert(self._db, SQL["import_attempt"], attempts)

    def _conflict(
        self, record: Record, error: sqlite3.IntegrityError
    ) -> FlamError | sqlite3.IntegrityError:
        holder = self._db.execute(SQL["key_holder"], (record.spec.unique_key,)).fetchall()
        if not holder:
            return error
        taken = KeyTaken(str(record.spec.unique_key), holder[0][0])
        if record.line is not None:
            taken.add_note(f"Line {record.line} has an unfinished job with that key.")
        return taken


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """At most 500 at a time, and few where they are wide."""
    chunk: list[Record] = []
    width = 0
    for record in records:
        chunk.append(record)
        spec = record.spec
        texts = (
            *(spec.command, spec.stdin, *(spec.args or ()), *spec.after),
            *(*spec.env.values(), *spec.labels.values(), *(each.error for each in record.history)),
        )
        width += sum(len(text or "") for text in texts)
        if len(chunk) == _CHUNK or width > rows.MOST_WIDTH:
            yield chunk
            chunk, width = [], 0
    if chunk:
        yield chunk


def _attempt(seq: int, value: PastAttempt) -> tuple[Any, ...]:
    requested_at, finished_at = value.cancel_requested_at, value.finished_at
    return (
        seq,
        value.attempt,
        value.state.value,
        value.worker,
        millis(value.due_at),
        millis(value.started_at),
        None if finished_at is None else millis(finished_at),
        value.exit_code,
        value.signal,
        value.cause,
        value.error,
        None if requested_at is None else millis(requested_at),
        value.cancel_requested_by,
    )
