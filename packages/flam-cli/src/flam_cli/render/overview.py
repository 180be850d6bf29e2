"""The queue at a glance, and its workers, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flam_cli.render import human
from flam_store.durations import format_duration
from flam_store.overview import Overview, QueueInfo, Rate
from flam_store.state import State

WORKER_HEADERS = ("PID", "HOST", "STATE", "JOB", "UPTIME", "CPU", "MEMORY")
_QUEUE_YIELDS = (("PAUSED", 20), ("COMPLETED", 0), ("CANCELLED", 0), ("QUEUE", 16))
"""How a table of queues gives way when the counts that are 0 everywhere have done so."""

WORKER_YIELDS = (("HOST", 8), ("UPTIME", 0), ("HOST", 0), ("CPU", 0), ("MEMORY", 0))


def overview_lines(overview: Overview, sightings: Sequence[Any], now: datetime) -> list[str]:
    """A line for each state, then the workers, the oldest due job, rates and paused queues."""
    lines = [f"{state.value.capitalize()}: {jobs}" for state, jobs in overview.counts.items()]
    return [*lines, "", *overview_tail(overview, sightings, now)]


def overview_tail(overview: Overview, sightings: Sequence[Any], now: datetime) -> list[str]:
    """What is told of the queue beside its counts."""
    lines = [f"Workers: {_workers(sightings)}", f"Oldest due: {_due(overview, now)}"]
    lines += [_rate(rate) for rate in overview.rates]
    if paused := [queue.name for queue in overview.queues if queue.paused_at is not None]:
        lines.append(f"Paused: {', '.join(paused)}")
    return lines


def print_workers(sightings: Sequence[Any], now: datetime) -> None:
    """A table of ``flam_worker.pool`` sightings."""
    human.table(WORKER_HEADERS, [worker_row(seen, now) for seen in sightings], WORKER_YIELDS)


def print_queues(queues: Sequence[QueueInfo]) -> None:
    """A table of queues."""
    states = tuple(State)
    headers = ("QUEUE", *(state.value.upper() for state in states), "LIMIT", "PAUSED")
    idle = [state for state in reversed(states) if not any(q.counts[state] for q in queues)]
    yields = (*((state.value.upper(), 0) for state in idle), *_QUEUE_YIELDS)
    human.table(headers, [_queue_row(queue, states) for queue in queues], yields)


def queue_line(queue: QueueInfo) -> str:
    """A queue's settings in one line."""
    limit = "no limit" if queue.concurrency is None else f"at most {queue.concurrency} at once"
    return f"{queue.name}: {_pause(queue) or 'not paused'}, {limit}"


def _queue_row(queue: QueueInfo, states: Sequence[State]) -> tuple[str, ...]:
    limit = "-" if queue.concurrency is None else str(queue.concurrency)
    counts = (str(queue.counts[state]) for state in states)
    return (queue.name, *counts, limit, _pause(queue) or "-")


def _pause(queue: QueueInfo) -> str | None:
    if queue.paused_at is None:
        return None
    note = f" ({queue.note})" if queue.note else ""
    return f"paused by {queue.paused_by or 'somebody'}{note}"


def _workers(sightings: Sequence[Any]) -> str:
    states = Counter(seen.state for seen in sightings)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{len(sightings)} ({told})" if told else "0"


def _due(overview: Overview, now: datetime) -> str:
    due = overview.oldest_due_at
    return "none" if due is None else f"for {format_duration(max(now - due, timedelta()))}"


def _rate(rate: Rate) -> str:
    line = f"Last {format_duration(rate.seconds)}: {rate.completed} completed, {rate.failed} failed"
    if rate.wait_seconds is None or rate.run_seconds is None:
        return line
    waited, ran = map(format_duration, (rate.wait_seconds, rate.run_seconds))
    return f"{line}; on average {waited} waiting, {ran} running"


def worker_row(seen: Any, now: datetime) -> tuple[str, ...]:
    """The fields below ``WORKER_HEADERS``."""
    record = seen.record
    return (
        str(record.process.pid),
        record.process.host,
        seen.state,
        record.job or "-",
        format_duration(max(now - record.started_at, timedelta())),
        "-" if seen.cpu_percent is None else f"{seen.cpu_percent:.1f}%",
        "-" if seen.rss_bytes is None else human.size(seen.rss_bytes),
    )
