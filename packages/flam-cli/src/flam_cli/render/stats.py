"""What attempts took, for a person."""

from __future__ import annotations

from flam_cli.render import human
from flam_store.durations import format_duration
from flam_store.measures import By, Measure, Spread, Statistics

_YIELDS = (
    ("CANCELLED", 0), ("TIMEOUTS", 0), ("QUEUE", 16), ("COMMAND", 16), ("RATE", 0),
    ("WAIT p50/p95/max", 0),
)  # fmt: skip

_HEADERS = (
    "ATTEMPTS", "FAILED", "RATE", "TIMEOUTS", "CANCELLED", "WAIT p50/p95/max", "RUN p50/p95/max",
)  # fmt: skip
_SHOWN = 50


def print_statistics(told: Statistics, by: str) -> None:
    """A row for each queue or command with most attempts, and how many were left out."""
    shown = told.measures[:_SHOWN]
    if by == By.COMMAND:  # the last, as it may be long
        headers = (*_HEADERS, "COMMAND")
        rows = [(*_row(measure), measure.name) for measure in shown]
    else:
        headers = ("QUEUE", *_HEADERS)
        rows = [(measure.name, *_row(measure)) for measure in shown]
    human.table(headers, rows, [each for each in _YIELDS if each[0] in headers])
    if (more := len(told.measures) - _SHOWN) > 0:
        human.complain(f"{more:,} with fewer attempts are left out; --json has all.", prefix="")


def _row(measure: Measure) -> tuple[str, ...]:
    rate = measure.failure_rate
    return (
        str(measure.attempts),
        str(measure.failed),
        "-" if rate is None else f"{rate * 100:.1f}%",
        str(measure.timeouts),
        str(measure.cancelled),
        _spread(measure.waits),
        _spread(measure.runs),
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return " / ".join(map(format_duration, (spread.p50, spread.p95, spread.max)))
