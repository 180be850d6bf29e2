"""The columns of a list of jobs: the usual ones, or those that were chosen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import attrs

from flam_cli.render.jobs import JOB_HEADERS, JOB_YIELDS, job_row
from flam_cli.render.table import Yields
from flam_store import shapes
from flam_store.job import Job

KNOWN = (
    *("id", "command", "state", "queue", "priority", "attempts", "max_retries", "created_at"),
    *("updated_at", "run_at", "exit_code", "error", "args", "backoff_base", "backoff_max"),
    *("backoff_jitter", "timeout", "cwd", "env", "stdin_bytes", "after", "after_policy"),
    *("unique_key", "labels", "success_codes", "no_retry_on", "on_success", "on_failure"),
    "on_dead",
)
"""The keys of a job in JSON."""

_LEAST = 8


class Columns(Protocol):
    """What is told of each job, for a person and for a script."""

    @property
    def headers(self) -> tuple[str, ...]: ...

    @property
    def yields(self) -> Yields: ...

    def row(self, job: Job, now: datetime) -> tuple[str, ...]: ...

    def shape(self, job: Job) -> shapes.Shape: ...


class _Usual:
    headers: tuple[str, ...] = JOB_HEADERS
    yields: Yields = JOB_YIELDS

    def row(self, job: Job, now: datetime) -> tuple[str, ...]:
        return job_row(job, now)

    def shape(self, job: Job) -> shapes.Shape:
        return shapes.job(job)


USUAL: Columns = _Usual()


@attrs.frozen
class Chosen:
    """Keys of a job in JSON, each once, in the order of the columns."""

    names: tuple[str, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(map(str.upper, self.names))

    @property
    def yields(self) -> Yields:
        """From the right on, columns shrink, then are left out; the id, or the first, stays."""
        staying = "ID" if "ID" in self.headers else self.headers[0]
        giving = [name for name in reversed(self.headers) if name != staying]
        return [*((name, _LEAST) for name in giving), *((name, 0) for name in giving)]

    def row(self, job: Job, now: datetime) -> tuple[str, ...]:  # noqa: ARG002, as others need it
        return tuple(map(_field, self.shape(job).values()))

    def shape(self, job: Job) -> shapes.Shape:
        told = shapes.job(job)
        return {name: told[name] for name in self.names}


def _field(value: Any) -> str:
    match value:
        case None:
            return "-"
        case list():
            return " ".join(map(str, value)) or "-"
        case dict():
            return " ".join(f"{key}={each}" for key, each in value.items()) or "-"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
