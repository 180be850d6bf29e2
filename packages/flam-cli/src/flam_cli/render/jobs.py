"""Jobs and their attempts for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flam_cli.render import human
from flam_store.durations import format_duration
from flam_store.job import Attempt, Job
from flam_store.state import State
from flam_store.text import mask_env

JOB_HEADERS = ("ID", "STATE", "QUEUE", "ATTEMPTS", "AGE", "COMMAND")
JOB_YIELDS = (
    ("COMMAND", 16), ("AGE", 0), ("QUEUE", 0), ("ATTEMPTS", 0), ("COMMAND", 0), ("STATE", 0),
)  # fmt: skip
"""A row is about an id, which is never cut."""

_ATTEMPT_YIELDS = (
    ("ERROR", 12), ("WORKER", 0), ("OUTPUT", 0), ("STARTED", 0), ("ERROR", 0), ("TOOK", 0),
)  # fmt: skip
_ATTEMPT_HEADERS = ("ATTEMPT", "STATE", "STARTED", "TOOK", "EXIT", "OUTPUT", "ERROR", "WORKER")


def job_row(job: Job, now: datetime) -> tuple[str, ...]:
    """The fields below ``JOB_HEADERS``."""
    return (
        job.id,
        job.state.value,
        job.queue,
        f"{job.attempts}/{job.max_retries + 1}",
        _age(job.created_at, now),
        job.command_line,
    )


def print_job(
    job: Job, attempts: Sequence[Attempt], now: datetime, so_far: Mapping[int, int]
) -> None:
    """Everything of one job, and of every start of it.

    ``so_far`` are the sizes of outputs by the number of their attempt, where the store has none.
    """
    human.fields(_fields(job, now))
    if attempts:
        human.line("")
        rows = [_attempt_row(each, now, so_far.get(each.attempt)) for each in attempts]
        human.table(_ATTEMPT_HEADERS, rows, _ATTEMPT_YIELDS)


def _fields(job: Job, now: datetime) -> list[tuple[str, str | None]]:
    return [
        ("Id", job.id),
        ("State", job.state.value),
        ("Command", job.command_line),
        ("Run by", "/bin/sh" if job.args is None else "the worker, without a shell"),
        ("Queue", job.queue),
        ("Priority", str(job.priority)),
        ("Attempts", f"{job.attempts} of {job.max_retries + 1}"),
        ("Exit code", None if job.exit_code is None else str(job.exit_code)),
        ("Error", job.error),
        ("Created", _when(job.created_at, now)),
        ("Updated", _when(job.updated_at, now)),
        ("Due", _when(job.run_at, now) if job.state in _WAITING else None),
        *_policy(job),
        *_surroundings(job),
    ]


_WAITING = (State.PENDING, State.FAILED, State.BLOCKED)


def _policy(job: Job) -> list[tuple[str, str | None]]:
    spread = f", give or take {job.backoff_jitter * 100:g} %" if job.backoff_jitter else ""
    longest = format_duration(job.backoff_max)
    return [
        ("Timeout", "none" if job.timeout is None else format_duration(job.timeout)),
        ("Backoff", f"{job.backoff_base:g}^attempt seconds, at most {longest}{spread}"),
        ("Success", None if job.success_codes == (0,) else _codes(job.success_codes)),
        ("Not retried", _codes(job.no_retry_on)),
        ("On success", job.on_success),
        ("On failure", job.on_failure),
        ("On dead", job.on_dead),
    ]


def _codes(codes: Sequence[int]) -> str | None:
    return f"exit code {', '.join(map(str, codes))}" if codes else None


def _surroundings(job: Job) -> list[tuple[str, str | None]]:
    return [
        ("Directory", job.cwd),
        ("Environment", _joined(mask_env(job.env))),
        ("Input", None if job.stdin is None else f"{len(job.stdin.encode()):,} bytes"),
        ("After", ", ".join(job.after) or None),
        ("After policy", None if job.after_policy == "all" else job.after_policy),
        ("Unique key", job.unique_key),
        ("Labels", _joined(dict(job.labels))),
    ]


def _joined(pairs: dict[str, str]) -> str | None:
    return " ".join(f"{key}={value}" for key, value in pairs.items()) or None


def _attempt_row(attempt: Attempt, now: datetime, so_far: int | None) -> tuple[str, ...]:
    output = so_far if attempt.output_bytes is None else attempt.output_bytes
    return (
        str(attempt.attempt),
        attempt.state.value,
        _stamp(attempt.started_at),
        _age(attempt.started_at, attempt.finished_at or now),
        attempt.signal or ("-" if attempt.exit_code is None else str(attempt.exit_code)),
        "-" if output is None else human.size(output),
        attempt.error or "-",
        attempt.worker,
    )


def _age(since: datetime, now: datetime) -> str:
    return format_duration(max(now - since, timedelta()))


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _when(at: datetime, now: datetime) -> str:
    words = f"{_age(at, now)} ago" if at <= now else f"in {_age(now, at)}"
    return f"{_stamp(at)} ({words})"
