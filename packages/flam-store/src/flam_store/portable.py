"""Jobs with their whole history, as they travel from one queue to another.

A file is lines of JSON: the first says what it is, then one job a line, the oldest first, and
the last says that nothing is missing. Everything that runs a job again is in it, the values of
``env`` and ``stdin`` in plain. What jobs printed is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import attrs

from flam_store.errors import SpecError
from flam_store.hooks import spec_kind
from flam_store.job import Attempt, Job, JobSpec
from flam_store.shapes import Shape, instant
from flam_store.state import AttemptState, State

FORMAT = "flam-jobs"
VERSION = 1
HEADER: Shape = {"format": FORMAT, "version": VERSION}
END: Shape = {"end": FORMAT}

_POLICY = ("max_retries", "backoff_base", "backoff_max", "backoff_jitter")


@attrs.frozen(kw_only=True)
class PastAttempt:
    """One start of a job as it is kept for ever; ``due_at`` is when it could have begun."""

    attempt: int
    state: AttemptState
    worker: str
    due_at: datetime
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    signal: str | None
    cause: str | None
    error: str | None
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None

    def __attrs_post_init__(self) -> None:
        if (self.finished_at is None) != (self.state is AttemptState.RUNNING):
            problem = "goes with every state but running, and only with those"
            raise SpecError(problem, field="finished_at")


@attrs.frozen(kw_only=True)
class Record:
    """A job with its history. SpecError when the two do not fit together.

    ``spec`` has the id, the whole policy and no time: that is ``run_at``. ``gone`` are the ids of
    jobs that it waits for and that were deleted before they were completed. ``line`` is where
    the record was read, and no part of it.
    """

    spec: JobSpec
    state: State
    attempts: int
    created_at: datetime
    updated_at: datetime
    run_at: datetime
    gone: tuple[str, ...] = ()
    history: tuple[PastAttempt, ...] = ()
    line: int | None = attrs.field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        for name in ("id", *_POLICY):
            if getattr(self.spec, name) is None:
                raise SpecError("is missing", field=f"spec.{name}")
        if self.spec.run_at is not None or self.spec.delay is not None:
            raise SpecError("belongs beside the spec, as run_at", field="spec.run_at")
        if len({*self.gone, *self.spec.after, self.id}) <= len(self.gone) + len(self.spec.after):
            raise SpecError("names a job twice, or itself", field="gone")
        if [each.attempt for each in self.history] != [*range(1, len(self.history) + 1)]:
            raise SpecError("must be numbered from 1, without a gap", field="history")
        if not 0 <= self.attempts <= len(self.history):
            problem = f"must be from 0 to {len(self.history)}, the number of starts in history"
            raise SpecError(problem, field="attempts")
        self._check_state()

    def _check_state(self) -> None:
        running = [each.attempt for each in self.history if each.state is AttemptState.RUNNING]
        if running != ([len(self.history)] if self.state is State.PROCESSING else []):
            problem = "the last attempt of a job that is processing is running, and no other"
            raise SpecError(problem, field="history")

    @property
    def id(self) -> str:
        return str(self.spec.id)


@attrs.frozen(kw_only=True)
class Imported:
    """What was imported: how many jobs, and how many of them had been running.

    ``skipped`` is how many were left out, as their ids were stored already.
    """

    jobs: int
    interrupted: int
    skipped: int


def record_of(job: Job, history: Iterable[PastAttempt], gone: Iterable[str] = ()) -> Record:
    """The record of a stored job. SpecError when its row breaks a rule."""
    lost = tuple(gone)
    spec = spec_kind(job.env)(
        command=job.command,
        args=job.args,
        id=job.id,
        queue=job.queue,
        priority=job.priority,
        max_retries=job.max_retries,
        backoff_base=job.backoff_base,
        backoff_max=job.backoff_max,
        backoff_jitter=job.backoff_jitter,
        timeout=job.timeout,
        cwd=job.cwd,
        env=job.env,
        stdin=job.stdin,
        after=tuple(id_ for id_ in job.after if id_ not in lost),
        after_policy=job.after_policy,
        unique_key=job.unique_key,
        labels=job.labels,
        success_codes=None if job.success_codes == (0,) else job.success_codes,
        no_retry_on=job.no_retry_on,
        on_success=job.on_success,
        on_failure=job.on_failure,
        on_dead=job.on_dead,
    )
    return Record(
        spec=spec,
        state=job.state,
        attempts=job.attempts,
        created_at=job.created_at,
        updated_at=job.updated_at,
        run_at=job.run_at,
        gone=lost,
        history=tuple(history),
    )


def past(value: Attempt, **kept: Any) -> PastAttempt:
    """A start with what is ``kept`` of it besides: ``due_at`` and who asked for its end."""
    return PastAttempt(
        attempt=value.attempt,
        state=value.state,
        worker=value.worker,
        started_at=value.started_at,
        finished_at=value.finished_at,
        exit_code=value.exit_code,
        signal=value.signal,
        cause=value.cause,
        error=value.error,
        **kept,
    )


def interrupted(record: Record, at: datetime) -> Record:
    """What becomes, in another queue, of a job that was running: its attempt has crashed.

    Whoever ran it does so for the queue that it came from. As after any crash the attempt
    counts: the job is due at once, or a dead letter when it was the last. One that was to be
    cancelled is cancelled.
    """
    *before, last = record.history
    cancelled = last.cancel_requested_at is not None
    ended = attrs.evolve(
        last,
        state=AttemptState.CANCELLED if cancelled else AttemptState.CRASHED,
        finished_at=max(at, last.started_at),
        cause="cancelled" if cancelled else "crashed",
        error="it was running when its queue was exported",
    )
    state = State.FAILED if record.attempts <= (record.spec.max_retries or 0) else State.DEAD
    return attrs.evolve(
        record,
        state=State.CANCELLED if cancelled else state,
        run_at=at if state is State.FAILED and not cancelled else record.run_at,
        updated_at=at,
        history=(*before, ended),
    )


def lines(records: Iterable[Record]) -> Iterator[bytes]:
    """The lines of a file, each with its newline."""
    yield packed(HEADER)
    for record in records:
        yield packed(shape(record))
    yield packed(END)


def packed(value: Shape) -> bytes:
    """A line in ASCII, without any character that a terminal would obey."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", r"\u007f").encode() + b"\n"


def shape(record: Record) -> Shape:
    """A record as its line has it. Of the spec only what was given is there."""
    return {
        "spec": _spec(record.spec),
        "state": record.state.value,
        "attempts": record.attempts,
        "created_at": instant(record.created_at),
        "updated_at": instant(record.updated_at),
        "run_at": instant(record.run_at),
        "gone": list(record.gone),
        "history": [_attempt(each) for each in record.history],
    }


def _spec(spec: JobSpec) -> Shape:
    given = attrs.asdict(spec, recurse=False)
    if spec.timeout is not None:
        given["timeout"] = spec.timeout.total_seconds()
    plain = {"after_policy": "all"}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and value not in ((), {}) and value != plain.get(name)
    }


def _attempt(value: PastAttempt) -> Shape:
    return {
        name: instant(item) if isinstance(item, datetime) else item
        for name, item in attrs.asdict(value, recurse=False).items()
    }
