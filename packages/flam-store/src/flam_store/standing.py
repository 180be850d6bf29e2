"""How a job stands: all that decides when it runs, and what a reason for that is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs

from flam_store.job import Attempt, Job
from flam_store.overview import QueueInfo
from flam_store.relatives import Relatives
from flam_store.worker import Role, WorkerRecord


class Kind(StrEnum):
    """What keeps a job from running, or tells that nothing does."""

    RUNNING = "running"
    FINISHED = "finished"
    BLOCKED = "blocked"
    NOT_DUE = "not_due"
    PAUSED = "paused"
    FULL = "full"
    NO_WORKERS = "no_workers"
    NOT_SERVED = "not_served"
    BUSY = "busy"
    NEXT = "next"


@attrs.frozen(kw_only=True)
class Standing:
    """All that decides when a job runs, read at one moment, ``at``.

    ``latest`` is its latest attempt. ``running`` are ids of some jobs of its queue that run.
    ``ahead`` counts the jobs of its queue that are ready and come before it, up to
    ``relatives.MOST_COUNTED``; 0 for a job that is not due, None where priorities age: whether
    a job comes before it then changes while they wait.
    """

    job: Job
    at: datetime
    latest: Attempt | None
    relatives: Relatives
    queue: QueueInfo
    running: tuple[str, ...]
    ahead: int | None
    workers: tuple[WorkerRecord, ...]


@attrs.frozen(kw_only=True)
class Reason:
    """One sentence, what to do about it (None: nothing), and the facts that it is made of.

    ``stays`` says that time alone does not end it: somebody has to do something.
    """

    kind: Kind
    text: str
    advice: str | None = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    stays: bool = False


def lives(worker: WorkerRecord, at: datetime, seen: Mapping[str, bool]) -> bool:
    """Whether a worker lives: as it was ``seen`` on its host (by id), otherwise by its lease."""
    return seen.get(worker.id, at <= worker.heartbeat_at + worker.lease)


def taking(standing: Standing, seen: Mapping[str, bool]) -> list[WorkerRecord]:
    """The workers that live and take jobs."""
    workers = (each for each in standing.workers if each.role is Role.WORKER)
    return [each for each in workers if each.stop is None and lives(each, standing.at, seen)]


def serving(standing: Standing, seen: Mapping[str, bool]) -> list[WorkerRecord]:
    """Those of them that take jobs of its queue."""
    there = taking(standing, seen)
    return [each for each in there if each.queues is None or standing.queue.name in each.queues]
