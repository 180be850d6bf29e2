from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as some

from flam_store import State
from flam_store.measures import Total
from flam_store.metrics import Moment, families, text
from flam_store.overview import Overview, QueueInfo
from flam_store.state import AttemptState

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_COUNTS = dict.fromkeys(State, 0) | {State.PENDING: 3}

MOMENT = Moment(
    overview=Overview(
        counts=_COUNTS,
        queues=(
            QueueInfo(name="default", counts=_COUNTS),
            QueueInfo(name="mail", counts=dict.fromkeys(State, 0), paused_at=NOW, concurrency=2),
        ),
        oldest_due_at=NOW - 90 * SECOND,
        rates=(),
    ),
    totals=(
        Total(queue="default", state=AttemptState.COMPLETED, ends=2, waited=SECOND, ran=3 * SECOND),
        Total(queue="default", state=AttemptState.CRASHED, ends=1, waited=SECOND, ran=SECOND / 4),
        Total(queue="default", state=AttemptState.RELEASED, ends=9, waited=SECOND, ran=SECOND),
    ),
    workers={("host", "idle"): 2},
    now=NOW,
    version="1.2.3",
)

_LINE = re.compile(
    r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (?P<value>\S+)'
)
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def read(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """A page in the text format, read strictly: each family once, with HELP, then TYPE first."""
    assert page.endswith("\n")
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    seen: list[str] = []
    lines = iter(page[:-1].split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in seen
            seen.append(name)
            assert re.fullmatch(rf"# TYPE {name} (gauge|counter|summary)", next(lines))
            continue
        found = _LINE.fullmatch(line)
        assert found, line
        assert found["name"].removesuffix("_sum").removesuffix("_count") == seen[-1]
        labels = frozenset(
            (key, re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], value))
            for key, value in _LABEL.findall(found["labels"] or "")
        )
        assert (found["name"], labels) not in samples
        samples[found["name"], labels] = float(found["value"])
    return samples


def told(moment: Moment) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return read(text(families(moment)))


def at(name: str, **labels: str) -> Any:
    return name, frozenset(labels.items())


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (at("flam_jobs", queue="default", state="pending"), 3),
        (at("flam_jobs", queue="mail", state="dead"), 0),
        (at("flam_attempts_total", queue="default", state="completed"), 2),
        (at("flam_attempts_total", queue="default", state="released"), 9),
        (at("flam_run_seconds_sum", queue="default"), 3.25),
        (at("flam_run_seconds_count", queue="default"), 3),
        (at("flam_wait_seconds_sum", queue="default"), 2),
        (at("flam_wait_seconds_count", queue="default"), 3),
        (at("flam_workers", host="host", state="idle"), 2),
        (at("flam_oldest_due_seconds"), 90),
        (at("flam_queue_paused", queue="mail"), 1),
        (at("flam_queue_paused", queue="default"), 0),
        (at("flam_queue_concurrency", queue="mail"), 2),
        (at("flam_build_info", version="1.2.3"), 1),
    ],
)  # fmt: skip
def test_a_number_stands_under_its_name_and_labels(sample: Any, value: float) -> None:
    assert told(MOMENT)[sample] == value


def test_a_queue_without_a_limit_has_no_concurrency() -> None:
    assert at("flam_queue_concurrency", queue="default") not in told(MOMENT)


def test_nothing_due_is_0_and_an_empty_queue_keeps_its_families() -> None:
    empty = Overview(counts={}, queues=(), oldest_due_at=None, rates=())
    moment = attrs.evolve(MOMENT, overview=empty, totals=(), workers={})
    assert told(moment) == {
        at("flam_oldest_due_seconds"): 0,
        at("flam_build_info", version="1.2.3"): 1,
    }
    assert text(families(moment)).count("# TYPE ") == 9


def test_a_due_time_ahead_of_the_clock_is_not_negative() -> None:
    moment = attrs.evolve(MOMENT, now=NOW - timedelta(days=1))
    assert told(moment)[at("flam_oldest_due_seconds")] == 0


@given(some.text(some.characters(exclude_categories=["Cs"])))
def test_a_label_is_read_back_whatever_it_holds(host: str) -> None:
    moment = attrs.evolve(MOMENT, workers={(host, "idle"): 1})
    assert told(moment)[at("flam_workers", host=host, state="idle")] == 1


def test_half_a_surrogate_pair_becomes_text_that_is_utf_8() -> None:
    page = text(families(attrs.evolve(MOMENT, workers={("a\udcff", "idle"): 1})))
    assert rb'host="a\\udcff"' in page.encode()
