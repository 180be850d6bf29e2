from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobs import job

from flam_worker.backoff import delay_after_failure

BASES = st.floats(0, 1e6)
MOST = st.floats(0, 3_153_600_000)
JITTERS = st.floats(0, 1)
SPREADS = st.floats(-1, 1)
COUNTS = st.integers(1, 2**31)


def seconds(attempts: int, spread: float = 0.0, **fields: float) -> float:
    return delay_after_failure(job(attempts=attempts, **fields), spread).total_seconds()


def test_the_delay_is_the_base_to_the_power_of_the_attempts() -> None:
    assert [seconds(n) for n in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert [seconds(n, backoff_base=3.0) for n in (1, 2, 3)] == [3, 9, 27]
    assert [seconds(n, backoff_base=1.0) for n in (1, 2, 1000)] == [1, 1, 1]


def test_the_delay_is_at_most_the_maximum() -> None:
    assert [seconds(n, backoff_max=10.0) for n in (3, 4, 5)] == [8, 10, 10]
    assert seconds(1, backoff_max=0.0) == 0


def test_jitter_spreads_the_capped_delay_to_both_sides() -> None:
    fields = {"backoff_base": 10.0, "backoff_max": 100.0, "backoff_jitter": 0.25}
    assert [seconds(2, spread, **fields) for spread in (-1, 0, 1)] == [75, 100, 125]
    assert [seconds(9, spread, **fields) for spread in (-1, 0, 1)] == [75, 100, 125]
    assert seconds(2, -1, backoff_base=10.0, backoff_jitter=1.0) == 0


def test_a_jitter_of_nothing_leaves_the_delay_as_it_is() -> None:
    assert {seconds(3, spread, backoff_jitter=0.0) for spread in (-1, -0.3, 0, 1)} == {8}


def test_a_power_beyond_every_number_gives_the_maximum() -> None:
    assert seconds(10**6, backoff_base=1e6) == 3600
    assert seconds(10**6, backoff_base=1.001) == 3600
    assert seconds(2**31, backoff_base=1e6, backoff_max=3_153_600_000.0) == 3_153_600_000


def test_a_base_below_one_makes_the_delay_shrink_to_nothing() -> None:
    assert [seconds(n, backoff_base=0.5) for n in (1, 2, 3)] == [0.5, 0.25, 0.125]
    assert seconds(10**6, backoff_base=0.5) == 0
    assert [seconds(n, backoff_base=0.0) for n in (1, 2, 10**6)] == [0, 0, 0]


@given(base=BASES, most=MOST, jitter=JITTERS, spread=SPREADS, attempts=COUNTS)
def test_any_delay_stays_within_its_bounds(
    base: float, most: float, jitter: float, spread: float, attempts: int
) -> None:
    fields = {"backoff_base": base, "backoff_max": most, "backoff_jitter": jitter}
    given_one = delay_after_failure(job(attempts=attempts, **fields), spread)
    middle = delay_after_failure(job(attempts=attempts, **fields), 0.0).total_seconds()
    rounding = 1e-6 + most * 1e-9
    assert timedelta(0) <= given_one
    assert middle <= most + rounding
    assert middle * (1 - jitter) - rounding <= given_one.total_seconds()
    assert given_one.total_seconds() <= middle * (1 + jitter) + rounding


@given(base=st.floats(1, 1e6), attempts=st.integers(1, 50))
def test_with_a_base_of_one_or_more_no_delay_is_shorter_than_the_one_before(
    base: float, attempts: int
) -> None:
    fields = {"backoff_base": base, "backoff_max": 1e9}
    assert seconds(attempts, **fields) <= seconds(attempts + 1, **fields)
    if base**attempts < 1e9:
        assert seconds(attempts, **fields) == pytest.approx(base**attempts, abs=1e-6)
