"""Conformance: jobs taken out of one queue and into another, with their history."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from flam_store.errors import IdTaken, KeyTaken, SpecError
from flam_store.finding import Level
from flam_store.job import JobFilter, Order
from flam_store.outcome import Completed, Dead
from flam_store.portable import Record
from flam_store.state import AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    DAY,
    OUTCOMES,
    claimed,
    ended,
    everything,
    failure,
    run,
    spec,
    state_of,
    stored_in,
)
from flam_store.testing.suite import Suite


class Moving(Suite):
    """``export`` and ``import_jobs``."""

    @pytest.fixture
    def records(self, store: Store) -> list[Record]:
        """Of a job in each state, the oldest first; after that the queue is empty."""
        for state in State:
            stored_in(store, state, state.value, queue=state.value, labels={"a": state.value})
        return self.taken_out(store)

    @staticmethod
    def taken_out(store: Store) -> list[Record]:
        records = list(store.export())
        emptied(store)
        return records

    def test_what_is_put_into_an_empty_queue_is_what_was_taken_out(
        self, store: Store, records: list[Record]
    ) -> None:
        made = store.import_jobs(records)
        assert (made.jobs, made.interrupted, made.skipped) == (len(records), 1, 0)
        came = list(store.export())
        same = [each for each in records if each.state is not State.PROCESSING]
        assert [each for each in came if each.id != "processing"] == same
        assert [each.id for each in came] == [each.id for each in records]
        everything(store)
        assert Level.FAIL not in {finding.level for finding in store.examine()}

    def test_an_export_has_what_a_list_by_the_same_filter_shows(self, store: Store) -> None:
        store.enqueue(spec("fine"))
        claim = claimed(store)
        ended(store, claim, Completed())
        stored_in(store, State.DEAD, "failed", command="say STRASSE")
        stored_in(store, State.PENDING, "sharp", command="say stra\u00dfe")
        for which in (
            JobFilter(failed_with=1),
            JobFilter(failed_with=0),
            JobFilter(command="Strasse"),
            JobFilter(command="STRA\u00dfE"),
        ):
            shown = store.jobs(which, order=Order.OLDEST).jobs
            assert [each.id for each in store.export(which)] == [job.id for job in shown]

    def test_since_finds_what_was_stored_before_and_after_jobs_of_long_ago_came(
        self, store: Store, clock: FakeClock
    ) -> None:
        old = [store.enqueue(spec(f"old{n}")).id for n in range(20)]
        clock.advance(DAY)
        old += [store.enqueue(spec(f"older{n}")).id for n in range(20)]
        records = self.taken_out(store)
        clock.advance(30 * DAY)
        for n, some in enumerate((records[:3], records[3:17], records[17:31], records[31:])):
            store.enqueue(spec(f"here{n}"))
            store.import_jobs(some)
            clock.advance(timedelta(hours=1))
        store.import_jobs([attrs.evolve(records[0], spec=attrs.evolve(records[0].spec, id="twin"))])
        for n in range(4):
            since = store.job(f"here{n}").created_at
            found = store.jobs(JobFilter(since=since), order=Order.OLDEST).jobs
            assert [job.id for job in found] == [f"here{m}" for m in range(n, 4)]
        for since in (records[0].created_at, records[20].created_at):
            wanted = {each.id for each in store.jobs(limit=0).jobs if each.created_at >= since}
            found = store.jobs(JobFilter(since=since), limit=0).jobs
            assert {job.id for job in found} == wanted
        assert store.jobs(JobFilter(since=clock.now)).jobs == ()

    def test_since_finds_jobs_of_a_queue_whose_clock_was_ahead(
        self, store: Store, clock: FakeClock
    ) -> None:
        clock.advance(DAY)
        store.enqueue(spec("ahead"))
        records = self.taken_out(store)
        clock.advance(-DAY)
        store.import_jobs(records)
        store.enqueue_many(spec(f"j{n}") for n in range(9))
        since = records[0].created_at
        assert [job.id for job in store.jobs(JobFilter(since=since)).jobs] == ["ahead"]

    def test_the_numbers_are_new_and_in_the_order_of_the_records(self, store: Store) -> None:
        store.enqueue_many([spec("a", priority=1), spec("b"), spec("c")])
        last = store.job("c").seq
        store.import_jobs(self.taken_out(store))
        assert [store.job(id_).seq for id_ in "abc"] == [last + 1, last + 2, last + 3]

    def test_a_job_that_was_running_has_crashed_and_is_due(
        self, store: Store, clock: FakeClock
    ) -> None:
        stored_in(store, State.PROCESSING)
        records = self.taken_out(store)
        clock.advance(DAY)
        store.import_jobs(records)
        job, (attempt,) = store.job("j"), store.attempts("j")
        assert (job.state, job.attempts, job.run_at) == (State.FAILED, 1, clock.now)
        assert (attempt.state, attempt.finished_at) == (AttemptState.CRASHED, clock.now)
        assert claimed(store).attempt == 2

    def test_it_is_a_dead_letter_when_that_was_its_last_attempt(self, store: Store) -> None:
        stored_in(store, State.PROCESSING, max_retries=0)
        store.import_jobs(self.taken_out(store))
        assert state_of(store) is State.DEAD

    def test_it_is_cancelled_when_that_was_wanted(self, store: Store) -> None:
        stored_in(store, State.PROCESSING)
        store.cancel("j", by="a test")
        store.import_jobs(self.taken_out(store))
        assert state_of(store) is State.CANCELLED
        assert store.attempts("j")[0].state is AttemptState.CANCELLED

    def test_imported_ends_do_not_enter_the_rates(self, store: Store) -> None:
        stored_in(store, State.COMPLETED)
        before = store.overview().rates
        store.import_jobs(self.taken_out(store))
        assert store.overview().rates == before

    def test_all_or_none(self, store: Store, records: list[Record]) -> None:
        waits = spec("x", **policy(records), after=("nowhere",))
        broken = attrs.evolve(records[-1], state=State.BLOCKED, spec=waits)
        with pytest.raises(SpecError, match=r"spec.after: no job has the id 'nowhere'"):
            store.import_jobs([*records, broken])
        assert everything(store) == ((), ())

    def test_a_dry_run_finds_what_is_wrong_and_stores_nothing(
        self, store: Store, records: list[Record]
    ) -> None:
        assert store.import_jobs(records, dry_run=True).jobs == len(records)
        assert everything(store) == ((), ())
        with pytest.raises(SpecError, match="twice"):
            store.import_jobs([*records, records[0]], dry_run=True)

    def test_ids_that_are_stored_are_refused_and_all_of_them_counted(self, store: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(1_200))
        records = list(store.export())
        store.cancel("j0", by="a test")
        store.purge(JobFilter())
        before = everything(store)
        with pytest.raises(IdTaken, match=r"'j1' .* 1,198 more of these") as refused:
            store.import_jobs(records)
        assert refused.value.others == 1_198
        assert everything(store) == before
        made = store.import_jobs(records, skip_existing=True)
        assert (made.jobs, made.skipped) == (1, 1_199)

    def test_an_id_that_comes_twice_is_refused(self, store: Store, records: list[Record]) -> None:
        with pytest.raises(SpecError, match="'pending' stands in the export twice"):
            store.import_jobs([*records, records[0]], skip_existing=True)

    def test_a_unique_key_that_is_held_is_refused(self, store: Store) -> None:
        store.enqueue(spec("a", unique_key="k"))
        records = self.taken_out(store)
        store.enqueue(spec("b", unique_key="k"))
        with pytest.raises(KeyTaken) as refused:
            store.import_jobs(records)
        assert refused.value.holder == "b"

    def test_parents_may_be_stored_already_and_decide_whether_the_child_waits(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("p"), spec("child", after=("p",))])
        parent, child = self.taken_out(store)
        run_elsewhere = attrs.evolve(parent, state=State.COMPLETED)
        store.import_jobs([run_elsewhere])
        store.import_jobs([child])
        assert state_of(store, "child") is State.PENDING
        emptied(store)
        store.import_jobs([parent])
        store.import_jobs([attrs.evolve(child, state=State.PENDING)])
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.PENDING

    def test_what_waits_for_a_deleted_job_goes_on_waiting(self, store: Store) -> None:
        store.enqueue_many([spec("p"), spec("q"), spec("child", after=("p", "q"))])
        run(store, OUTCOMES["dead"])
        store.cancel("child", by="a test")
        store.purge(JobFilter(states=(State.DEAD,)))
        store.retry("child")
        records = self.taken_out(store)
        assert (records[1].gone, records[1].spec.after) == (("p",), ("q",))
        store.import_jobs(records)
        assert list(store.export()) == records
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.BLOCKED

    def test_a_job_goes_on_where_it_stood(self, store: Store, clock: FakeClock) -> None:
        stored_in(store, State.FAILED, max_retries=1)
        store.import_jobs(self.taken_out(store))
        clock.advance(timedelta(seconds=8))
        claim = claimed(store)
        assert (claim.attempt, claim.job.attempts) == (2, 2)
        ended(store, claim, Dead(failure=failure()))
        assert [each.attempt for each in store.attempts("j")] == [1, 2]

    def test_an_export_is_filtered(self, store: Store) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=state.value, labels={"a": state.value})
        exported = {
            "state": JobFilter(states=(State.DEAD, State.PENDING)),
            "queue": JobFilter(queue="dead"),
            "label": JobFilter(labels={"a": "failed"}),
            "command": JobFilter(command="TRU", queue="dead"),
            "other command": JobFilter(command="no"),
            "exit code": JobFilter(failed_with=1),
            "since": JobFilter(since=store.job("dead").created_at + DAY),
        }
        assert {name: [each.id for each in store.export(which)]
                for name, which in exported.items()} == {
            "state": ["pending", "blocked-parent", "dead"],
            "queue": ["dead"],
            "label": ["failed"],
            "command": ["dead"],
            "other command": [],
            "exit code": ["failed", "dead"],
            "since": [],
        }  # fmt: skip

    def test_a_filtered_export_leaves_out_parents_that_are_not_in_it_and_for_which_nobody_waits(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("p"), spec("q", queue="other"), spec("r")])
        for outcome in ("completed", "dead", "dead"):
            run(store, OUTCOMES[outcome])
        store.enqueue_many(
            [
                spec("all", after=("p",)),
                spec("any", after=("p", "q", "r"), after_policy="any"),
            ]
        )
        (dead,) = store.export(JobFilter(states=(State.DEAD,), queue="default"))
        assert dead.id == "r"
        waiting = JobFilter(states=(State.PENDING,))
        assert [each.spec.after for each in store.export(waiting)] == [(), ()]
        here = list(store.export(JobFilter(queue="default")))
        assert [each.spec.after for each in here[2:]] == [("p",), ("p", "r")]
        emptied(store)
        store.import_jobs(here)
        assert (state_of(store, "all"), state_of(store, "any")) == (State.PENDING, State.PENDING)

    def test_a_dead_letter_is_moved_without_the_jobs_that_it_waited_for(self, store: Store) -> None:
        store.enqueue_many([spec("p"), spec("j", after=("p",))])
        run(store, OUTCOMES["completed"])
        run(store, OUTCOMES["dead"])
        dead = list(store.export(JobFilter(states=(State.DEAD,))))
        emptied(store)
        store.import_jobs(dead)
        store.retry("j")
        run(store, OUTCOMES["completed"])
        assert state_of(store) is State.COMPLETED

    def test_of_a_parent_that_did_not_come_along_only_what_waits_is_refused(
        self, store: Store
    ) -> None:
        store.enqueue_many([spec("p"), spec("waits", after=("p",)), spec("off", after=("p",))])
        store.cancel("off", by="a test")
        _, waits, off = self.taken_out(store)
        with pytest.raises(SpecError, match=r"no job has the id 'p'.*export it as well"):
            store.import_jobs([waits])
        store.import_jobs([off])
        assert store.job("off").after == ("p",)
        store.retry("off")
        assert state_of(store, "off") is State.BLOCKED

    def test_an_export_goes_on_while_others_write(self, store: Store, other: Store) -> None:
        store.enqueue_many(spec(f"j{n}") for n in range(1_001))
        told: list[tuple[int, int]] = []
        export = store.export(progress=lambda done, of: told.append((done, of)))
        seen = [next(export).id]
        other.enqueue(spec("later"))
        other.cancel("j1", by="a test")
        other.cancel("j1000", by="a test")
        other.purge(JobFilter())
        seen += [each.id for each in export]
        assert seen == [f"j{n}" for n in range(1_000)]
        assert told[0][0] < told[-1][0] == told[-1][1]

    def test_an_empty_queue_has_an_empty_export(self, store: Store) -> None:
        assert list(store.export()) == []
        assert store.import_jobs([]).jobs == 0

    def test_wide_jobs_are_exported_and_imported_each_once(self, store: Store) -> None:
        wide = "\u20ac" * 300_000
        store.enqueue_many(
            spec(f"j{n}", stdin=wide if n % 4 else None, after=("j0",) if n else ())
            for n in range(30)
        )
        records = list(store.export())
        assert [each.id for each in records] == [f"j{n}" for n in range(30)]
        emptied(store)
        assert store.import_jobs(records).jobs == 30
        assert list(store.export()) == records

    def test_of_many_records_the_first_that_is_refused_is_named(
        self, store: Store, records: list[Record]
    ) -> None:
        like = next(each for each in records if each.state is State.PENDING)
        store.enqueue(spec("old", unique_key="k"))
        before = everything(store)
        many = [
            attrs.evolve(like, spec=attrs.evolve(like.spec, id=f"j{n}"), line=n) for n in range(250)
        ]
        many[120] = attrs.evolve(
            like, spec=attrs.evolve(like.spec, id="bad", unique_key="k"), line=120
        )
        many[180] = attrs.evolve(
            like, spec=attrs.evolve(like.spec, id="worse", after=("nobody",)), line=180
        )
        with pytest.raises(KeyTaken) as caught:
            store.import_jobs(many)
        assert (caught.value.unique_key, caught.value.holder) == ("k", "old")
        assert caught.value.__notes__ == ["Line 120 has an unfinished job with that key."]
        assert everything(store) == before


def emptied(store: Store) -> None:
    """Take everything out of the queue."""
    for job in store.jobs(limit=0).jobs:
        if job.state is State.PROCESSING:
            (claim,) = [each for each in store.running() if each.job.id == job.id]
            ended(store, claim, OUTCOMES["cancelled"])
        elif job.state in (State.PENDING, State.BLOCKED, State.FAILED):
            store.cancel(job.id, by="a test")
    while store.purge(JobFilter()):
        pass


def policy(records: list[Record]) -> dict[str, object]:
    """The policy that a record's spec must have."""
    names = ("max_retries", "backoff_base", "backoff_max", "backoff_jitter")
    return {name: getattr(records[0].spec, name) for name in names}
