"""From a spec to its row and back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from flam_store import Config, State, open_store
from flam_store.clock import instant, millis, span
from flam_store.sqlite import rows
from flam_store.testing.clock import START, FakeClock
from flam_store.testing.given import claims, spec


def test_a_plain_job_fills_no_column_of_rare_options() -> None:
    row = rows.job_row(spec("j"), Config(), seq=1, now=START, state=State.PENDING)
    assert row[-1] is None
    assert row[:4] == (1, "j", "pending", 1)


@pytest.mark.parametrize(("ahead", "ready"), [(-1, 1), (0, 1), (1, 0)])
def test_a_job_is_ready_when_its_time_has_come(ahead: int, ready: int) -> None:
    at = instant(START + ahead)
    row = rows.job_row(spec("j", run_at=at), Config(), seq=1, now=START, state=State.PENDING)
    assert (row[3], row[8]) == (ready, START + ahead)


def test_a_blocked_job_is_neither_ready_nor_waiting_for_a_time() -> None:
    assert rows.job_row(spec("j"), Config(), seq=1, now=START, state=State.BLOCKED)[3] is None


def test_an_instant_is_kept_to_the_millisecond_towards_the_past() -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 1_999, tzinfo=timezone(timedelta(hours=2)))
    assert instant(millis(at)) == at.replace(microsecond=1_000)
    assert instant(millis(at)).utcoffset() == timedelta(0)
    before_1970 = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert millis(before_1970) == -1
    assert span(timedelta(seconds=1.5)) == 1_500


def test_a_row_that_cannot_be_read_becomes_a_dead_letter_and_stops_nobody(path: Path) -> None:
    with open_store(f"sqlite:///{path}", clock=FakeClock()) as store:
        store.enqueue_many([spec("bad", priority=1), spec("good")])
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE jobs SET options = '[]' WHERE id = 'bad'")
            db.commit()
        assert [claim.job.id for claim in claims(store, 2)] == ["good"]
        assert store.overview().counts[State.DEAD] == 1
        (attempt,) = store.attempts("bad")
        assert attempt.cause == "unreadable"
        assert store.running() != ()
