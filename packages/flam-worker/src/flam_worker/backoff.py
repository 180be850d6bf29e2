"""When a failed job is due again."""

from __future__ import annotations

from datetime import timedelta

from flam_store import Job


def delay_after_failure(job: Job, spread: float) -> timedelta:
    """The wait after the job's latest attempt, its ``attempts``-th since it was last revived.

    ``min(backoff_base ** n, backoff_max)`` seconds, times a factor that ``spread``, a number
    from -1 to 1, picks within ``[1 - backoff_jitter, 1 + backoff_jitter]``.
    """
    seconds = min(_power(job.backoff_base, job.attempts), job.backoff_max)
    return timedelta(seconds=seconds * (1 + job.backoff_jitter * spread))


def _power(base: float, exponent: int) -> float:
    try:
        return float(base) ** exponent
    except OverflowError:
        return float("inf")
