"""The state of the queue at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from flam_store.state import State


@attrs.frozen(kw_only=True)
class QueueInfo:
    """A queue that a job, a pause or a limit has named.

    ``concurrency`` is the most jobs of it that run at once over all workers; None: no limit.
    ``note`` is what whoever paused it had to say.
    """

    name: str
    counts: Mapping[State, int]
    paused_at: datetime | None = None
    paused_by: str | None = None
    note: str | None = None
    concurrency: int | None = None


@attrs.frozen(kw_only=True)
class Rate:
    """What ended within the last full ``seconds``: attempts by success, and their mean times.

    ``wait_seconds`` is from due to started, ``run_seconds`` from started to ended; both are
    means over the attempts counted and None when there were none.
    """

    seconds: int
    completed: int
    failed: int
    wait_seconds: float | None
    run_seconds: float | None


@attrs.frozen(kw_only=True)
class Overview:
    """Counts of every state (0 included), the queues, and what has been due for longest."""

    counts: Mapping[State, int]
    queues: tuple[QueueInfo, ...]
    oldest_due_at: datetime | None
    rates: tuple[Rate, ...]
