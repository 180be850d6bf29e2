"""The queue as Prometheus reads it: the text format 0.0.4, for a scraper or a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from flam_store.measures import Total
from flam_store.overview import Overview
from flam_store.state import AttemptState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_RAN = (
    AttemptState.COMPLETED, AttemptState.FAILED, AttemptState.TIMEOUT, AttemptState.CRASHED,
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Sample:
    """One number. ``suffix`` follows the family's name; labels have any text as their value."""

    value: float
    labels: Mapping[str, str] = attrs.field(factory=dict)
    suffix: str = ""


@attrs.frozen(kw_only=True)
class Family:
    """Samples of one name, which is of ``kind`` gauge, counter or summary."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


@attrs.frozen(kw_only=True)
class Moment:
    """What metrics are made of. ``workers`` counts them by host and state."""

    overview: Overview
    totals: Sequence[Total]
    workers: Mapping[tuple[str, str], int]
    now: datetime
    version: str


def families(moment: Moment) -> tuple[Family, ...]:
    """Every family, also those without a sample."""
    return tuple(_families(moment))


def text(found: Iterable[Family]) -> str:
    """The families in the text format. Ends with a line feed."""
    return "".join(f"{line}\n" for family in found for line in _lines(family))


def _families(moment: Moment) -> Iterator[Family]:
    queues = moment.overview.queues
    yield _gauge(
        "flam_jobs",
        "Jobs that are stored, by queue and state.",
        (
            Sample(value=jobs, labels={"queue": queue.name, "state": state.value})
            for queue in queues
            for state, jobs in queue.counts.items()
        ),
    )
    yield Family(
        name="flam_attempts_total",
        kind="counter",
        help="Attempts that have ended, by queue and outcome.",
        samples=tuple(
            Sample(value=total.ends, labels={"queue": total.queue, "state": total.state.value})
            for total in moment.totals
        ),
    )
    yield from _durations(moment.totals)
    yield _gauge(
        "flam_workers",
        "Registered workers, by host and state.",
        (
            Sample(value=count, labels={"host": host, "state": state})
            for (host, state), count in sorted(moment.workers.items())
        ),
    )
    yield _gauge(
        "flam_oldest_due_seconds",
        "How long the oldest due job has been waiting; 0 when none is due.",
        [Sample(value=_seconds_due(moment))],
    )
    yield _gauge(
        "flam_queue_paused",
        "Whether the queue is paused.",
        (
            Sample(value=int(queue.paused_at is not None), labels={"queue": queue.name})
            for queue in queues
        ),
    )
    yield _gauge(
        "flam_queue_concurrency",
        "The most jobs of the queue that run at once; left out where there is no limit.",
        (
            Sample(value=queue.concurrency, labels={"queue": queue.name})
            for queue in queues
            if queue.concurrency is not None
        ),
    )
    version = Sample(value=1, labels={"version": moment.version})
    yield _gauge("flam_build_info", "The version of Flam that tells this.", [version])


def _gauge(name: str, help_: str, samples: Iterable[Sample]) -> Family:
    return Family(name=name, kind="gauge", help=help_, samples=tuple(samples))


def _durations(totals: Iterable[Total]) -> Iterator[Family]:
    """Of attempts that were cancelled or put back the durations mean nothing."""
    of_queue: dict[str, list[Total]] = defaultdict(list)
    for total in totals:
        if total.state in _RAN:
            of_queue[total.queue].append(total)
    for name, help_, field in (
        (
            "flam_wait_seconds",
            "From due to started, of attempts that completed or failed.",
            "waited",
        ),
        ("flam_run_seconds", "From started to ended, of attempts that completed or failed.", "ran"),
    ):
        samples: list[Sample] = []
        for queue, found in of_queue.items():
            spent = sum((getattr(total, field) for total in found), timedelta())
            ends = sum(total.ends for total in found)
            for suffix, value in (("_sum", spent.total_seconds()), ("_count", ends)):
                samples.append(Sample(value=value, labels={"queue": queue}, suffix=suffix))
        yield Family(name=name, kind="summary", help=help_, samples=tuple(samples))


def _seconds_due(moment: Moment) -> float:
    since = moment.overview.oldest_due_at
    return 0.0 if since is None else max(0.0, (moment.now - since).total_seconds())


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_labels(sample.labels)} {sample.value}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', r"\"")


def _escaped(text: str) -> str:
    # Half of a surrogate pair, as a host's name may hold it, is no UTF-8.
    whole = text.encode(errors="backslashreplace").decode()
    return whole.replace("\\", r"\\").replace("\n", r"\n")
