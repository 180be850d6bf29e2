from __future__ import annotations

from datetime import timedelta

import pytest
from jobs import job

from flam_store.outcome import Cancelled, Completed, Dead, Failure, Released, Retry
from flam_store.state import AttemptState
from flam_worker import end as ends
from flam_worker.decide import decide, failure_of, told

FailureEnd = ends.Exited | ends.Signalled | ends.TimedOut | ends.NotStarted | ends.Crashed

FAILURES: dict[str, tuple[FailureEnd, Failure]] = {
    "exit 7": (
        ends.Exited(7),
        Failure(state=AttemptState.FAILED, cause="exit 7", error="exit code 7", exit_code=7),
    ),
    "signal": (
        ends.Signalled("SIGSEGV"),
        Failure(
            state=AttemptState.FAILED, cause="SIGSEGV", error="ended by SIGSEGV", signal="SIGSEGV"
        ),
    ),
    "timeout": (
        ends.TimedOut(timedelta(seconds=5)),
        Failure(state=AttemptState.TIMEOUT, cause="timeout", error="timed out after 5s"),
    ),
    "not started": (
        ends.NotStarted("No such file or directory: nowhere"),
        Failure(
            state=AttemptState.FAILED,
            cause="not started",
            error="not started: No such file or directory: nowhere",
        ),
    ),
    "crashed": (
        ends.Crashed("its worker died"),
        Failure(state=AttemptState.CRASHED, cause="crashed", error="crashed: its worker died"),
    ),
}
each_failure = pytest.mark.parametrize("name", FAILURES)


@each_failure
def test_a_failure_is_recorded_as_what_it_was(name: str) -> None:
    end, failure = FAILURES[name]
    assert failure_of(end) == failure


@each_failure
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_failure_with_retries_left_is_a_retry(name: str, attempts: int) -> None:
    end, failure = FAILURES[name]
    delay = timedelta(0) if name == "crashed" else timedelta(seconds=2**attempts)
    retried = decide(end, job(attempts=attempts, max_retries=3), 0.0)
    assert retried == Retry(failure=failure, delay=delay)


@each_failure
@pytest.mark.parametrize(("attempts", "max_retries"), [(4, 3), (5, 3), (1, 0)])
def test_a_failure_without_retries_left_is_a_dead_letter(
    name: str, attempts: int, max_retries: int
) -> None:
    end, failure = FAILURES[name]
    buried = decide(end, job(attempts=attempts, max_retries=max_retries), 0.0)
    assert buried == Dead(failure=failure)


@pytest.mark.parametrize("attempts", [1, 4])
def test_what_is_no_failure_asks_for_no_retries(attempts: int) -> None:
    held = job(attempts=attempts, max_retries=3)
    assert decide(ends.Exited(0), held, 0.0) == Completed()
    assert decide(ends.Cancelled(), held, 0.0) == Cancelled()
    called_off = ends.CalledOff("the worker had to stop")
    assert decide(called_off, held, 0.0) == Released(reason="the worker had to stop")


def test_the_spread_reaches_the_delay_and_nothing_else() -> None:
    held = job(backoff_base=10.0, backoff_jitter=0.5)
    early, late = (decide(ends.Exited(1), held, spread) for spread in (-1.0, 1.0))
    failure = failure_of(ends.Exited(1))
    assert early == Retry(failure=failure, delay=timedelta(seconds=5))
    assert late == Retry(failure=failure, delay=timedelta(seconds=15))
    crashed = ends.Crashed("gone")
    assert decide(crashed, held, -1.0) == decide(crashed, held, 1.0)


def test_the_largest_exit_code_is_told_as_it_is() -> None:
    assert failure_of(ends.Exited(255)).exit_code == 255
    assert failure_of(ends.Exited(255)).cause == "exit 255"


def test_a_worker_that_lacks_something_puts_the_job_back_uncounted() -> None:
    assert decide(ends.Hindered("no room"), job(), 0.0) == Released(reason="no room")


@pytest.mark.parametrize(("codes", "code"), [((3,), 3), ((0, 3), 3), ((0, 3), 0)])
def test_the_exit_codes_of_success_are_the_jobs(codes: tuple[int, ...], code: int) -> None:
    ended = decide(ends.Exited(code), job(success_codes=codes), 0.0)
    assert ended == Completed(exit_code=code)


def test_zero_is_a_failure_where_only_another_code_is_a_success() -> None:
    assert isinstance(decide(ends.Exited(0), job(success_codes=(3,)), 0.0), Retry)


@pytest.mark.parametrize("attempts", [1, 4])
def test_an_exit_code_that_is_not_retried_makes_a_dead_letter_at_once(attempts: int) -> None:
    held = job(attempts=attempts, max_retries=3, no_retry_on=(2, 64))
    dead = decide(ends.Exited(64), held, 0.0)
    assert isinstance(dead, Dead)
    assert dead.failure.error == "exit code 64, which is not retried"
    assert (dead.failure.exit_code, dead.failure.cause) == (64, "exit 64")
    assert "exit code 64, which is not retried; now a dead letter" in told(dead)
