"""The JSON shapes of Flam's values: what a script reads. A key is never left out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flam_store.job import given
from flam_store.text import mask_env

if TYPE_CHECKING:
    from flam_store.copies import Backup, Restored
    from flam_store.finding import Finding, Repair
    from flam_store.job import Attempt, Job, JobSpec
    from flam_store.measures import Ended, Measure, Spread, Statistics
    from flam_store.overview import Overview, QueueInfo
    from flam_store.portable import Imported
    from flam_store.relatives import Relative, Relatives
    from flam_store.schedule import Schedule, Tick
    from flam_store.worker import WorkerRecord

Shape = dict[str, Any]


def instant(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with six decimals, ending in Z."""
    if at is None:
        return None
    # strftime leaves out the leading zeros of an early year.
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def job(value: Job) -> Shape:
    """A job. Values of ``env`` are masked; of ``stdin`` only the size is told."""
    return {
        "id": value.id,
        "command": value.command_line,
        "state": value.state.value,
        "queue": value.queue,
        "priority": value.priority,
        "attempts": value.attempts,
        "max_retries": value.max_retries,
        "created_at": instant(value.created_at),
        "updated_at": instant(value.updated_at),
        "run_at": instant(value.run_at),
        "exit_code": value.exit_code,
        "error": value.error,
        "args": None if value.args is None else list(value.args),
        "backoff_base": value.backoff_base,
        "backoff_max": value.backoff_max,
        "backoff_jitter": value.backoff_jitter,
        "timeout": None if value.timeout is None else value.timeout.total_seconds(),
        "cwd": value.cwd,
        "env": mask_env(value.env),
        "stdin_bytes": None if value.stdin is None else len(value.stdin.encode()),
        "after": list(value.after),
        "after_policy": value.after_policy,
        "unique_key": value.unique_key,
        "labels": dict(value.labels),
        "success_codes": list(value.success_codes),
        "no_retry_on": list(value.no_retry_on),
        "on_success": value.on_success,
        "on_failure": value.on_failure,
        "on_dead": value.on_dead,
    }


def attempt(value: Attempt) -> Shape:
    return {
        "attempt": value.attempt,
        "state": value.state.value,
        "worker": value.worker,
        "started_at": instant(value.started_at),
        "finished_at": instant(value.finished_at),
        "exit_code": value.exit_code,
        "signal": value.signal,
        "cause": value.cause,
        "error": value.error,
        "output_bytes": value.output_bytes,
    }


def job_with_history(value: Job, attempts: Sequence[Attempt]) -> Shape:
    return job(value) | {"history": [attempt(each) for each in attempts]}


def relative(value: Relative) -> Shape:
    """A parent or a child; ``state`` null: a parent that was deleted."""
    return {"id": value.id, "state": None if value.state is None else value.state.value}


def relatives(value: Relatives) -> Shape:
    """``more_parents`` and ``more_children`` count those that are left out."""
    return {
        "parents": [relative(each) for each in value.parents],
        "children": [relative(each) for each in value.children],
        "more_parents": value.more_parents,
        "more_children": value.more_children,
    }


def queue(value: QueueInfo) -> Shape:
    return {
        "name": value.name,
        "counts": {state.value: jobs for state, jobs in value.counts.items()},
        "paused_at": instant(value.paused_at),
        "paused_by": value.paused_by,
        "note": value.note,
        "concurrency": value.concurrency,
    }


def schedule(value: Schedule) -> Shape:
    """A schedule; ``spec`` is the job's, as far as it was given, and null if it cannot be read."""
    return {
        "name": value.name,
        "cron": value.cron,
        "timezone": value.timezone,
        "overlap": value.overlap.value,
        "catch_up": value.catch_up.value,
        "spec": None if value.job is None else spec(value.job),
        "created_at": instant(value.created_at),
        "paused_at": instant(value.paused_at),
        "paused_by": value.paused_by,
        "next_at": instant(value.next_at),
        "problem": value.problem,
    }


def spec(value: JobSpec) -> Shape:
    """What was asked for. Values of ``env`` are masked; of ``stdin`` only the size is told."""
    told = given(value)
    if value.env:
        told["env"] = mask_env(value.env)
    if (text := told.pop("stdin", None)) is not None:
        told["stdin_bytes"] = len(text.encode())
    return told


def tick(value: Tick) -> Shape:
    """A tick; ``state`` is its job's, null when that was purged or there was none."""
    return {
        "at": instant(value.at),
        "job": value.job,
        "state": None if value.state is None else value.state.value,
        "skipped": value.skipped,
    }


def schedule_with_ticks(
    value: Schedule, upcoming: Sequence[datetime], ticks: Sequence[Tick]
) -> Shape:
    return schedule(value) | {
        "upcoming": [instant(at) for at in upcoming],
        "ticks": [tick(each) for each in ticks],
    }


def overview(value: Overview, workers: list[Shape]) -> Shape:
    return {
        "counts": {state.value: jobs for state, jobs in value.counts.items()},
        "queues": [queue(each) for each in value.queues],
        "workers": workers,
        "oldest_due_at": instant(value.oldest_due_at),
        "rates": [
            {
                "seconds": rate.seconds,
                "completed": rate.completed,
                "failed": rate.failed,
                "wait_seconds": rate.wait_seconds,
                "run_seconds": rate.run_seconds,
            }
            for rate in value.rates
        ],
    }


def ended(value: Ended) -> Shape:
    """An attempt that is over, with what of its job tells which one it is."""
    told = {"id": value.job.id, "queue": value.job.queue, "command": value.job.command_line}
    return told | attempt(value.attempt)


def statistics(value: Statistics) -> Shape:
    """Durations are in seconds, null where nothing was measured."""
    return {
        "since": instant(value.since),
        "cut": value.cut,
        "measures": [_measure(each) for each in value.measures],
    }


def _measure(value: Measure) -> Shape:
    return {
        "name": value.name,
        "attempts": value.attempts,
        "completed": value.completed,
        "failed": value.failed,
        "failure_rate": value.failure_rate,
        "timeouts": value.timeouts,
        "crashed": value.crashed,
        "cancelled": value.cancelled,
        "released": value.released,
        "wait_seconds": _spread(value.waits),
        "run_seconds": _spread(value.runs),
    }


def _spread(value: Spread | None) -> Shape | None:
    if value is None:
        return None
    return {
        "p50": value.p50.total_seconds(),
        "p95": value.p95.total_seconds(),
        "max": value.max.total_seconds(),
    }


def worker(
    value: WorkerRecord, state: str, cpu_percent: float | None, rss_bytes: int | None
) -> Shape:
    """A worker; ``state`` and what it uses are known only on its host."""
    return {
        "id": value.id,
        "pid": value.process.pid,
        "host": value.process.host,
        "state": state,
        "job": value.job,
        "started_at": instant(value.started_at),
        "cpu_percent": cpu_percent,
        "rss_bytes": rss_bytes,
    }


def checkup(findings: Sequence[Finding], repairs: Sequence[Repair]) -> Shape:
    """What an examination found, after the repairs; ``sound`` when nothing failed."""
    return {
        "sound": all(each.level.value != "fail" for each in findings),
        "findings": [
            {
                "level": each.level.value,
                "subject": each.subject,
                "text": each.text,
                "mend": each.mend,
            }
            for each in findings
        ],
        "repairs": [{"subject": each.subject, "text": each.text} for each in repairs],
    }


def backup(value: Backup, path: str) -> Shape:
    return {"path": path, "jobs": value.jobs, "size_bytes": value.size_bytes}


def restored(value: Restored) -> Shape:
    """``kept`` is the folder with what was replaced, or null."""
    return {"jobs": value.jobs, "processing": value.processing, "kept": value.kept}


def imported(value: Imported, *, dry_run: bool) -> Shape:
    """``interrupted`` jobs had been running; ``skipped`` ones were stored already."""
    return {
        "jobs": value.jobs,
        "interrupted": value.interrupted,
        "skipped": value.skipped,
        "dry_run": dry_run,
    }
