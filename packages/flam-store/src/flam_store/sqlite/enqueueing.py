"""Storing new jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import attrs

from flam_store.config import Config
from flam_store.errors import Conflict, IdTaken, KeyTaken, SpecError
from flam_store.job import JobSpec
from flam_store.sqlite import blocks, rows
from flam_store.sqlite.queries import SQL
from flam_store.state import FINISHED, State


def insert(db: sqlite3.Connection, specs: Iterable[JobSpec], config: Config, now: int) -> int:
    """Store the specs, which have ids, in their order; return how many."""
    storing = _begun(db, config, now)
    first = storing.seq
    for spec in specs:
        storing.add(spec)
    storing.flush()
    return storing.seq - first


def insert_absent(
    db: sqlite3.Connection, specs: Iterable[JobSpec], config: Config, now: int
) -> dict[int, str]:
    """Store those specs whose id and key are free; by place, who stands for the others."""
    storing = _begun(db, config, now)
    holders: dict[int, str] = {}
    for place, spec in enumerate(specs):
        if holder := storing.holder(spec):
            holders[place] = holder
        else:
            storing.add(spec)
    storing.flush()
    return holders


def _begun(db: sqlite3.Connection, config: Config, now: int) -> _Storing:
    ((first,),) = db.execute(SQL["next_seq"]).fetchall()
    return _Storing(db, config, now, first, first)


@attrs.define
class _Storing:
    """Jobs on their way into the database, a block at a time.

    ``first`` is the number of the first of them, ``seq`` that of the next.
    """

    _db: sqlite3.Connection
    _config: Config
    _now: int
    _first: int
    seq: int
    _rows: list[rows.Row] = attrs.field(factory=list, init=False)
    _labels: list[rows.Row] = attrs.field(factory=list, init=False)
    _dependencies: list[rows.Row] = attrs.field(factory=list, init=False)
    _seqs: dict[str | None, int] = attrs.field(factory=dict, init=False)
    _keys: dict[str, str | None] = attrs.field(factory=dict, init=False)
    _width: int = attrs.field(default=0, init=False)

    def add(self, spec: JobSpec) -> None:
        seq = self.seq
        state = self._awaited(spec) if spec.after else State.PENDING
        row = rows.job_row(spec, self._config, seq=seq, now=self._now, state=state)
        self._rows.append(row)
        self._seqs[spec.id] = seq
        if spec.unique_key is not None:
            self._keys[spec.unique_key] = spec.id
        for key, value in spec.labels.items():
            self._labels.append((seq, key, value))
            self._width += len(key) + len(value)
        self._width += rows.width(row) + sum(map(len, spec.after))
        self.seq = seq + 1
        if len(self._rows) == blocks.BLOCK or self._width > rows.MOST_WIDTH:
            self.flush()

    def flush(self) -> None:
        """Store what was added. IdTaken; KeyTaken."""
        blocks.insert(self._db, SQL["insert_job"], self._rows, self._conflict)
        blocks.insert(self._db, SQL["insert_label"], self._labels)
        blocks.insert(self._db, SQL["insert_dependency"], self._dependencies)
        for each in (self._rows, self._labels, self._dependencies, self._seqs, self._keys):
            each.clear()
        self._width = 0

    def holder(self, spec: JobSpec) -> str | None:
        """The id of the job that has the spec's id, or of the unfinished one with its key."""
        key = spec.unique_key
        if spec.id in self._seqs or self._db.execute(SQL["seq_of"], (spec.id,)).fetchall():
            return spec.id
        if key is None:
            return None
        found = self._db.execute(SQL["key_holder"], (key,)).fetchall()
        return str(found[0][0]) if found else self._keys.get(key)

    def _awaited(self, spec: JobSpec) -> State:
        """Note what the job waits for; whether it has to. SpecError."""
        state = State.PENDING
        any_end = spec.after_policy == "any"
        enough = FINISHED if any_end else {State.COMPLETED}
        for parent_id in spec.after:
            parent, parent_state = self._parent(parent_id)
            self._dependencies.append((self.seq, parent, parent_id, any_end))
            if parent_state not in enough:
                state = State.BLOCKED
        return state

    def _parent(self, parent_id: str) -> tuple[int, str]:
        """Its number and state."""
        if parent_id in self._seqs:
            return self._seqs[parent_id], State.PENDING
        found = self._db.execute(SQL["parent"], (parent_id,)).fetchall()
        if not found:
            self.flush()  # what is wrong with a job before this one comes first
            raise SpecError(f"no job has the id {parent_id!r}", field="after")
        ((parent, state),) = found
        return parent, state

    def _conflict(
        self, place: int, error: sqlite3.IntegrityError
    ) -> Conflict | sqlite3.IntegrityError:
        id_, key = rows.identity(self._rows[place])
        if found := self._db.execute(SQL["seq_of"], (id_,)).fetchall():
            return IdTaken(id_, twice=found[0][0] >= self._first)
        holder = self._db.execute(SQL["key_holder"], (key,)).fetchall()
        return KeyTaken(str(key), holder[0][0]) if holder else error
