"""Jobs and claims that no store has seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flam_store import Claim, Job
from flam_store.state import State

_THEN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "seq": 7, "id": "j", "state": State.PROCESSING, "queue": "default", "priority": 0,
        "command": "true", "args": None, "attempts": 1, "attempt": 1, "max_retries": 3,
        "backoff_base": 2.0, "backoff_max": 3600.0, "backoff_jitter": 0.1, "timeout": None,
        "created_at": _THEN, "updated_at": _THEN, "run_at": _THEN,
    }  # fmt: skip
    return Job(**given | fields)


def claim(attempt: int = 1, worker: str = "worker-1", **fields: Any) -> Claim:
    return Claim(job=job(attempt=attempt, **fields), attempt=attempt, worker=worker)
