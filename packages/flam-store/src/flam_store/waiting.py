"""Waiting for jobs until they are finished."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta

from flam_store.errors import NotFinished
from flam_store.job import Job
from flam_store.state import FINISHED
from flam_store.store import Store
from flam_store.worker import Woke

_LOOK_SECONDS = 0.1
_READ_SECONDS = 1.0
"""How long a job is not read again while nobody seems to have changed anything."""


def wait_until_finished(
    store: Store, job_ids: Iterable[str], *, timeout: timedelta | None = None
) -> tuple[Job, ...]:
    """The jobs, in the order of their ids, once all are completed, dead or cancelled.

    Whether they did what they should is in each one's ``state``. ``timeout`` None waits for
    ever, 0 only looks. Waiting uses the handle's ``wait``: where another thread waits
    with it for something else, open a handle for each.

    NotFinished when the time runs out; JobNotFound, also for a job that is deleted meanwhile.
    """
    wanted = tuple(job_ids)
    known = {id_: store.job(id_) for id_ in wanted}
    end = None if timeout is None else time.monotonic() + timeout.total_seconds()
    while left := tuple(id_ for id_, job in known.items() if job.state not in FINISHED):
        if end is not None and timeout is not None and time.monotonic() >= end:
            raise NotFinished(left, timeout.total_seconds())
        _until_a_change(store, end)
        known |= {id_: store.job(id_) for id_ in left}
    return tuple(known[id_] for id_ in wanted)


def _until_a_change(store: Store, end: float | None) -> None:
    """Until something was stored, for a second at most: another thread may have been told."""
    start = time.monotonic()
    until = start + _READ_SECONDS if end is None else min(start + _READ_SECONDS, end)
    while (left := until - time.monotonic()) > 0:
        if store.wait(timedelta(seconds=min(left, _LOOK_SECONDS))) is Woke.CHANGED:
            return
