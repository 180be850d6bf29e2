"""Deleting finished jobs with their output."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flam_store.job import JobFilter
from flam_store.output import Logs
from flam_store.store import Store

_CHUNK = 500


def purge_all(
    store: Store,
    logs: Logs,
    which: JobFilter,
    *,
    older_than: timedelta,
    tell: Callable[[int], None],
) -> int:
    """Delete all that match, in portions; return how many. Of their text nothing is left.

    ``tell`` is told how many are gone.
    """
    deleted = after = 0
    while seqs := store.purge(which, older_than=older_than, after=after, limit=_CHUNK):
        after = seqs[-1]
        logs.remove(seqs)
        deleted += len(seqs)
        tell(deleted)
    store.tidy()
    return deleted
