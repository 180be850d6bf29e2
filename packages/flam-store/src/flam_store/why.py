"""Why a job has not started: every reason that holds, in the order in which a claim asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from flam_store import shapes
from flam_store.durations import format_duration
from flam_store.finding import counted
from flam_store.overview import QueueInfo
from flam_store.relatives import (
    MOST_COUNTED,
    Relative,
    Relatives,
    is_hopeless,
    more,
    waited_for,
    way_out,
)
from flam_store.standing import Kind, Reason, Standing, lives, serving, taking
from flam_store.state import FINISHED, State
from flam_store.worker import WorkerRecord

_NAMED = 5
"""So many jobs are named in a sentence."""


def reasons(standing: Standing, seen: Mapping[str, bool]) -> tuple[Reason, ...]:
    """Why the job has not started, or that it has; the decisive reason first, never none.

    The first is the one without which the next would be asked. ``seen`` says of workers, by
    id, whether their process lives, where that can be told.
    """
    match standing.job.state:
        case State.PROCESSING:
            return (_running(standing, seen),)
        case state if state in FINISHED:
            return (_finished(standing),)
        case _:
            found = [reason for ask in _QUESTIONS if (reason := ask(standing, seen))]
            return tuple(found) or (_next(standing),)


def shape(standing: Standing, found: Collection[Reason]) -> shapes.Shape:
    """The answer as a script reads it."""
    return {
        "id": standing.job.id,
        "state": standing.job.state.value,
        "reasons": [
            {"kind": each.kind.value, "text": each.text, "advice": each.advice, **each.facts}
            for each in found
        ],
    }


def _running(standing: Standing, seen: Mapping[str, bool]) -> Reason:
    latest = standing.latest
    if latest is None:
        return Reason(kind=Kind.RUNNING, text="It is running.")
    holder = next((each for each in standing.workers if each.id == latest.worker), None)
    facts = {
        "since": shapes.instant(latest.started_at),
        "attempt": latest.attempt,
        "worker": latest.worker,
        "pid": None if holder is None else holder.process.pid,
        "host": None if holder is None else holder.process.host,
    }
    text = (
        f"It has been running for {_span(latest.started_at, standing.at)}: "
        f"attempt {latest.attempt}, by {_called(latest.worker, holder)}"
    )
    if holder is None or not lives(holder, standing.at, seen):
        return Reason(
            kind=Kind.RUNNING,
            text=f"{text}, which is gone.",
            advice='A running pool finds that out by itself; "queuectl worker start" starts one.',
            facts=facts,
        )
    advice = f'"queuectl logs {standing.job.id} --follow" shows what it writes.'
    return Reason(kind=Kind.RUNNING, text=f"{text}.", advice=advice, facts=facts)


def _called(worker: str, record: WorkerRecord | None) -> str:
    if record is None:
        return f"worker {worker}"
    return f"worker {worker} (process {record.process.pid} on {record.process.host})"


def _finished(standing: Standing) -> Reason:
    job = standing.job
    after = f" after attempt {job.attempt}" if job.attempt else " before it was ever started"
    cause = f": {job.error}" if job.error and job.state is State.DEAD else ""
    return Reason(
        kind=Kind.FINISHED,
        text=f"It has been {job.state} for {_span(job.updated_at, standing.at)},{after}{cause}.",
        advice=f'"queuectl retry {job.id}" runs it again.',
        facts={
            "since": shapes.instant(job.updated_at),
            "attempt": job.attempt,
            "exit_code": job.exit_code,
            "error": job.error,
        },
    )


def _blocked(standing: Standing, _: Mapping[str, bool]) -> Reason | None:
    job = standing.job
    if job.state is not State.BLOCKED:
        return None
    holding = waited_for(standing.relatives.parents, job.after_policy)
    what_to_do = way_out(holding, job.after_policy)
    end = "over, however it ends" if job.after_policy == "any" else "completed"
    return Reason(
        kind=Kind.BLOCKED,
        text=f"It waits for {_named(holding, standing.relatives)} to be {end}.",
        advice=None if what_to_do is None else f"{what_to_do[0].upper()}{what_to_do[1:]}.",
        facts={"parents": [shapes.relative(each) for each in holding]},
        stays=any(is_hopeless(each, job.after_policy) for each in holding),
    )


def _named(holding: Collection[Relative], among: Relatives) -> str:
    named = [str(each) for each in holding][:_NAMED]
    others = "and others" if among.more_parents and len(holding) == len(among.parents) else None
    return ", ".join([*named, *filter(None, [others or more(len(holding) - len(named))])])


def _not_due(standing: Standing, _: Mapping[str, bool]) -> Reason | None:
    job = standing.job
    if job.run_at <= standing.at:
        return None
    retried = job.state is State.FAILED
    why = f"as a retry after attempt {job.attempt}" if retried else "as its producer asked"
    return Reason(
        kind=Kind.NOT_DUE,
        text=f"It is due in {_span(standing.at, job.run_at)}, at {_stamp(job.run_at)}, {why}.",
        advice=f'"queuectl retry {job.id}" makes it due now.'
        if retried
        else f'"queuectl update {job.id} --delay 0" makes it due now.',
        facts={
            "run_at": shapes.instant(job.run_at),
            "after_attempt": job.attempt if retried else None,
        },
    )


def _paused(standing: Standing, _: Mapping[str, bool]) -> Reason | None:
    queue = standing.queue
    if queue.paused_at is None:
        return None
    return Reason(
        kind=Kind.PAUSED,
        text=f"Its queue, {queue.name}, {pause_of(queue, standing.at)}.",
        advice=f'"queuectl queue resume {queue.name}" ends the pause.',
        facts={
            "queue": queue.name,
            "paused_at": shapes.instant(queue.paused_at),
            "paused_by": queue.paused_by,
            "note": queue.note,
        },
        stays=True,
    )


def pause_of(queue: QueueInfo, at: datetime) -> str:
    """The pause of a paused queue as the end of a sentence, without its full stop."""
    since = "" if queue.paused_at is None else f" for {_span(queue.paused_at, at)}"
    note = f": {queue.note}" if queue.note else ""
    return f"has been paused{since} by {queue.paused_by or 'somebody'}{note}"


def _full(standing: Standing, _: Mapping[str, bool]) -> Reason | None:
    queue = standing.queue
    running = queue.counts[State.PROCESSING]
    if queue.concurrency is None or running < queue.concurrency:
        return None
    rest = more(running - len(standing.running))
    told = ", ".join([*standing.running, *filter(None, [rest])])
    return Reason(
        kind=Kind.FULL,
        text=f"Its queue, {queue.name}, runs {running} of at most {queue.concurrency}: {told}.",
        advice=f'"queuectl queue set {queue.name} --concurrency N" changes the limit.',
        facts={
            "queue": queue.name,
            "concurrency": queue.concurrency,
            "running": running,
            "jobs": list(standing.running),
        },
    )


def _no_workers(standing: Standing, seen: Mapping[str, bool]) -> Reason | None:
    if taking(standing, seen):
        return None
    return Reason(
        kind=Kind.NO_WORKERS,
        text="No worker runs that would take it.",
        advice='"queuectl worker start" starts one.',
        stays=True,
    )


def _not_served(standing: Standing, seen: Mapping[str, bool]) -> Reason | None:
    there = taking(standing, seen)
    if not there or serving(standing, seen):
        return None
    served = sorted({queue for worker in there for queue in worker.queues or ()})
    queue = standing.queue.name
    return Reason(
        kind=Kind.NOT_SERVED,
        text=f"No worker serves its queue, {queue}; those that run serve only {', '.join(served)}.",
        advice=f'"queuectl worker start --queue {queue}" starts one that does.',
        facts={"queue": queue, "served": served},
        stays=True,
    )


def _busy(standing: Standing, seen: Mapping[str, bool]) -> Reason | None:
    if standing.job.state is State.BLOCKED or standing.job.run_at > standing.at:
        return None
    able = serving(standing, seen)
    if not able or (any(worker.job is None for worker in able) and not standing.ahead):
        return None
    busy = sum(worker.job is not None for worker in able)
    return Reason(
        kind=Kind.BUSY,
        text=f"Of {counted(len(able), 'worker')} that could take it, {busy} "
        f"{'is' if busy == 1 else 'are'} busy{_ahead(standing.ahead)}.",
        advice='"queuectl worker start" adds workers.',
        facts={"workers": len(able), "busy": busy, "ahead": standing.ahead},
    )


def _ahead(jobs: int | None) -> str:
    if jobs is None:
        return ""
    least = "at least " if jobs >= MOST_COUNTED else ""
    are = "is" if jobs == 1 else "are"
    return f", and {least}{counted(jobs, 'job')} of its queue {are} ahead of it"


_QUESTIONS: tuple[Callable[[Standing, Mapping[str, bool]], Reason | None], ...] = (
    _blocked,
    _not_due,
    _paused,
    _full,
    _no_workers,
    _not_served,
    _busy,
)


def _next(standing: Standing) -> Reason:
    return Reason(
        kind=Kind.NEXT,
        text="Nothing holds it up: a worker is about to take it.",
        facts={"queue": standing.queue.name},
    )


def _span(since: datetime, until: datetime) -> str:
    return format_duration(max(until - since, timedelta()))


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
