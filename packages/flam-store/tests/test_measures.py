from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from flam_store import open_store
from flam_store.clock import instant
from flam_store.measures import By, Took, measured, nearest_rank
from flam_store.sqlite import measuring
from flam_store.state import AttemptState
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import OUTCOMES, run, spec


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (4, 50, 2), (20, 95, 19), (21, 95, 20), (100, 95, 95),
     (5, 100, 5), (5, 0, 1)],
)  # fmt: skip
def test_a_percentile_is_the_value_of_the_nearest_rank(count: int, percent: int, rank: int) -> None:
    ordered = [timedelta(seconds=n) for n in range(1, count + 1)]
    assert nearest_rank(ordered, percent) == timedelta(seconds=rank)


@given(some.lists(some.timedeltas(), min_size=1), some.integers(1, 100))
def test_so_many_percent_of_all_do_not_exceed_it(found: list[timedelta], percent: int) -> None:
    value = nearest_rank(sorted(found), percent)
    assert value in found
    assert sum(each <= value for each in found) * 100 >= percent * len(found)
    assert sum(each < value for each in found) * 100 < percent * len(found)


def test_every_outcome_is_counted_and_only_what_ran_is_measured() -> None:
    second = timedelta(seconds=1)
    states = [state for state in AttemptState if state is not AttemptState.RUNNING]
    told = measured("q", [Took(state=state, waited=second, ran=second) for state in states])
    assert (told.attempts, told.completed, told.failed) == (6, 1, 3)
    assert (told.timeouts, told.crashed, told.cancelled, told.released) == (1, 1, 1, 1)
    assert told.failure_rate == 0.75
    cancelled = [Took(state=AttemptState.CANCELLED, waited=second, ran=second)]
    told = measured("q", cancelled)
    assert (told.waits, told.runs, told.failure_rate) == (None, None, None)


def test_only_the_newest_ends_are_measured_and_the_answer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_MOST_MEASURED", 3)
    clock = FakeClock()
    with open_store(f"sqlite:///{tmp_path}/queue.db", clock=clock) as store:
        since = instant(clock())
        for n in range(4):
            store.enqueue(spec(f"j{n}"))
            clock.advance(timedelta(seconds=1))
            run(store, OUTCOMES["completed"])
            told = store.statistics(by=By.QUEUE, since=since)
            assert (told.cut, told.measures[0].attempts) == (n == 3, min(n + 1, 3))
        told = store.statistics(by=By.QUEUE, since=since)
        assert told.since == store.attempts("j1")[0].finished_at
