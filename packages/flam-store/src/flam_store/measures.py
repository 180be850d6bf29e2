"""What attempts took, and how they ended: counted, and with percentiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from flam_store.job import Attempt, Job
from flam_store.state import AttemptState

_FAILED = (AttemptState.FAILED, AttemptState.TIMEOUT, AttemptState.CRASHED)
_RAN = (AttemptState.COMPLETED, *_FAILED)


class By(StrEnum):
    """What attempts are counted by."""

    QUEUE = "queue"
    COMMAND = "command"


@attrs.frozen(kw_only=True)
class Ended:
    """An attempt that is over, and its job as it is now."""

    job: Job
    attempt: Attempt


@attrs.frozen(kw_only=True)
class Took:
    """How one attempt ended. It ``waited`` from due to started and ``ran`` from then to its end."""

    state: AttemptState
    waited: timedelta
    ran: timedelta


@attrs.frozen(kw_only=True)
class Spread:
    """Percentiles of durations, by the nearest rank, and the longest of them."""

    p50: timedelta
    p95: timedelta
    max: timedelta


@attrs.frozen(kw_only=True)
class Measure:
    """Attempts of one name: a queue, or the first 200 characters of a command line.

    ``failed`` counts those that timed out or crashed as well. What was cancelled or put back
    says nothing of the command: it is counted and not measured. None: nothing to measure.
    """

    name: str
    attempts: int
    completed: int
    failed: int
    timeouts: int
    crashed: int
    cancelled: int
    released: int
    waits: Spread | None
    runs: Spread | None

    @property
    def failure_rate(self) -> float | None:
        """The share of failures in what completed or failed, from 0 to 1."""
        known = self.completed + self.failed
        return self.failed / known if known else None


@attrs.frozen(kw_only=True)
class Statistics:
    """Measures of what ended since an instant, most attempts first.

    ``cut`` says that more had ended than are looked at: then only the newest count, and
    ``since`` is the end of the oldest of them.
    """

    since: datetime
    cut: bool
    measures: tuple[Measure, ...]


@attrs.frozen(kw_only=True)
class Total:
    """All attempts of a queue that ever ended so, also of jobs that were deleted since."""

    queue: str
    state: AttemptState
    ends: int
    waited: timedelta
    ran: timedelta


def nearest_rank(ordered: Sequence[timedelta], percent: int) -> timedelta:
    """The smallest value that ``percent`` of all do not exceed: it is always one of them.

    The method is the nearest rank: of n values in order the ceil(percent / 100 * n)th, from 1.

    >>> nearest_rank([timedelta(seconds=n) for n in (1, 2, 3, 4)], 50).seconds
    2
    """
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def measured(name: str, took: Iterable[Took]) -> Measure:
    """Count and measure attempts."""
    all_of_them = list(took)
    states = Counter(each.state for each in all_of_them)
    ran = [each for each in all_of_them if each.state in _RAN]
    return Measure(
        name=name,
        attempts=len(all_of_them),
        completed=states[AttemptState.COMPLETED],
        failed=sum(states[state] for state in _FAILED),
        timeouts=states[AttemptState.TIMEOUT],
        crashed=states[AttemptState.CRASHED],
        cancelled=states[AttemptState.CANCELLED],
        released=states[AttemptState.RELEASED],
        waits=_spread([each.waited for each in ran]),
        runs=_spread([each.ran for each in ran]),
    )


def _spread(durations: list[timedelta]) -> Spread | None:
    if not durations:
        return None
    durations.sort()
    return Spread(
        p50=nearest_rank(durations, 50), p95=nearest_rank(durations, 95), max=durations[-1]
    )
