"""Conformance: jobs by what they are, in either order, and page by page."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import attrs
import pytest

from flam_store.errors import JobNotFound, SpecError
from flam_store.job import Job, JobFilter, Order
from flam_store.outcome import Completed, Dead, Outcome, Retry
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import WORKER, claimed, failure, result, run, spec, stored_in
from flam_store.testing.suite import Suite

_COMMANDS = ("convert Ä.png", "CONVERT b", "ä", "other 100%_", 'say "ä" \\d')


def paged(store: Store, which: JobFilter, order: Order, size: int) -> list[str]:
    """The ids of all that match, read a page at a time."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = store.jobs(which, limit=size, after=after, order=order)
        found += [job.id for job in page.jobs]
        if not page.more:
            return found
        after = found[-1]


def ids(store: Store, **fields: object) -> list[str]:
    return paged(store, JobFilter(**fields), Order.OLDEST, 100)  # type: ignore[arg-type]


class Filtering(Suite):
    """``jobs``."""

    def test_the_oldest_come_first_where_that_is_asked_for(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(5))
        page = store.jobs(limit=2, order=Order.OLDEST)
        assert ([job.id for job in page.jobs], page.more) == (["j0", "j1"], True)
        page = store.jobs(limit=3, after="j1", order=Order.OLDEST)
        assert ([job.id for job in page.jobs], page.more) == (["j2", "j3", "j4"], False)
        assert store.jobs(after="j4", order=Order.OLDEST).jobs == ()
        with pytest.raises(JobNotFound):
            store.jobs(after="nobody", order=Order.OLDEST)

    def test_a_command_is_found_by_a_piece_in_any_letter_case(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}", command=text) for n, text in enumerate(_COMMANDS))
        store.enqueue(spec("args", command=None, args=("convert", "Big File", "Ä")))
        assert ids(store, command="convert") == ["j0", "j1", "args"]
        assert ids(store, command="VERT B") == ["j1"]
        assert ids(store, command="t 'big") == ["args"]
        assert ids(store, command="ä") == ["j0", "j2", "j4", "args"]
        assert ids(store, command="100%_") == ["j3"]
        assert ids(store, command='"Ä" \\D') == ["j4"]
        assert ids(store, command="%") == ["j3"]
        assert ids(store, command="nothing") == []

    def test_since_means_stored_then_or_later(self, store: Store, clock: FakeClock) -> None:
        for n in range(50):
            store.enqueue(spec(f"j{n}"))
            clock.advance(timedelta(minutes=1))
        since = store.job("j17").created_at
        assert ids(store, since=since) == [f"j{n}" for n in range(17, 50)]
        later = since + timedelta(milliseconds=1)
        assert ids(store, since=later) == [f"j{n}" for n in range(18, 50)]
        assert len(ids(store, since=since - timedelta(days=400))) == 50
        assert ids(store, since=since + timedelta(days=400)) == []

    def test_since_finds_what_was_stored_before_the_clock_was_put_right(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue_many(spec(f"old{n}") for n in range(3))
        clock.advance(timedelta(hours=3))
        store.enqueue(spec("ahead"))
        since = store.job("ahead").created_at
        clock.advance(-timedelta(minutes=4))
        store.enqueue(spec("behind"))
        clock.advance(timedelta(minutes=5))
        store.enqueue(spec("after"))
        assert ids(store, since=since) == ["ahead", "after"]

    def test_failed_with_is_the_exit_code_of_the_latest_attempt(self, store: Store) -> None:
        def ended_with(job_id: str, code: int, outcome: str) -> None:
            told = attrs.evolve(failure(), exit_code=code)
            store.enqueue(spec(job_id, queue=job_id))
            ends: dict[str, Outcome] = {
                "dead": Dead(failure=told),
                "failed": Retry(failure=told, delay=_LATER),
            }
            run(store, ends[outcome], queues=[job_id])

        ended_with("a", 3, "dead")
        ended_with("b", 3, "failed")
        ended_with("c", 1, "dead")
        ended_with("again", 3, "dead")
        store.retry("again")
        stored_in(store, State.PENDING, "never")
        store.enqueue(spec("fine", queue="fine"))
        store.finish([result(claimed(store, queues=["fine"]), Completed())], worker_id=WORKER)
        assert ids(store, failed_with=3) == ["a", "b"]
        assert ids(store, failed_with=3, states=(State.DEAD, State.PENDING)) == ["a"]
        assert ids(store, failed_with=3, states=(State.PENDING,)) == []
        assert ids(store, failed_with=0) == []
        assert ids(store, failed_with=1) == ["c"]

    def test_filters_combine_and_every_page_fits_the_one_before(
        self, store: Store, clock: FakeClock
    ) -> None:
        for n in range(120):
            state = (State.CANCELLED, State.DEAD, State.COMPLETED)[n % 3]
            labels = {"even": "yes"} if n % 2 == 0 else {}
            stored_in(store, state, f"j{n}", queue=f"q{n % 4}-{n}" if n % 5 else "big",
                      labels=labels, command=f"do {n % 7}")  # fmt: skip
            clock.advance(timedelta(minutes=1))
        jobs = tuple(reversed(store.jobs(limit=0).jobs))
        since = store.job("j40").created_at
        for states, queue, labels, since_, command, failed_with in product(
            ((), (State.DEAD,), (State.DEAD, State.CANCELLED)),
            (None, "big"),
            ({}, {"even": "yes"}),
            (None, since),
            (None, "DO 3"),
            (None, 1),
        ):
            which = JobFilter(states=states, queue=queue, labels=labels, since=since_,
                              command=command, failed_with=failed_with)  # fmt: skip
            expected = [job.id for job in jobs if _matches(which, job)]
            assert paged(store, which, Order.OLDEST, 3) == expected
            assert paged(store, which, Order.NEWEST, 7) == expected[::-1]

    @pytest.mark.parametrize("field", ["since", "command", "failed_with"])
    def test_a_purge_refuses_what_it_does_not_go_by(self, store: Store, field: str) -> None:
        job = stored_in(store, State.DEAD)
        given = {"since": job.created_at, "command": "true", "failed_with": 1}
        with pytest.raises(SpecError) as caught:
            store.purge(JobFilter(**{field: given[field]}))  # type: ignore[arg-type]
        assert caught.value.field == field
        assert store.job("j") == job

    def test_a_match_behind_thousands_of_others_is_found(self, store: Store) -> None:
        store.enqueue(spec("needle", command="needle"))
        store.enqueue_many(spec(f"hay{n}", labels={"all": "1"}) for n in range(3_000))
        assert ids(store, command="NEEDLE") == ["needle"]
        page = store.jobs(JobFilter(command="needle"), limit=1)
        assert ([job.id for job in page.jobs], page.more) == (["needle"], False)
        page = store.jobs(JobFilter(labels={"all": "1"}), limit=2_999)
        assert (len(page.jobs), page.more) == (2_999, True)


_LATER = timedelta(days=1)


def _matches(which: JobFilter, job: Job) -> bool:
    return (
        job.state in (which.states or tuple(State))
        and which.queue in (None, job.queue)
        and which.labels.items() <= job.labels.items()
        and (which.since is None or job.created_at >= which.since)
        and (which.command is None or which.command.lower() in job.command_line.lower())
        and (which.failed_with is None or job.exit_code == which.failed_with)
    )
