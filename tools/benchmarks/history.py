"""Queues with a long past: finished jobs with their attempts, built fast and kept on wish."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.setting import Setting, made_home, queue_of
from flam_store import JobSpec, State, Store
from flam_store.clock import system_clock
from flam_store.home import Home

READY = 1_000
"""Jobs that may be claimed, in every queue however long its past."""

_FEW = 10_000
"""So many are built in a moment."""

_CHUNK = 200_000
_SPACING_MS = 20
"""Time between two jobs of the past."""

_JOBS = """
INSERT INTO jobs (seq, id, state, queue, attempts, attempt, created_at, updated_at, run_at,
                  max_retries, backoff_base, backoff_max, backoff_jitter, command)
WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT i, printf('%08x-0000-7000-8000-%012x', i / 65536, i), iif(i % 10, 'completed', 'dead'),
       'default', 1, 1, :start + i * :spacing, :start + i * :spacing + 5, :start + i * :spacing,
       3, 2.0, 3600.0, 0.1, 'true'
FROM n
"""
_ATTEMPTS = """
INSERT INTO attempts (seq, attempt, state, worker, due_at, started_at, finished_at, exit_code,
                      cause, output_bytes)
WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
SELECT i, 1, iif(i % 10, 'completed', 'failed'), '00000000-0000-7000-8000-000000000000',
       :start + i * :spacing, :start + i * :spacing + 2, :start + i * :spacing + 5,
       i % 10 = 0, iif(i % 10, NULL, 'exit 1'), 0
FROM n
"""


@contextmanager
def past(setting: Setting, rows: int) -> Iterator[Home]:
    """A data directory with that many finished jobs, one in ten dead, and ``READY`` to claim.

    A large one that was kept is taken as it is; jobs that its measurements deleted are few.
    """
    if setting.keep is not None and rows > _FEW:
        setting.keep.mkdir(parents=True, exist_ok=True)
        path = setting.keep / f"rows-{rows}"
        if not path.exists():
            _build(setting, setting.keep / f"rows-{rows}.part", rows).path.rename(path)
        yield _ready(Home(path=path))
        return
    with setting.fresh() as folder:
        yield _ready(_build(setting, folder / "home", rows))


def _build(setting: Setting, path: Path, rows: int) -> Home:
    setting.say(f"building {rows:,} finished jobs")
    home = made_home(path)
    with queue_of(home):
        pass
    with closing(sqlite3.connect(home.path / "queue.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")  # whoever pulls the plug builds it again
        db.execute("PRAGMA cache_size = -200000")
        values = {"start": system_clock() - rows * _SPACING_MS, "spacing": _SPACING_MS}
        for first in range(1, rows + 1, _CHUNK):
            chunk = values | {"first": first, "last": min(rows, first + _CHUNK - 1)}
            db.execute("BEGIN IMMEDIATE")
            db.execute(_JOBS, chunk)
            db.execute(_ATTEMPTS, chunk)
            db.execute("COMMIT")
    os.sync()  # what is still to be written would be measured with the next
    return home


def _ready(home: Home) -> Home:
    with queue_of(home) as store:
        top_up(store)
    return home


def top_up(store: Store) -> None:
    """See that there are ``READY`` jobs to claim."""
    lacking = READY - store.overview().counts[State.PENDING]
    store.enqueue_many(JobSpec(command="true") for _ in range(lacking))
