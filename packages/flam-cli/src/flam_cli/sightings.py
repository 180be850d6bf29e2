"""The workers as they stand now: what the store knows, and what this host can see of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flam_store import shapes
from flam_store.worker import Role, WorkerRecord

if TYPE_CHECKING:
    from flam_store.store import StoreReader


def workers(store: StoreReader) -> list[Any]:
    """A ``flam_worker.pool.Sighting`` of every worker; supervisors are left out."""
    records = [record for record in store.workers() if record.role is Role.WORKER]
    if not records:
        return []
    from flam_worker.pool import sightings

    return list(sightings(records))


def lives(records: Iterable[WorkerRecord]) -> dict[str, bool]:
    """Whether workers live, by id; only of those of which this host can tell."""
    from flam_worker.identity import Presence, presence

    seen = {record.id: presence(record.process) for record in records}
    return {id_: there is Presence.ALIVE for id_, there in seen.items()
            if there is not Presence.UNKNOWN}  # fmt: skip


def shape(seen: Any) -> shapes.Shape:
    """A sighting as a script reads it."""
    return shapes.worker(seen.record, seen.state, seen.cpu_percent, seen.rss_bytes)
