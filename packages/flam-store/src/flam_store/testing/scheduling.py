"""Conformance: schedules, and what is enqueued when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flam_store.config import Config
from flam_store.errors import KeyTaken, ScheduleNotFound, ScheduleTaken, SpecError
from flam_store.finding import Level
from flam_store.job import JobFilter, JobSpec
from flam_store.schedule import TICKS_KEPT, CatchUp, Overlap
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    DAY,
    OUTCOMES,
    everything,
    ids_claimed,
    run,
    schedule_spec,
    spec,
)
from flam_store.testing.suite import MakeStore, OpenBackup, Suite

FIVE = timedelta(minutes=5)
"""Between the ticks of ``schedule_spec``; the clock begins at one of them."""

MOMENT = timedelta(milliseconds=1)


def jobs_of(store: Store, name: str = "s") -> list[str]:
    """The ids of a schedule's jobs, newest first."""
    return [job.id for job in store.jobs(JobFilter(labels={"schedule": name})).jobs]


def skipped(store: Store, name: str = "s") -> list[str | None]:
    """Why there was no job, tick by tick, newest first; None where there was one."""
    return [tick.skipped for tick in store.ticks(name)]


class Scheduling(Suite):
    """``add_schedule schedules schedule pause_ resume_ remove_schedule`` and ``run_schedule``."""

    def test_what_was_added_is_there_as_it_was_given(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        job = JobSpec(
            args=("convert", "a b", "\u20ac"), queue="q", priority=-3, max_retries=0, cwd="/x",
            backoff_jitter=0.5, timeout=timedelta(milliseconds=1_500), env={"A": "b"}, stdin="in",
            unique_key="k", labels={"a": "b"}, success_codes=(0, 3), no_retry_on=(2,),
            on_dead="echo dead",
        )  # fmt: skip
        given = schedule_spec(
            "s", "@hourly", timezone="Europe/Berlin", overlap=Overlap.SKIP,
            catch_up=CatchUp.LAST, job=job,
        )  # fmt: skip
        added = store.add_schedule(given)
        assert added == other.schedule("s")
        assert other.schedules() == (added,)
        assert (added.name, added.cron, added.timezone) == ("s", "@hourly", "Europe/Berlin")
        assert (added.overlap, added.catch_up, added.job) == (Overlap.SKIP, CatchUp.LAST, job)
        assert (added.created_at, added.next_at) == (clock.now, clock.now + timedelta(hours=1))
        assert (added.paused_at, added.paused_by, added.problem) == (None, None, None)

    def test_schedules_are_told_by_name(self, store: Store) -> None:
        for name in ("b", "a", "c"):
            store.add_schedule(schedule_spec(name))
        assert [each.name for each in store.schedules()] == ["a", "b", "c"]

    def test_a_name_is_given_once(self, store: Store, other: Store) -> None:
        first = store.add_schedule(schedule_spec("s"))
        with pytest.raises(ScheduleTaken):
            other.add_schedule(schedule_spec("s", "@daily"))
        assert store.schedules() == (first,)

    def test_what_never_comes_is_refused(self, store: Store) -> None:
        with pytest.raises(SpecError, match="never comes"):
            store.add_schedule(schedule_spec("s", "0 0 */31 2 MON#5"))
        assert store.schedules() == ()

    @pytest.mark.parametrize("name", ["nobody", "no name", ""])
    def test_an_unknown_name_is_refused(self, store: Store, name: str) -> None:
        for verb in (
            store.schedule, store.ticks, store.resume_schedule, store.remove_schedule,
            store.run_schedule, lambda name: store.pause_schedule(name, by="ann"),
        ):  # fmt: skip
            with pytest.raises(ScheduleNotFound):
                verb(name)

    def test_a_paused_one_has_no_tick_and_resumed_it_goes_on_from_then(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s", catch_up=CatchUp.LAST))
        first = other.pause_schedule("s", by="ann")
        assert (first.paused_at, first.paused_by, first.next_at) == (clock.now, "ann", None)
        clock.advance(3 * FIVE)
        assert store.enqueue_due().jobs == ()
        again = store.pause_schedule("s", by="bob")
        assert (again.paused_at, again.paused_by) == (first.paused_at, "bob")
        resumed = store.resume_schedule("s")
        assert (resumed.paused_at, resumed.paused_by) == (None, None)
        assert resumed.next_at == clock.now + FIVE
        assert store.enqueue_due().jobs == ()
        assert store.ticks("s") == ()

    def test_one_that_was_not_paused_keeps_its_tick_when_it_is_resumed(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(FIVE)
        store.resume_schedule("s")
        assert len(store.enqueue_due().jobs) == 1

    def test_a_removed_one_leaves_its_jobs_and_its_name(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        job = store.run_schedule("s")
        store.remove_schedule("s")
        clock.advance(FIVE)
        assert store.enqueue_due().jobs == ()
        assert jobs_of(store) == [job.id]
        store.add_schedule(schedule_spec("s", "@daily"))
        assert store.ticks("s") == ()

    def test_a_run_by_hand_changes_nothing_about_the_ticks(
        self, store: Store, clock: FakeClock
    ) -> None:
        before = store.add_schedule(schedule_spec("s", overlap=Overlap.SKIP))
        one, two = store.run_schedule("s"), store.run_schedule("s")
        assert store.schedule("s") == before
        assert [tick.job for tick in store.ticks("s")] == [two.id, one.id]
        assert (one.run_at, one.labels) == (clock.now, {"schedule": "s"})
        store.pause_schedule("s", by="ann")
        store.run_schedule("s")
        assert len(jobs_of(store)) == 3

    def test_a_run_whose_unique_key_is_held_is_refused(self, store: Store) -> None:
        job = JobSpec(command="true", unique_key="k")
        store.add_schedule(schedule_spec("s", job=job))
        store.run_schedule("s")
        with pytest.raises(KeyTaken):
            store.run_schedule("s")
        assert len(store.ticks("s")) == 1

    def test_the_upcoming_ticks_begin_with_the_next(self, store: Store, clock: FakeClock) -> None:
        added = store.add_schedule(schedule_spec("s"))
        assert added.upcoming(3) == tuple(clock.now + n * FIVE for n in (1, 2, 3))
        assert store.pause_schedule("s", by="ann").upcoming(3) == ()

    def test_a_backup_has_the_schedules_and_their_ticks(
        self, store: Store, tmp_path: Path, open_backup: OpenBackup
    ) -> None:
        added = store.add_schedule(schedule_spec("s"))
        store.run_schedule("s")
        store.backup(tmp_path / "backup")
        copy = open_backup(tmp_path / "backup")
        assert copy.schedules() == (added,)
        assert copy.ticks("s") == store.ticks("s")


class Ticking(Suite):
    """``enqueue_due`` and ``ticks``."""

    def test_without_schedules_nothing_is_due(self, store: Store) -> None:
        ticked = store.enqueue_due()
        assert (ticked.jobs, ticked.problems, ticked.next_in) == ((), (), None)

    def test_a_tick_is_enqueued_once_at_its_time(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        assert store.enqueue_due().next_in == FIVE
        clock.advance(FIVE - MOMENT)
        early = store.enqueue_due()
        assert (early.jobs, early.next_in) == ((), MOMENT)
        clock.advance(MOMENT)
        ticked = store.enqueue_due()
        assert (len(ticked.jobs), ticked.next_in) == (1, FIVE)
        assert other.enqueue_due().jobs == ()
        (tick,) = other.ticks("s")
        assert (tick.at, tick.job, tick.state) == (clock.now, ticked.jobs[0], State.PENDING)
        job = other.job(ticked.jobs[0])
        assert (job.labels, job.command, job.run_at) == ({"schedule": "s"}, "true", clock.now)
        everything(store)
        assert ids_claimed(other) == list(ticked.jobs)

    def test_a_label_of_that_name_in_the_spec_stays(self, store: Store) -> None:
        job = JobSpec(command="true", labels={"schedule": "mine", "a": "b"})
        store.add_schedule(schedule_spec("s", job=job))
        assert store.run_schedule("s").labels == {"schedule": "mine", "a": "b"}

    def test_the_policy_is_that_of_the_tick_unless_the_spec_has_one(
        self, store: Store, make_store: MakeStore, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("a", job=JobSpec(command="true", max_retries=7)))
        store.add_schedule(schedule_spec("b"))
        later = make_store(clock=clock, config=Config(max_retries=9, timeout=60.0))
        clock.advance(FIVE)
        jobs = [later.job(each) for each in later.enqueue_due().jobs]
        assert sorted(job.max_retries for job in jobs) == [7, 9]
        assert {job.timeout for job in jobs} == {timedelta(seconds=60)}

    def test_a_tick_within_a_minute_is_enqueued_and_a_later_one_missed(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(FIVE + timedelta(minutes=1))
        assert len(store.enqueue_due().jobs) == 1
        clock.advance(FIVE + MOMENT)
        assert store.enqueue_due().jobs == ()
        assert skipped(store)[0] == "missed: no worker was there"
        clock.advance(FIVE)
        assert store.enqueue_due().jobs == ()

    def test_missed_ticks_are_one_skipped_tick_with_their_number(
        self, store: Store, clock: FakeClock
    ) -> None:
        start = clock.now
        store.add_schedule(schedule_spec("s"))
        clock.advance(3 * FIVE + timedelta(minutes=2))
        ticked = store.enqueue_due()
        assert (ticked.jobs, ticked.next_in) == ((), timedelta(minutes=3))
        (tick,) = store.ticks("s")
        assert tick.at == start + FIVE
        assert str(tick.skipped).startswith("3 ticks missed")

    def test_the_last_of_the_missed_is_enqueued_where_that_was_asked_for(
        self, store: Store, clock: FakeClock
    ) -> None:
        start = clock.now
        store.add_schedule(schedule_spec("s", catch_up=CatchUp.LAST))
        clock.advance(3 * FIVE + timedelta(minutes=2))
        (job,) = store.enqueue_due().jobs
        caught, missed = store.ticks("s")
        assert (caught.at, caught.job) == (start + 3 * FIVE, job)
        assert (missed.at, str(missed.skipped)[:7]) == (start + FIVE, "2 ticks")
        assert store.enqueue_due().jobs == ()

    @pytest.mark.parametrize("catch_up", CatchUp)
    def test_a_tick_on_time_stands_for_those_that_were_missed_before_it(
        self, store: Store, clock: FakeClock, catch_up: CatchUp
    ) -> None:
        store.add_schedule(schedule_spec("s", catch_up=catch_up))
        clock.advance(3 * FIVE)
        assert len(store.enqueue_due().jobs) == 1
        assert [bool(reason) for reason in skipped(store)] == [False, True]

    @pytest.mark.parametrize("catch_up", CatchUp)
    def test_years_of_missed_minutes_are_one_row_and_one_job_at_most(
        self, store: Store, clock: FakeClock, catch_up: CatchUp
    ) -> None:
        store.add_schedule(schedule_spec("s", "* * * * *", catch_up=catch_up))
        clock.advance(7_000 * DAY + timedelta(seconds=30))
        ticked = store.enqueue_due()
        assert (len(ticked.jobs), ticked.next_in) == (1, timedelta(seconds=30))
        assert str(skipped(store)[1]).startswith("100 or more ticks missed")
        assert len(store.ticks("s")) == 2

    def test_a_clock_set_back_brings_no_tick_twice(self, store: Store, clock: FakeClock) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(FIVE)
        assert len(store.enqueue_due().jobs) == 1
        clock.advance(-timedelta(hours=1))
        for _ in range(12):
            assert store.enqueue_due().jobs == ()
            clock.advance(FIVE)
        assert store.enqueue_due().jobs == ()
        clock.advance(FIVE)
        assert len(store.enqueue_due().jobs) == 1

    def test_what_waits_since_the_clock_was_far_ahead_is_told_and_mended(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(400 * DAY)
        store.enqueue_due()
        clock.advance(-400 * DAY)
        (finding,) = [each for each in store.examine() if each.subject == "schedules"]
        assert (finding.level, "(s)" in finding.text) == (Level.WARN, True)
        assert [each.subject for each in store.mend()] == ["schedules"]
        assert store.schedule("s").next_at == clock.now + FIVE
        assert store.mend() == ()

    def test_resuming_mends_it_as_well(self, store: Store, clock: FakeClock) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(DAY)
        store.enqueue_due()
        clock.advance(-DAY)
        assert store.resume_schedule("s").next_at == clock.now + FIVE

    @pytest.mark.parametrize("first", ["a tick", "a run by hand"])
    def test_where_jobs_shall_not_overlap_a_tick_is_skipped_until_the_last_is_finished(
        self, store: Store, clock: FakeClock, first: str
    ) -> None:
        store.add_schedule(schedule_spec("s", overlap=Overlap.SKIP))
        clock.advance(FIVE)
        (job,) = store.enqueue_due().jobs if first == "a tick" else [store.run_schedule("s").id]
        if first == "a run by hand":
            assert store.enqueue_due().jobs == ()
            assert skipped(store) == [f"job {job} is not finished", None]
            return
        clock.advance(FIVE)
        assert store.enqueue_due().jobs == ()
        assert skipped(store) == [f"job {job} is not finished", None]
        run(store, OUTCOMES["retry"])
        clock.advance(FIVE)
        assert store.enqueue_due().jobs == ()
        run(store, OUTCOMES["dead"])
        clock.advance(FIVE)
        assert len(store.enqueue_due().jobs) == 1

    def test_it_is_skipped_however_many_ticks_the_job_outlasts(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s", overlap=Overlap.SKIP))
        clock.advance(FIVE)
        (job,) = store.enqueue_due().jobs
        for _ in range(TICKS_KEPT + 2):
            clock.advance(FIVE)
            assert store.enqueue_due().jobs == ()
        ticks = store.ticks("s", limit=2 * TICKS_KEPT)
        assert [tick.job for tick in ticks] == [None] * TICKS_KEPT + [job]
        run(store, OUTCOMES["completed"])
        clock.advance(FIVE)
        assert len(store.enqueue_due().jobs) == 1
        assert len(store.ticks("s", limit=2 * TICKS_KEPT)) == TICKS_KEPT

    def test_where_they_may_overlap_each_tick_has_its_job(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        for _ in range(3):
            clock.advance(FIVE)
            store.enqueue_due()
        assert skipped(store) == [None] * 3
        assert len(jobs_of(store)) == 3

    def test_a_tick_whose_unique_key_is_held_is_skipped(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.enqueue(spec("holder", unique_key="k", queue="q"))
        store.add_schedule(schedule_spec("a", job=JobSpec(command="true", unique_key="k")))
        store.add_schedule(schedule_spec("b"))
        clock.advance(FIVE)
        assert store.enqueue_due().jobs == tuple(jobs_of(store, "b"))
        assert skipped(store, "a") == ["job holder holds the unique key 'k'"]
        everything(store)
        run(store, OUTCOMES["completed"], queues=["q"])
        clock.advance(FIVE)
        assert len(store.enqueue_due().jobs) == 2

    def test_many_that_are_due_are_done_in_parts(self, store: Store, clock: FakeClock) -> None:
        for number in range(7):
            store.add_schedule(schedule_spec(f"s{number}"))
        clock.advance(FIVE)
        told = [store.enqueue_due(limit=3) for _ in range(4)]
        assert [len(each.jobs) for each in told] == [3, 3, 1, 0]
        zero = timedelta(0)
        assert [each.next_in for each in told] == [zero, zero, FIVE, FIVE]

    def test_only_the_newest_ticks_are_kept(self, store: Store, clock: FakeClock) -> None:
        store.add_schedule(schedule_spec("s"))
        for _ in range(TICKS_KEPT + 3):
            clock.advance(FIVE)
            store.enqueue_due()
        ticks = store.ticks("s", limit=1_000)
        assert len(ticks) == TICKS_KEPT
        assert (ticks[0].at, ticks[-1].at) == (clock.now, clock.now - (TICKS_KEPT - 1) * FIVE)

    def test_a_purged_job_stays_named(self, store: Store) -> None:
        store.add_schedule(schedule_spec("s", overlap=Overlap.SKIP))
        job = store.run_schedule("s").id
        run(store, OUTCOMES["completed"])
        assert store.ticks("s")[0].state is State.COMPLETED
        store.purge(JobFilter())
        (tick,) = store.ticks("s")
        assert (tick.job, tick.state) == (job, None)

    def test_a_tick_that_coincides_with_a_run_by_hand_is_kept_beside_it(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.add_schedule(schedule_spec("s"))
        clock.advance(FIVE)
        by_hand = store.run_schedule("s").id
        (job,) = store.enqueue_due().jobs
        assert [tick.job for tick in store.ticks("s")] == [job, by_hand]

    def test_ticks_keep_to_the_zone(self, store: Store) -> None:
        daily = schedule_spec("s", "30 2 * * *", timezone="Asia/Kolkata")
        added = store.add_schedule(daily)
        assert added.next_at == datetime(2027, 1, 15, 21, tzinfo=UTC)

    def test_a_queue_with_schedules_is_sound(self, store: Store, clock: FakeClock) -> None:
        store.add_schedule(schedule_spec("a"))
        store.add_schedule(schedule_spec("b"))
        store.pause_schedule("b", by="ann")
        clock.advance(FIVE)
        store.enqueue_due()
        assert {each.level for each in store.examine()} == {Level.PASS}
        assert store.mend() == ()
