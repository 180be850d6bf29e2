"""Conformance: the jobs that an outcome sets off."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import attrs
import pytest

from flam_store.config import Config
from flam_store.hooks import MAX_INPUT_BYTES
from flam_store.job import Job, JobFilter
from flam_store.outcome import Completed, Dead, Outcome, Retry
from flam_store.state import AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    OUTCOMES,
    WORKER,
    claimed,
    claims,
    ended,
    everything,
    failure,
    result,
    run,
    spec,
    state_of,
)
from flam_store.testing.suite import MakeStore, Suite

HOOKS: dict[str, Any] = {"on_success": "good", "on_failure": "bad", "on_dead": "worst"}
SET_OFF = {
    "completed": ["good"],
    "retry": ["bad"],
    "dead": ["bad", "worst"],
    "cancelled": [],
    "released": [],
}


def hooks(store: Store, of: str = "j") -> list[Job]:
    """The jobs of a job's hooks, in the order in which they were stored."""
    return list(reversed(store.jobs(JobFilter(labels={"hook-of": of})).jobs))


def failed(state: AttemptState, **fields: Any) -> Outcome:
    return Retry(failure=attrs.evolve(failure(state), **fields), delay=timedelta(0))


class Hooking(Suite):
    """``on_success``, ``on_failure`` and ``on_dead``."""

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_an_outcome_stores_the_jobs_that_it_sets_off(
        self, store: Store, other: Store, name: str
    ) -> None:
        store.enqueue(spec("j", **HOOKS))
        run(store, OUTCOMES[name])
        found = hooks(other)
        assert [job.command for job in found] == SET_OFF[name]
        assert all(job.state is State.PENDING for job in found)
        everything(store)

    @pytest.mark.parametrize(
        "state", [AttemptState.FAILED, AttemptState.TIMEOUT, AttemptState.CRASHED]
    )
    def test_every_attempt_that_went_wrong_has_a_hook_of_its_own(
        self, store: Store, state: AttemptState
    ) -> None:
        store.enqueue(spec("j", on_failure="bad"))
        for _ in range(3):
            claim = claimed(store)
            assert claim.job.id == "j"
            ended(store, claim, failed(state))
        assert [job.env["FLAM_HOOK_ATTEMPT"] for job in hooks(store)] == ["1", "2", "3"]

    def test_a_hook_is_a_job_like_any_other_where_its_job_was(
        self, make_store: MakeStore, clock: FakeClock
    ) -> None:
        config = Config(max_retries=7, timeout=60.0)
        store = make_store(clock=clock, config=config)
        store.enqueue(
            spec("j", queue="q", priority=4, cwd="/srv", env={"A": "b"}, on_dead="worst",
                 labels={"batch": "7"}, max_retries=0, unique_key="k")
        )  # fmt: skip
        run(store, OUTCOMES["dead"])
        (hook,) = hooks(store)
        assert (hook.queue, hook.priority, hook.cwd, hook.max_retries) == ("q", 4, "/srv", 7)
        assert (hook.timeout, hook.run_at) == (timedelta(seconds=60), clock.now)
        assert hook.labels == {"hook": "on_dead", "hook-of": "j"}
        assert hook.env["A"] == "b"
        assert hook.unique_key is None
        assert claimed(store).job == attrs.evolve(
            hook, state=State.PROCESSING, attempt=1, attempts=1
        )

    def test_it_knows_what_has_happened(self, store: Store) -> None:
        store.enqueue(spec("j", command="make; rm -rf \"$X\" 'é'", env={"KEY": "secret"}, **HOOKS))
        run(store, Dead(failure=attrs.evolve(failure(), exit_code=7, error="exit code 7")))
        told, worst = hooks(store)
        assert {name: value for name, value in worst.env.items() if name != "KEY"} == {
            "FLAM_HOOK": "on_dead",
            "FLAM_HOOK_JOB_ID": "j",
            "FLAM_HOOK_ATTEMPT": "1",
            "FLAM_HOOK_STATE": "dead",
            "FLAM_HOOK_EXIT_CODE": "7",
            "FLAM_HOOK_SIGNAL": "",
            "FLAM_HOOK_ERROR": "exit code 7",
        }
        assert told.env["FLAM_HOOK"] == "on_failure"
        shape = json.loads(str(worst.stdin))
        assert (shape["hook"], shape["id"], shape["state"]) == ("on_dead", "j", "dead")
        assert shape["command"] == store.job("j").command
        assert shape["env"] == {"KEY": "***"}
        assert [each["exit_code"] for each in shape["history"]] == [7]

    def test_a_signal_and_a_success_of_another_code_are_told(self, store: Store) -> None:
        store.enqueue(spec("j", **HOOKS))
        run(store, failed(AttemptState.FAILED, exit_code=None, signal="SIGKILL"))
        first = hooks(store)[0].env
        assert (first["FLAM_HOOK_EXIT_CODE"], first["FLAM_HOOK_SIGNAL"]) == ("", "SIGKILL")
        run(store, Completed(exit_code=3))
        last = hooks(store)[-1].env
        assert (last["FLAM_HOOK"], last["FLAM_HOOK_EXIT_CODE"]) == ("on_success", "3")
        assert (last["FLAM_HOOK_STATE"], last["FLAM_HOOK_ATTEMPT"]) == ("completed", "2")

    @pytest.mark.parametrize("error", ["a\0b\n\x1b[2J", "long " * 50_000, "\U0001f600" * 5_000])
    def test_an_error_of_any_kind_fits_into_a_variable(self, store: Store, error: str) -> None:
        store.enqueue(spec("j", **HOOKS))
        run(store, Dead(failure=attrs.evolve(failure(), error=error)))
        for hook in hooks(store):
            told = hook.env["FLAM_HOOK_ERROR"]
            assert len(told.encode()) < 5_000
            assert told.isprintable()
            assert len(str(hook.stdin)) <= MAX_INPUT_BYTES
            json.loads(str(hook.stdin))

    def test_a_job_of_any_length_fits_on_standard_input(self, store: Store) -> None:
        long = "\x01" * 131_000
        store.enqueue(spec("j", command=None, args=("x", long, long, long), **HOOKS))
        run(store, OUTCOMES["completed"])
        (hook,) = hooks(store)
        assert len(str(hook.stdin)) < MAX_INPUT_BYTES
        assert json.loads(str(hook.stdin))["args"] is None

    @pytest.mark.parametrize("name", OUTCOMES)
    def test_hooks_of_the_configuration_do_not_run_for_hooks(
        self, make_store: MakeStore, clock: FakeClock, name: str
    ) -> None:
        store = make_store(clock=clock, config=Config(**HOOKS))
        store.enqueue(spec("j", on_success="own"))
        run(store, OUTCOMES["completed"])
        (hook,) = hooks(store)
        assert hook.command == "own"
        assert (hook.on_success, hook.on_failure, hook.on_dead) == (None, None, None)
        run(store, OUTCOMES[name])
        assert hooks(store, hook.id) == []
        assert len(everything(store)[0]) == 2

    def test_a_refused_result_sets_off_nothing(self, store: Store) -> None:
        store.enqueue(spec("j", **HOOKS))
        late = claimed(store, worker_id="late")
        ended(store, late, CRASHED)
        (crash,) = hooks(store)
        for outcome in OUTCOMES.values():
            given = result(late, outcome)
            assert store.finish([given], worker_id="late").refused == (given,)
        assert hooks(store) == [crash]

    def test_a_job_that_was_cancelled_while_it_ran_sets_off_nothing(self, store: Store) -> None:
        store.enqueue(spec("j", **HOOKS))
        claim = claimed(store)
        store.cancel("j", by="a test")
        ended(store, claim, OUTCOMES["dead"])
        assert (state_of(store), hooks(store)) == (State.CANCELLED, [])
        store.enqueue(spec("waits", on_dead="x", on_failure="x", on_success="x"))
        store.cancel("waits", by="a test")
        assert hooks(store, "waits") == []

    def test_a_dead_letter_that_is_retried_and_dies_again_runs_its_hook_again(
        self, store: Store
    ) -> None:
        store.enqueue(spec("j", on_dead="worst"))
        run(store, OUTCOMES["dead"])
        self._finish_hooks(store)
        store.retry_dead_letter("j")
        run(store, OUTCOMES["dead"])
        assert [hook.env["FLAM_HOOK_ATTEMPT"] for hook in hooks(store)] == ["1", "2"]

    def test_a_hook_holds_up_a_drain_until_it_has_ended(self, store: Store) -> None:
        store.enqueue(spec("j", on_success="good"))
        claim = claimed(store)
        turn = store.finish([result(claim, Completed())], worker_id=WORKER, want=1)
        (hook,) = turn.claims
        assert hook.job.command == "good"
        turn = store.finish([result(hook, Completed())], worker_id=WORKER, want=1)
        assert (turn.claims, turn.drained) == ((), True)

    def test_several_results_each_have_their_own(self, store: Store) -> None:
        store.enqueue_many([spec("a", **HOOKS), spec("b", **HOOKS), spec("c")])
        held = claims(store, 3)
        outcomes = (OUTCOMES["completed"], OUTCOMES["dead"], OUTCOMES["dead"])
        given = [result(claim, outcome) for claim, outcome in zip(held, outcomes, strict=True)]
        store.finish(given, worker_id=WORKER)
        assert [job.command for job in hooks(store, "a")] == ["good"]
        assert [job.command for job in hooks(store, "b")] == ["bad", "worst"]
        assert len(everything(store)[0]) == 6

    def test_what_only_looks_like_a_hook_is_none(self, store: Store) -> None:
        store.enqueue(spec("j", stdin='"on_success": "x"', cwd="/on_dead"))
        run(store, OUTCOMES["completed"])
        assert hooks(store) == []

    def _finish_hooks(self, store: Store) -> None:
        for claim in claims(store, 100):
            if "hook" in claim.job.labels:
                ended(store, claim, Completed())
            else:
                ended(store, claim, OUTCOMES["released"])
