"""What the store knows of workers, and what it tells them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from flam_store.job import Claim
    from flam_store.outcome import Result


class Role(StrEnum):
    """A supervisor starts and restarts workers; a worker claims jobs and runs them."""

    SUPERVISOR = "supervisor"
    WORKER = "worker"


class Stop(StrEnum):
    """The intent that a worker ends: after its job, or at once with its job put back."""

    GRACEFUL = "graceful"
    NOW = "now"


@attrs.frozen(kw_only=True)
class ProcessId:
    """A process, so that no other can be taken for it.

    A ``pid`` means something only on one ``host``, during one ``boot`` (the boot id, with the
    pid namespace where there are such), and for the process that was ``born`` then (clock
    ticks since boot on Linux, a time elsewhere; compared for equality only).
    """

    host: str
    boot: str
    pid: int
    born: str


@attrs.frozen(kw_only=True)
class Registration:
    """What a worker or supervisor says of itself. ``queues`` None means all of them.

    A worker that does not renew within ``lease`` may be taken for lost.
    """

    id: str
    role: Role
    process: ProcessId
    lease: timedelta
    supervisor: str | None = None
    queues: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class WorkerRecord:
    """A registered worker or supervisor. ``job`` is the id of the job that it holds."""

    id: str
    role: Role
    process: ProcessId
    lease: timedelta
    supervisor: str | None
    queues: tuple[str, ...] | None
    started_at: datetime
    heartbeat_at: datetime
    stop: Stop | None
    job: str | None


@attrs.frozen(kw_only=True)
class Orders:
    """What the store wants of a worker.

    ``known`` is False when its record is gone: it was taken for lost and must register
    again. ``cancelled`` are the fences ``(seq, attempt)`` that it holds and should end.
    """

    known: bool
    stop: Stop | None = None
    cancelled: frozenset[tuple[int, int]] = frozenset()


@attrs.frozen(kw_only=True)
class Turn:
    """The answer to finishing and claiming in one step.

    ``refused`` are results whose attempt no longer held its job: they changed nothing of it.
    When fewer jobs were claimed than wanted, ``next_due_in`` is the time until the next job,
    of whatever queue, is due (None: none is waiting for a time) and ``drained`` says that
    nothing of these queues is running, due, or on its way to a retry.
    """

    claims: tuple[Claim, ...] = ()
    refused: tuple[Result, ...] = ()
    next_due_in: timedelta | None = None
    drained: bool = False


class Woke(StrEnum):
    """Why waiting ended."""

    CHANGED = "changed"
    WATCHED = "watched"
    TIMEOUT = "timeout"
