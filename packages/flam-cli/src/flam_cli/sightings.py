"""The workers as they stand now: what the store knows, and what this host can see of them."""

from __future__ import annotations

from typing import Any

from flam_store import shapes
from flam_store.store import StoreReader
from flam_store.worker import Role


def workers(store: StoreReader) -> list[Any]:
    """A ``flam_worker.pool.Sighting`` of every worker; supervisors are left out."""
    records = [record for record in store.workers() if record.role is Role.WORKER]
    if not records:
        return []
    from flam_worker.pool import sightings

    return list(sightings(records))


def shape(seen: Any) -> shapes.Shape:
    """A sighting as a script reads it."""
    return shapes.worker(seen.record, seen.state, seen.cpu_percent, seen.rss_bytes)
