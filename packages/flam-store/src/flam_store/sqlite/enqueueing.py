"""Storing new jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from flam_store.config import Config
from flam_store.errors import Conflict, IdTaken, KeyTaken, SpecError
from flam_store.job import JobSpec
from flam_store.sqlite import rows
from flam_store.sqlite.queries import SQL
from flam_store.state import FINISHED, State

_CHUNK = 1_000


def insert(db: sqlite3.Connection, specs: Iterable[JobSpec], config: Config, now: int) -> int:
    """Store the specs, which have ids, in their order; return how many."""
    ((first,),) = db.execute(SQL["next_seq"]).fetchall()
    seq = first
    pending = iter(specs)
    while chunk := list(islice(pending, _CHUNK)):
        _insert_chunk(db, chunk, config, seq, now, since=first)
        seq += len(chunk)
    return int(seq - first)


def insert_absent(
    db: sqlite3.Connection, specs: Iterable[JobSpec], config: Config, now: int
) -> dict[int, str]:
    """Store those specs whose id and key are free; by place, who stands for the others."""
    holders: dict[int, str] = {}
    for place, spec in enumerate(specs):
        if holder := _holder(db, spec):
            holders[place] = holder
        else:
            insert(db, (spec,), config, now)
    return holders


def _holder(db: sqlite3.Connection, spec: JobSpec) -> str | None:
    if db.execute(SQL["seq_of"], (spec.id,)).fetchall():
        return spec.id
    found = db.execute(SQL["key_holder"], (spec.unique_key,)).fetchall()
    return str(found[0][0]) if found else None


def _insert_chunk(
    db: sqlite3.Connection,
    chunk: list[JobSpec],
    config: Config,
    first: int,
    now: int,
    *,
    since: int,
) -> None:
    reached: list[JobSpec] = []

    def parameters() -> Iterator[rows.Row]:
        for seq, spec in enumerate(chunk, first):
            reached[:] = [spec]
            state = _wait_for_parents(db, spec, seq) if spec.after else State.PENDING
            yield rows.job_row(spec, config, seq=seq, now=now, state=state)

    try:
        db.executemany(SQL["insert_job"], parameters())
    except sqlite3.IntegrityError as error:
        raise _conflict(db, reached[0], error, since) from error
    labels = [(seq, key, value) for seq, spec in enumerate(chunk, first)
              for key, value in spec.labels.items()]  # fmt: skip
    if labels:
        db.executemany(SQL["insert_label"], labels)


def _wait_for_parents(db: sqlite3.Connection, spec: JobSpec, seq: int) -> State:
    """Record what the job waits for; whether it has to."""
    state = State.PENDING
    any_end = spec.after_policy == "any"
    enough = FINISHED if any_end else {State.COMPLETED}
    for parent_id in spec.after:
        found = db.execute(SQL["parent"], (parent_id,)).fetchall()
        if not found:
            raise SpecError(f"no job has the id {parent_id!r}", field="after")
        ((parent, parent_state),) = found
        db.execute(SQL["insert_dependency"], (seq, parent, parent_id, any_end))
        if parent_state not in enough:
            state = State.BLOCKED
    return state


def _conflict(
    db: sqlite3.Connection, spec: JobSpec, error: sqlite3.IntegrityError, since: int
) -> Conflict | sqlite3.IntegrityError:
    """What is in the way. What has a number from ``since`` on, is to be stored with this one."""
    if found := db.execute(SQL["seq_of"], (spec.id,)).fetchall():
        return IdTaken(str(spec.id), twice=found[0][0] >= since)
    holder = db.execute(SQL["key_holder"], (spec.unique_key,)).fetchall()
    return KeyTaken(str(spec.unique_key), holder[0][0]) if holder else error
