"""Conformance: storing new jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from flam_store.config import Config
from flam_store.errors import IdTaken, KeyTaken, SpecError
from flam_store.job import JobSpec
from flam_store.state import FINISHED, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, OUTCOMES, everything, run, spec, state_of, stored_in
from flam_store.testing.suite import MakeStore, Suite

UNFINISHED = sorted(set(State) - FINISHED)


class Enqueueing(Suite):
    """``enqueue`` and ``enqueue_many``."""

    def test_a_job_is_stored_as_its_spec_says(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        wanted = JobSpec(
            id="j", args=("printf", "%s", "a\tb"), queue="q", priority=-7,
            delay=timedelta(seconds=5), max_retries=9, backoff_base=1.5, backoff_max=60,
            backoff_jitter=0, timeout=timedelta(seconds=1.5), cwd="/tmp/\u00e9",  # noqa: S108
            env={"A": "1", "B": "zwei\nZeilen"}, stdin="\u20ac\n", unique_key="k",
            labels={"team": "a", "x.y": ""},
        )  # fmt: skip
        job = store.enqueue(wanted)
        assert job == other.job("j")
        same = ("id", "command", "args", "queue", "priority", "max_retries", "backoff_base",
                "backoff_max", "backoff_jitter", "timeout", "cwd", "env", "stdin", "after",
                "unique_key", "labels")  # fmt: skip
        for field in same:
            assert getattr(job, field) == getattr(wanted, field), field
        assert job.state is State.PENDING
        assert (job.attempts, job.attempt, job.exit_code, job.error) == (0, 0, None, None)
        assert job.created_at == job.updated_at == clock.now
        assert job.run_at == clock.now + timedelta(seconds=5)

    def test_what_the_spec_leaves_out_is_taken_from_the_configuration_of_that_moment(
        self, make_store: MakeStore, clock: FakeClock
    ) -> None:
        config = Config(
            max_retries=7, backoff_base=3, backoff_max=5, backoff_jitter=0.5, timeout=1.5
        )
        make_store(clock=clock, config=config).enqueue(spec("j"))
        job = make_store(clock=clock, config=Config(max_retries=1)).job("j")
        assert (job.max_retries, job.backoff_base, job.backoff_max) == (7, 3, 5)
        assert (job.backoff_jitter, job.timeout) == (0.5, timedelta(seconds=1.5))

    def test_a_job_without_an_id_gets_one_of_its_own(self, store: Store) -> None:
        first, second = (store.enqueue(JobSpec(command="true")) for _ in range(2))
        assert first.id != second.id
        assert store.job(first.id) == first

    @pytest.mark.parametrize("state", State)
    def test_an_id_is_taken_while_its_job_is_stored(self, store: Store, state: State) -> None:
        stored_in(store, state)
        before = everything(store)
        with pytest.raises(IdTaken) as caught:
            store.enqueue(spec("j", command="false"))
        assert caught.value.job_id == "j"
        assert everything(store) == before

    @pytest.mark.parametrize("state", UNFINISHED)
    def test_an_unfinished_job_holds_its_unique_key(self, store: Store, state: State) -> None:
        stored_in(store, state, unique_key="k")
        before = everything(store)
        with pytest.raises(KeyTaken) as caught:
            store.enqueue(spec("second", unique_key="k"))
        assert (caught.value.unique_key, caught.value.holder) == ("k", "j")
        assert everything(store) == before
        store.enqueue(spec("third", unique_key="another"))

    @pytest.mark.parametrize("state", sorted(FINISHED))
    def test_a_finished_job_holds_no_unique_key(self, store: Store, state: State) -> None:
        stored_in(store, state, unique_key="k")
        assert store.enqueue(spec("second", unique_key="k")).unique_key == "k"

    @pytest.mark.parametrize("state", State)
    def test_a_job_is_blocked_until_what_it_waits_for_is_completed(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        child = store.enqueue(spec("child", after=("j",)))
        completed = state is State.COMPLETED
        assert child.state is (State.PENDING if completed else State.BLOCKED)
        assert child.after == ("j",)

    def test_waiting_for_an_unknown_job_is_refused(self, store: Store) -> None:
        with pytest.raises(SpecError) as caught:
            store.enqueue(spec("child", after=("nobody",)))
        assert caught.value.field == "after"
        assert "nobody" in str(caught.value)
        assert everything(store) == ((), ())

    def test_many_are_stored_in_their_order(self, store: Store, other: Store) -> None:
        assert store.enqueue_many(spec(f"j{n}", labels={"n": str(n)}) for n in range(2_500)) == 2500
        jobs = other.jobs(limit=0).jobs
        assert [job.id for job in jobs] == [f"j{n}" for n in reversed(range(2_500))]
        assert all(job.labels == {"n": job.id[1:]} for job in jobs)
        assert other.overview().counts[State.PENDING] == 2_500
        assert store.enqueue_many([]) == 0

    def test_one_of_many_may_wait_for_an_earlier_one(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b", after=("a",))])
        assert state_of(store, "b") is State.BLOCKED

    def test_one_that_is_refused_leaves_none_of_many(self, store: Store) -> None:
        store.enqueue(spec("old", unique_key="k"))
        before = everything(store)
        good = [spec(f"j{n}", labels={"a": "b"}) for n in range(1_200)]
        refusals = {
            IdTaken: [spec("old"), spec("j7")],
            KeyTaken: [spec("x", unique_key="k")],
            SpecError: [spec("x", after=("later",))],
        }
        for error, bad in refusals.items():
            for one in bad:
                with pytest.raises(error):
                    store.enqueue_many([*good, one, spec("later")])
                assert everything(store) == before

    def test_an_id_that_is_given_twice_is_told_as_that(self, store: Store) -> None:
        store.enqueue(spec("old"))
        with pytest.raises(IdTaken, match="'a' is given twice") as caught:
            store.enqueue_many([spec("a"), *(spec(f"j{n}") for n in range(1_200)), spec("a")])
        assert caught.value.job_id == "a"
        with pytest.raises(IdTaken, match="'old' belongs to a stored job"):
            store.enqueue_many([spec("a"), spec("old"), spec("a")])

    @pytest.mark.parametrize("first_bad", [0, 99, 100, 150, 249])
    def test_of_many_the_first_that_is_refused_is_named(self, store: Store, first_bad: int) -> None:
        store.enqueue(spec("old", unique_key="k"))
        before = everything(store)
        specs = [spec(f"j{n}") for n in range(250)]
        specs[first_bad] = spec(f"j{first_bad}", unique_key="k")
        for later in (spec("old"), spec("x", after=("nobody",))):
            with pytest.raises(KeyTaken) as caught:
                store.enqueue_many([*specs, later])
            assert (caught.value.unique_key, caught.value.holder) == ("k", "old")
            assert everything(store) == before

    @pytest.mark.parametrize("distance", [1, 99, 100, 101, 230])
    def test_one_of_many_is_refused_for_an_earlier_one(self, store: Store, distance: int) -> None:
        specs = [spec(f"j{n}") for n in range(250)]
        specs[10] = spec("first", unique_key="k")
        with pytest.raises(IdTaken) as taken:
            store.enqueue_many([*specs[: 10 + distance], spec("first"), *specs[10 + distance :]])
        assert taken.value.job_id == "first"
        specs[10 + distance] = spec("second", unique_key="k")
        with pytest.raises(KeyTaken) as caught:
            store.enqueue_many(specs)
        assert (caught.value.unique_key, caught.value.holder) == ("k", "first")
        assert everything(store) == ((), ())

    def test_each_of_many_may_wait_for_those_before_it(self, store: Store, other: Store) -> None:
        store.enqueue(spec("j0"))
        store.enqueue_many(
            spec(f"j{n}", after=tuple({"j0", f"j{n - 1}", f"j{n // 2}"}), labels={"n": str(n)})
            for n in range(1, 250)
        )
        assert other.overview().counts[State.BLOCKED] == 249
        for n in range(1, 250):
            job = other.job(f"j{n}")
            assert set(job.after) == {"j0", f"j{n - 1}", f"j{n // 2}"}
            assert job.labels == {"n": str(n)}

    def test_an_iterable_that_fails_leaves_none_of_many(self, store: Store) -> None:
        def failing() -> Iterator[JobSpec]:
            yield spec("a")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.enqueue_many(failing())
        assert everything(store) == ((), ())
        store.enqueue(spec("a"))

    def test_a_child_is_unblocked_by_the_last_of_its_parents(self, store: Store) -> None:
        store.enqueue_many([spec("a"), spec("b"), spec("child", after=("a", "b"))])
        store.enqueue(spec("late", after=("a", "b"), delay=DAY))
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.BLOCKED
        run(store, OUTCOMES["completed"])
        assert state_of(store, "child") is State.PENDING
        assert run(store, OUTCOMES["completed"]).job.id == "child"
        assert state_of(store, "late") is State.PENDING
