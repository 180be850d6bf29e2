"""The states of a job and of an attempt."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. See the moves between them in ARCHITECTURE.md."""

    PENDING = "pending"
    BLOCKED = "blocked"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """How one start of a job stands or ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    RELEASED = "released"


FINISHED = frozenset({State.COMPLETED, State.DEAD, State.CANCELLED})
"""The states that a job leaves only when somebody retries it."""

WAITING = (State.PENDING, State.BLOCKED, State.FAILED)
"""The states in which a job has a start before it."""

RETRYABLE = (State.DEAD, State.CANCELLED, State.COMPLETED, State.FAILED)
"""The states in which ``retry`` takes a job."""
