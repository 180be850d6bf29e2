"""Saying of paused queues that they are, wherever somebody may wonder why nothing runs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flam_cli.render import human
from flam_store.state import WAITING

if TYPE_CHECKING:
    from flam_store.store import StoreReader


def tell_of_pauses(store: StoreReader, queues: Collection[str] | None) -> None:
    """A line on standard error for each of these queues (None: all) where a pause holds up jobs."""
    now = datetime.now(UTC)
    for queue in store.overview().queues:
        wanted = queues is None or queue.name in queues
        if wanted and queue.paused_at is not None and any(queue.counts[each] for each in WAITING):
            from flam_store.why import pause_of

            human.complain(
                f'Queue {queue.name} {pause_of(queue, now)}. "queuectl queue resume '
                f'{queue.name}" ends the pause.',
                prefix="",
            )
