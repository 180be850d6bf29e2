"""What the end of an attempt means for its job."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

import attrs

from flam_store import AttemptState, Job
from flam_store import outcome as outcomes
from flam_store.durations import format_duration
from flam_store.outcome import Failure, Outcome
from flam_worker import end as ends
from flam_worker.backoff import delay_after_failure
from flam_worker.end import End


def decide(end: End, job: Job, spread: float) -> Outcome:
    """The outcome for a job whose running attempt is counted in ``job.attempts``.

    ``spread`` is a random number from -1 to 1 for the backoff's jitter. After a crash the
    job is due at once: it was not its own failure, but it is counted, so that a job that
    kills its worker ends among the dead letters.
    """
    match end:
        case ends.Exited(code=code) if code in job.success_codes:
            return outcomes.Completed(exit_code=code)
        case ends.Exited(code=code) if code in job.no_retry_on:
            failure = failure_of(end)
            told = f"{failure.error}, which is not retried"
            return outcomes.Dead(failure=attrs.evolve(failure, error=told))
        case ends.CalledOff(reason=reason):
            return outcomes.Released(reason=reason)
        case ends.Hindered(problem=problem):
            return outcomes.Released(reason=problem)
        case ends.Cancelled():
            return outcomes.Cancelled()
        case ends.Crashed():
            return _failed(job, failure_of(end), timedelta(0))
        case ends.Exited() | ends.Signalled() | ends.TimedOut() | ends.NotStarted():
            return _failed(job, failure_of(end), delay_after_failure(job, spread))
        case _ as unknown:
            assert_never(unknown)


def told(outcome: Outcome) -> str:
    """An outcome in words, for a log."""
    match outcome:
        case outcomes.Completed():
            return "completed"
        case outcomes.Retry(failure=failure, delay=delay):
            return f"failed: {failure.error}; due again in {format_duration(delay)}"
        case outcomes.Dead(failure=failure):
            return f"failed: {failure.error}; now a dead letter"
        case outcomes.Released(reason=reason):
            return f"put back: {reason}"
        case outcomes.Cancelled():
            return "cancelled"
        case _ as unknown:
            assert_never(unknown)


def failure_of(
    end: ends.Exited | ends.Signalled | ends.TimedOut | ends.NotStarted | ends.Crashed,
) -> Failure:
    """The record of an end that is a failure."""
    failed = AttemptState.FAILED
    match end:
        case ends.Exited(code=code):
            return Failure(
                state=failed, cause=f"exit {code}", error=f"exit code {code}", exit_code=code
            )
        case ends.Signalled(signal=name):
            return Failure(state=failed, cause=name, error=f"ended by {name}", signal=name)
        case ends.TimedOut(after=after):
            error = f"timed out after {format_duration(after)}"
            return Failure(state=AttemptState.TIMEOUT, cause="timeout", error=error)
        case ends.NotStarted(problem=problem):
            return Failure(state=failed, cause="not started", error=f"not started: {problem}")
        case ends.Crashed(how=how):
            return Failure(state=AttemptState.CRASHED, cause="crashed", error=f"crashed: {how}")
        case _ as unknown:
            assert_never(unknown)


def _failed(job: Job, failure: Failure, delay: timedelta) -> Outcome:
    if job.attempts > job.max_retries:
        return outcomes.Dead(failure=failure)
    return outcomes.Retry(failure=failure, delay=delay)
