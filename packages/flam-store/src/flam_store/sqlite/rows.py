"""Between the rows of the database and the values of the domain."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from flam_store.clock import instant, millis, span
from flam_store.config import Config
from flam_store.job import Attempt, Job, JobSpec, Start
from flam_store.state import AttemptState, State

if TYPE_CHECKING:
    from flam_store.worker import WorkerRecord

Row = Sequence[Any]

_RARE = ("args", "cwd", "stdin", "after_policy", "success_codes", "no_retry_on")
_HOOKS = ("on_success", "on_failure", "on_dead")
_RARE_OF, _HOOKS_OF = attrgetter(*_RARE), attrgetter(*_HOOKS)
_PLAIN = {"after_policy": "all", "no_retry_on": ()}
"""Options of a spec that are no columns, those that the configuration may give, and what the
first ones are when nobody has said anything."""

_OPTIONS, _TIMES = 6, (14, 15, 16)
ATTEMPT, RUN_AT = 8, 16
"""Where these stand in a row of ``job_rows``, and of ``take``."""

BEGINNING_OF_TIME = -62_135_596_800_000
END_OF_TIME = 253_402_300_799_999
"""The first millisecond of the year 1 and the last of the year 9999."""


MOST_WIDTH = 4 << 20
"""So many characters of text, and one row more, are in memory at once at most."""

packed: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Compact JSON."""


def packed_names(names: Collection[str] | None) -> str | None:
    """Each of them once."""
    return None if names is None else packed(list(dict.fromkeys(names)))


def job_row(spec: JobSpec, config: Config, *, seq: int, now: int, state: State) -> tuple[Any, ...]:
    """The parameters of ``insert_job`` for a spec that has an id."""
    run_at = _due(spec, now)
    timeout = spec.timeout
    return (
        seq,
        spec.id,
        state.value,
        None if state is State.BLOCKED else int(run_at <= now),
        spec.queue,
        spec.priority,
        now,
        now,
        run_at,
        config.max_retries if spec.max_retries is None else spec.max_retries,
        config.backoff_base if spec.backoff_base is None else spec.backoff_base,
        config.backoff_max if spec.backoff_max is None else spec.backoff_max,
        config.backoff_jitter if spec.backoff_jitter is None else spec.backoff_jitter,
        _timeout(config) if timeout is None else span(timeout),
        spec.unique_key,
        spec.command,
        _options(spec, config),
    )


def width(row: Row) -> int:
    """How many characters the long texts of a row for ``insert_job`` have."""
    command, options = row[15:17]
    return len(command or "") + len(options or "")


def identity(row: Row) -> tuple[str, str | None]:
    """The id and the unique key in a row for ``insert_job``."""
    return row[1], row[14]


def _due(spec: JobSpec, now: int) -> int:
    if spec.run_at is not None:
        return millis(spec.run_at)
    return now if spec.delay is None else now + span(spec.delay)


def _timeout(config: Config) -> int | None:
    return None if config.timeout is None else max(1, round(config.timeout * 1000))


def _options(spec: JobSpec, config: Config) -> str | None:
    """What few jobs have, in one column; None when this one has nothing of it."""
    env = tuple(spec.env.items()) if spec.env else ()
    return _packed_options(_RARE_OF(spec), env, _HOOKS_OF(spec), _HOOKS_OF(config))


# Many jobs stored at once differ in nothing that is rare: half a job's time in Python is this.
@lru_cache(maxsize=1)
def _packed_options(
    rare: Row, env: tuple[tuple[str, str], ...], hooks: Row, usual_hooks: Row
) -> str | None:
    options: dict[str, object] = {
        name: value
        for name, value in zip(_RARE, rare, strict=True)
        if value is not None and value != _PLAIN.get(name)
    }
    if env:
        options["env"] = dict(env)
    for name, hook, usual in zip(_HOOKS, hooks, usual_hooks, strict=True):
        if (each := usual if hook is None else hook) is not None:
            options[name] = each
    return packed(options) if options else None


def job(row: Row) -> Job:
    """A job from a row of the view ``job_rows``."""
    (seq, id_, state, queue, priority, command, options, attempts, attempt, max_retries,
     backoff_base, backoff_max, backoff_jitter, timeout_ms, created_at, updated_at, run_at,
     exit_code, error, unique_key, after, labels) = row  # fmt: skip
    rare = rare_options(options)
    args = rare.get("args")
    return Job(
        seq=seq,
        id=id_,
        state=State(state),
        queue=queue,
        priority=priority,
        command=command,
        args=None if args is None else tuple(args),
        attempts=attempts,
        attempt=attempt,
        max_retries=max_retries,
        backoff_base=backoff_base,
        backoff_max=backoff_max,
        backoff_jitter=backoff_jitter,
        timeout=None if timeout_ms is None else timedelta(milliseconds=timeout_ms),
        created_at=instant(created_at),
        updated_at=instant(updated_at),
        run_at=instant(run_at),
        exit_code=exit_code,
        error=error,
        cwd=rare.get("cwd"),
        env=rare.get("env", {}),
        stdin=rare.get("stdin"),
        after=() if after == "[]" else tuple(json.loads(after)),
        after_policy=rare.get("after_policy", "all"),
        unique_key=unique_key,
        labels={} if labels == "{}" else json.loads(labels),
        success_codes=tuple(rare.get("success_codes", (0,))),
        no_retry_on=tuple(rare.get("no_retry_on", ())),
        on_success=rare.get("on_success"),
        on_failure=rare.get("on_failure"),
        on_dead=rare.get("on_dead"),
    )


def rare_options(options: str | None) -> dict[str, Any]:
    """The options of a job; TypeError when another program has spoilt them."""
    rare = json.loads(options) if options else {}
    if not isinstance(rare, dict):
        raise TypeError("its options are no object")
    texts = [rare.get(name, "") for name in ("cwd", "stdin", "after_policy", *_HOOKS)]
    texts += [*rare.get("args", ()), *rare.get("env", {}).values()]
    if not all(type(text) is str for text in texts):
        raise TypeError("its options are no texts")
    codes = [*rare.get("success_codes", ()), *rare.get("no_retry_on", ())]
    if not all(type(code) is int for code in codes):
        raise TypeError("its exit codes are no numbers")
    return rare


def command_line(command: str | None, options: str | None) -> str:
    """A command as a person would type it; empty where another program has spoilt it."""
    if command is not None:
        return command
    try:
        return shlex.join(rare_options(options).get("args", ()))
    except (ValueError, TypeError, AttributeError):
        return ""


def job_as_far_as_readable(row: Row) -> Job:
    """A job for looking at, also from a row that another program has spoilt.

    What cannot be read of its options is left out, and times are kept within the calendar.
    """
    try:
        return job(row)
    except (ValueError, TypeError, AttributeError, OverflowError):
        spoilt = list(row)
        spoilt[_OPTIONS] = None
        for place in _TIMES:
            spoilt[place] = _within_the_calendar(spoilt[place])
        return job(spoilt)


def instant_as_far_as_readable(millis: int | None) -> datetime | None:
    """A time for looking at, kept within the calendar."""
    return None if millis is None else instant_within_the_calendar(millis)


def instant_within_the_calendar(millis: int) -> datetime:
    """A time for looking at that is always there."""
    return instant(_within_the_calendar(millis))


def _within_the_calendar(millis: int) -> int:
    return min(max(millis, 0), END_OF_TIME)


def attempt(row: Row) -> Attempt:
    """An attempt from a row of ``attempts_of``."""
    (seq, number, state, worker, started_at, finished_at, exit_code, signal, cause, error,
     output_bytes) = row  # fmt: skip
    return Attempt(
        seq=seq,
        attempt=number,
        state=AttemptState(state),
        worker=worker,
        started_at=instant(started_at),
        finished_at=None if finished_at is None else instant(finished_at),
        exit_code=exit_code,
        signal=signal,
        cause=cause,
        error=error,
        output_bytes=output_bytes,
    )


def kept_of_attempt(row: Row) -> dict[str, Any]:
    """What is kept of an attempt besides, from the last columns of ``past_of``."""
    due_at, cancel_requested_at, cancel_requested_by = row
    return {
        "due_at": instant(due_at),
        "cancel_requested_at": None
        if cancel_requested_at is None
        else instant(cancel_requested_at),
        "cancel_requested_by": cancel_requested_by,
    }


def start(row: Row) -> Start:
    """A start from a row of ``starts_between``."""
    seq, number, state, worker, output_bytes = row
    return Start(
        seq=seq,
        attempt=number,
        state=AttemptState(state),
        worker=worker,
        output_bytes=output_bytes,
    )


def worker(row: Row) -> WorkerRecord:
    """A worker from a row of ``workers``."""
    from flam_store.worker import ProcessId, Role, Stop, WorkerRecord

    (id_, role, host, boot, pid, born, lease_ms, supervisor, queues, started_at, heartbeat_at,
     stop, holds) = row  # fmt: skip
    return WorkerRecord(
        id=id_,
        role=Role(role),
        process=ProcessId(host=host, boot=boot, pid=pid, born=born),
        lease=timedelta(milliseconds=lease_ms),
        supervisor=supervisor,
        queues=None if queues is None else tuple(json.loads(queues)),
        started_at=instant(started_at),
        heartbeat_at=instant(heartbeat_at),
        stop=None if stop is None else Stop(stop),
        job=holds,
    )
