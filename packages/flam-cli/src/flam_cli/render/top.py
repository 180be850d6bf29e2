"""The queue at work, for a person who watches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flam_cli.render.overview import WORKER_HEADERS, WORKER_YIELDS, overview_tail, worker_row
from flam_cli.render.table import room_of_output, table_lines
from flam_store.durations import format_duration
from flam_store.measures import Ended
from flam_store.overview import Overview

_HEADERS = ("ENDED", "JOB", "OUTCOME", "TOOK", "EXIT", "QUEUE", "COMMAND")
_YIELDS = (("COMMAND", 12), ("QUEUE", 0), ("EXIT", 0), ("TOOK", 0), ("COMMAND", 0), ("ENDED", 0))


def top_lines(
    overview: Overview, sightings: Sequence[Any], ended: Sequence[Ended], now: datetime
) -> list[str]:
    """Counts and rates, then the workers, then what ended last."""
    room = room_of_output()
    counts = (f"{jobs} {state.value}" for state, jobs in overview.counts.items())
    lines = ["Jobs: " + ", ".join(counts), *overview_tail(overview, sightings, now)]
    if sightings:
        rows = [worker_row(seen, now) for seen in sightings]
        lines += ["", *table_lines(WORKER_HEADERS, rows, WORKER_YIELDS, room)]
    if ended:
        rows = [_ended_row(each, now) for each in ended]
        lines += ["", *table_lines(_HEADERS, rows, _YIELDS, room)]
    return lines


def _ended_row(ended: Ended, now: datetime) -> tuple[str, ...]:
    attempt = ended.attempt
    at = attempt.finished_at or now
    return (
        f"{_words(now - at)} ago",
        ended.job.id,
        attempt.state.value,
        _words(at - attempt.started_at),
        attempt.signal or ("-" if attempt.exit_code is None else str(attempt.exit_code)),
        ended.job.queue,
        ended.job.command_line,
    )


def _words(duration: timedelta) -> str:
    return format_duration(max(duration, timedelta()))
