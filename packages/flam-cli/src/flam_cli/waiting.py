"""Waiting for jobs without polling, and saying what will not pass by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import attrs

from flam_cli import sightings
from flam_cli.render import human
from flam_cli.render.progress import erase
from flam_store.standing import Kind, Reason, Standing
from flam_store.store import Store, StoreReader
from flam_store.why import reasons

T = TypeVar("T")

_FIRST_LOOK_SECONDS = 0.5
_LOOK_SECONDS = 2.0
_BREATH_SECONDS = 0.02
"""Between two answers, so that a store where much happens does not keep this process busy."""


def standing_of(store: StoreReader, job_id: str) -> tuple[Standing, tuple[Reason, ...]]:
    """How a job stands and why it has not started, with what this host knows of the workers."""
    standing = store.standing(job_id)
    return standing, reasons(standing, sightings.lives(standing.workers))


def until(
    store: Store, answer: Callable[[], T | None], look: Callable[[], None], seconds: float | None
) -> T | None:
    """The first answer that is not None, asked whenever something has changed; None: too late.

    ``look`` is called now and then, when it takes longer.
    """
    began = time.monotonic()
    look_at = began + _FIRST_LOOK_SECONDS
    while (found := answer()) is None:
        now = time.monotonic()
        left = _LOOK_SECONDS if seconds is None else began + seconds - now
        if left <= 0:
            return None
        store.wait(timedelta(seconds=min(left, max(look_at - now, _BREATH_SECONDS))))
        time.sleep(min(left, _BREATH_SECONDS))
        if time.monotonic() >= look_at:
            look()
            look_at = time.monotonic() + _LOOK_SECONDS
    return found


@attrs.frozen
class Onlooker:
    """Says on standard error what keeps a job from running for good; each thing once.

    Of ``kinds`` only, if that is not None.
    """

    store: StoreReader
    kinds: tuple[Kind, ...] | None = None
    _told: set[tuple[str, Kind]] = attrs.field(factory=set, init=False)

    def look(self, job_id: str) -> None:
        _, found = standing_of(self.store, job_id)
        for reason in found:
            wanted = self.kinds is None or reason.kind in self.kinds
            if reason.stays and wanted and (job_id, reason.kind) not in self._told:
                self._told.add((job_id, reason.kind))
                erase()
                human.complain(f"{job_id}: {reason.text} {reason.advice}", prefix="")
