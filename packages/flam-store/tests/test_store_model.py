"""Any sequence of verbs, by two handles, against a model that is a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flam_store import FINISHED, JobFilter, JobSpec, State, Store, open_store
from flam_store.change import JobChange
from flam_store.errors import (
    FlamError,
    IdTaken,
    JobNotFound,
    KeyTaken,
    SpecError,
    WrongState,
)
from flam_store.finding import Level
from flam_store.outcome import Cancelled, Completed, Dead, Failure, Outcome, Released, Result, Retry
from flam_store.schedule import Overlap
from flam_store.selection import Selection
from flam_store.state import RETRYABLE, WAITING, AttemptState
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import registration, schedule_spec

IDS = [f"j{n}" for n in range(8)]
KEYS = ["k1", "k2"]
QUEUES = ["a", "b"]
WORKERS = ["w0", "w1"]


@attrs.define
class Modelled:
    """What the model knows of a job. ``parents`` are the seqs of the jobs that it waits for."""

    seq: int
    queue: str
    priority: int
    run_at: int
    key: str | None
    parents: list[int]
    state: State
    any_end: bool = False
    attempts: int = 0
    attempt: int = 0
    changed: int = 0
    is_to_end: bool = False


def ended(state: AttemptState) -> Failure:
    return Failure(state=state, cause=str(state), error=f"it {state}")


outcomes = st.one_of(
    st.just(Completed()),
    st.just(Released(reason="stopped")),
    st.just(Cancelled()),
    st.builds(
        Retry,
        failure=st.sampled_from([ended(AttemptState.FAILED), ended(AttemptState.CRASHED)]),
        delay=st.sampled_from([timedelta(0), timedelta(seconds=2)]),
    ),
    st.builds(
        Dead, failure=st.sampled_from([ended(AttemptState.TIMEOUT), ended(AttemptState.CRASHED)])
    ),
)


@st.composite
def wild_specs(draw: st.DrawFn) -> JobSpec:
    job_id = draw(st.sampled_from(IDS))
    others = [each for each in IDS if each != job_id]
    return JobSpec(
        command="true",
        id=job_id,
        queue=draw(st.sampled_from(QUEUES)),
        priority=draw(st.integers(-1, 1)),
        delay=draw(st.sampled_from([None, timedelta(seconds=1), timedelta(seconds=3)])),
        unique_key=draw(st.sampled_from([None, None, None, *KEYS])),
        after=tuple(draw(st.lists(st.sampled_from(others), max_size=2, unique=True))),
        after_policy=draw(st.sampled_from(["all", "any"])),
    )


wild_changes = st.builds(
    JobChange,
    priority=st.integers(-1, 1),
    queue=st.sampled_from([None, *QUEUES]),
    delay=st.sampled_from([None, timedelta(0), timedelta(seconds=2)]),
)


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="flam-model-"))
        self.clock = FakeClock()
        self.handles = [self._opened(), self._opened()]
        self.jobs: dict[str, Modelled] = {}
        self.purged: dict[int, State] = {}
        self.scheduled: set[str] = set()
        self.fences: list[tuple[int, int]] = []
        self.next_seq = 1

    def _opened(self) -> Store:
        store = open_store(f"sqlite:///{self.folder}/queue.db", clock=self.clock)
        # What a power cut would take is another test's subject; syncing is most of the time.
        store._session._db.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]
        return store

    def teardown(self) -> None:
        assert [each for each in self.handles[0].examine() if each.level is Level.FAIL] == []
        for handle in self.handles:
            handle.close()
        shutil.rmtree(self.folder)

    @initialize()
    def workers(self) -> None:
        for worker in WORKERS:
            self.handles[0].register(registration(worker))
        self.handles[0].add_schedule(schedule_spec("s", "* * * * *", overlap=Overlap.SKIP))

    handle = st.integers(0, 1)

    @rule(handle=handle, spec=wild_specs())
    def enqueue(self, handle: int, spec: JobSpec) -> None:
        self._expect(lambda: self.handles[handle].enqueue(spec), lambda: self._enqueue_all([spec]))

    @rule(handle=handle, specs=st.lists(wild_specs(), max_size=4))
    def enqueue_many(self, handle: int, specs: list[JobSpec]) -> None:
        self._expect(
            lambda: self.handles[handle].enqueue_many(specs), lambda: self._enqueue_all(specs)
        )

    @rule(
        handle=handle,
        worker=st.sampled_from(WORKERS),
        want=st.integers(0, 3),
        queues=st.sampled_from([None, ["a"], ["a", "b"], []]),
    )
    def claim(self, handle: int, worker: str, want: int, queues: list[str] | None) -> None:
        turn = self.handles[handle].finish((), worker_id=worker, want=want, queues=queues)
        expected = self._claim(want, queues)
        assert [(claim.job.seq, claim.attempt) for claim in turn.claims] == expected
        self.fences += expected
        if len(expected) < want:
            self._check_the_rest(turn.next_due_in, turn.drained, queues)

    @precondition(lambda self: self.fences)
    @rule(handle=handle, data=st.data(), outcome=outcomes, want=st.integers(0, 1))
    def finish(self, handle: int, data: Any, outcome: Outcome, want: int) -> None:
        """Also late, twice, and for a job that was purged."""
        seq, attempt = data.draw(st.sampled_from(self.fences))
        given = Result(seq=seq, attempt=attempt, outcome=outcome)
        turn = self.handles[handle].finish([given], worker_id=WORKERS[0], want=want)
        held = self._finish(seq, attempt, outcome)
        assert turn.refused == (() if held else (given,))
        expected = self._claim(want, None)
        assert [(claim.job.seq, claim.attempt) for claim in turn.claims] == expected
        self.fences += expected

    @rule(seconds=st.integers(1, 3))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule(handle=handle)
    def a_tick_comes(self, handle: int) -> None:
        self.clock.advance(timedelta(seconds=60 - self.clock() // 1000 % 60))
        busy = any(self.jobs[job_id].state not in FINISHED
                   for job_id in self.scheduled if job_id in self.jobs)  # fmt: skip
        new = self.handles[handle].enqueue_due().jobs
        assert len(new) == (0 if busy else 1)
        for job_id in new:
            self._enqueue_one(JobSpec(command="true", id=job_id))
        self.scheduled.update(new)
        assert self.handles[1 - handle].enqueue_due().jobs == ()

    @rule(handle=handle, spec=wild_specs())
    def enqueue_absent(self, handle: int, spec: JobSpec) -> None:
        job_id = str(spec.id)
        holder = job_id if job_id in self.jobs else self._key_holder(spec.unique_key)
        if holder is None:
            self._expect(
                lambda: self.handles[handle].enqueue_absent(spec),
                lambda: self._enqueue_all([spec]),
            )
        else:
            assert self.handles[handle].enqueue_absent(spec).id == holder

    @rule(handle=handle, job_id=st.sampled_from(IDS))
    def retry(self, handle: int, job_id: str) -> None:
        self._expect(
            lambda: self.handles[handle].retry(job_id),
            lambda: self._retry(job_id, "retry", RETRYABLE),
        )

    @rule(handle=handle, job_id=st.sampled_from(IDS))
    def retry_dead_letter(self, handle: int, job_id: str) -> None:
        self._expect(
            lambda: self.handles[handle].retry_dead_letter(job_id),
            lambda: self._retry(job_id, "dlq retry", (State.DEAD,)),
        )

    @rule(handle=handle, job_id=st.sampled_from(IDS), change=wild_changes)
    def update(self, handle: int, job_id: str, change: JobChange) -> None:
        self._expect(
            lambda: self.handles[handle].update(job_id, change),
            lambda: self._update(job_id, change),
        )

    @rule(handle=handle, job_id=st.sampled_from(IDS))
    def cancel(self, handle: int, job_id: str) -> None:
        self._expect(
            lambda: self.handles[handle].cancel(job_id, by="me"), lambda: self._cancel(job_id)
        )

    @rule(
        handle=handle,
        states=st.lists(st.sampled_from(State), max_size=2),
        queue=st.sampled_from([None, "a"]),
        limit=st.integers(1, 4),
    )
    def cancel_selected(
        self, handle: int, states: list[State], queue: str | None, limit: int
    ) -> None:
        which = JobFilter(states=tuple(states), queue=queue)
        selection: Selection | None = Selection(which=which, below=self.next_seq)
        while selection is not None:
            selection = self.handles[handle].cancel_selected(selection, by="me", limit=limit).rest
        for job_id, job in self._selected(which):
            if job.state not in FINISHED:
                self._cancel(job_id)

    @rule(
        handle=handle,
        states=st.lists(st.sampled_from(State), max_size=2),
        queue=st.sampled_from([None, "a"]),
        limit=st.integers(1, 4),
    )
    def retry_selected(
        self, handle: int, states: list[State], queue: str | None, limit: int
    ) -> None:
        which = JobFilter(states=tuple(states), queue=queue)
        selection: Selection | None = Selection(which=which, below=self.next_seq)
        chosen = {job_id for job_id, job in self._selected(which) if job.state in RETRYABLE}
        while selection is not None:
            sweep = self.handles[handle].retry_selected(selection, limit=limit)
            # In a stretch the older come first, the stretches the other way round.
            stretch = [job_id for job_id, job in self._in_order()
                       if job_id in chosen and job.seq < selection.below][-limit:]  # fmt: skip
            for job_id in stretch:
                with suppress(KeyTaken):
                    if self.jobs[job_id].state in RETRYABLE:
                        self._retry(job_id, "retry", RETRYABLE)
            selection = sweep.rest

    @rule(handle=handle, limit=st.integers(1, 3))
    def retry_dead(self, handle: int, limit: int) -> None:
        expected = 0
        for job_id, job in self._in_order():
            if expected < limit and job.state is State.DEAD and self._key_holder(job.key) is None:
                self._retry(job_id, "dlq retry", (State.DEAD,))
                expected += 1
        assert self.handles[handle].retry_dead(limit=limit) == expected

    @rule(
        handle=handle,
        states=st.lists(st.sampled_from(State), max_size=2),
        queue=st.sampled_from([None, "a"]),
        seconds=st.integers(0, 3),
    )
    def purge(self, handle: int, states: list[State], queue: str | None, seconds: int) -> None:
        which = JobFilter(states=tuple(states), queue=queue)
        gone = self.handles[handle].purge(which, older_than=timedelta(seconds=seconds))
        self._delete(gone, states or list(FINISHED), queue, seconds)

    @rule(handle=handle, state=st.sampled_from(sorted(FINISHED)), seconds=st.integers(0, 3))
    def expire(self, handle: int, state: State, seconds: int) -> None:
        expired = self.handles[handle].expire(state, older_than=timedelta(seconds=seconds))
        assert expired.after is None
        self._delete(expired.seqs, [state], None, seconds)

    @rule(which=handle)
    def open_anew(self, which: int) -> None:
        self.handles[which].close()
        self.handles[which] = self._opened()

    @rule(handle=handle)
    def tidy(self, handle: int) -> None:
        self.handles[handle].tidy()

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        for store in self.handles:
            page = store.jobs(limit=0)
            assert {job.id: _seen(job) for job in page.jobs} == {
                job_id: _modelled(job) for job_id, job in self.jobs.items()
            }
            assert [job.seq for job in page.jobs] == sorted(
                (job.seq for job in self.jobs.values()), reverse=True
            )

    @invariant()
    def counters_are_as_the_model_says(self) -> None:
        overview = self.handles[1].overview()
        for state in State:
            of_state = [job for job in self.jobs.values() if job.state is state]
            assert overview.counts[state] == len(of_state)
            for queue in overview.queues:
                assert queue.counts[state] == sum(job.queue == queue.name for job in of_state)

    @invariant()
    def every_running_attempt_holds_one_job(self) -> None:
        held = [(claim.job.seq, claim.attempt) for claim in self.handles[0].running()]
        assert held == sorted(
            (job.seq, job.attempt) for job in self.jobs.values() if job.state is State.PROCESSING
        )
        for job_id, job in self.jobs.items():
            attempts = self.handles[0].attempts(job_id)
            assert [attempt.attempt for attempt in attempts] == list(range(1, job.attempt + 1))

    def _expect(self, act: Any, expected: Any) -> None:
        """Both do it, or both refuse with the same error, and then nothing has changed."""
        before, seq = _copy(self.jobs), self.next_seq
        refusal = _refusal_of(expected)
        if refusal is None:
            act()
            return
        self.jobs, self.next_seq = before, seq
        with pytest.raises(type(refusal)) as caught:
            act()
        assert str(caught.value) == str(refusal)

    def _in_order(self) -> list[tuple[str, Modelled]]:
        return sorted(self.jobs.items(), key=lambda item: item[1].seq)

    def _selected(self, which: JobFilter) -> list[tuple[str, Modelled]]:
        return [
            (job_id, job)
            for job_id, job in self._in_order()
            if (not which.states or job.state in which.states) and which.queue in (None, job.queue)
        ]

    def _key_holder(self, key: str | None) -> str | None:
        holders = (job_id for job_id, job in self.jobs.items()
                   if key is not None and job.key == key and job.state not in FINISHED)  # fmt: skip
        return next(holders, None)

    def _waits(self, job: Modelled) -> bool:
        states = {each.seq: each.state for each in self.jobs.values()} | self.purged
        enough = FINISHED if job.any_end else {State.COMPLETED}
        return any(states[parent] not in enough for parent in job.parents)

    def _delete(
        self, gone: tuple[int, ...], states: list[State], queue: str | None, seconds: int
    ) -> None:
        expected = {
            job_id: job
            for job_id, job in self.jobs.items()
            if job.state in FINISHED.intersection(states)
            and queue in (None, job.queue)
            and job.changed <= self.clock() - seconds * 1000
            and (job.state is State.COMPLETED or not self._is_needed(job))
        }
        assert gone == tuple(sorted(job.seq for job in expected.values()))
        for job_id, job in expected.items():
            self.purged[job.seq] = job.state
            del self.jobs[job_id]

    def _is_needed(self, job: Modelled) -> bool:
        return any(job.seq in child.parents and child.state is State.BLOCKED and not child.any_end
                   for child in self.jobs.values())  # fmt: skip

    def _enqueue_all(self, specs: list[JobSpec]) -> None:
        first = self.next_seq
        for spec in specs:
            self._enqueue_one(spec, first)

    def _enqueue_one(self, spec: JobSpec, first: int = 0) -> None:
        assert spec.id is not None
        for parent in spec.after:
            if parent not in self.jobs:
                raise SpecError(f"no job has the id {parent!r}", field="after")
        if spec.id in self.jobs:
            raise IdTaken(spec.id, twice=self.jobs[spec.id].seq >= first > 0)
        holder = self._key_holder(spec.unique_key)
        if holder is not None:
            raise KeyTaken(str(spec.unique_key), holder)
        job = Modelled(
            seq=self.next_seq,
            queue=spec.queue,
            priority=spec.priority,
            run_at=self.clock() + (spec.delay or timedelta(0)) // timedelta(milliseconds=1),
            key=spec.unique_key,
            parents=[self.jobs[parent].seq for parent in spec.after],
            any_end=spec.after_policy == "any",
            state=State.PENDING,
            changed=self.clock(),
        )
        if self._waits(job):
            job.state = State.BLOCKED
        self.jobs[spec.id] = job
        self.next_seq += 1

    def _claim(self, want: int, queues: list[str] | None) -> list[tuple[int, int]]:
        due = [job for job in self.jobs.values()
               if job.state in (State.PENDING, State.FAILED) and job.run_at <= self.clock()
               and (queues is None or job.queue in queues)]  # fmt: skip
        due.sort(key=lambda job: (-job.priority, job.seq))
        for job in due[:want]:
            job.state = State.PROCESSING
            job.attempt += 1
            job.attempts += 1
            job.is_to_end = False
            job.changed = self.clock()
        return [(job.seq, job.attempt) for job in due[:want]]

    def _check_the_rest(
        self, next_due_in: timedelta | None, drained: bool, queues: list[str] | None
    ) -> None:
        waiting = [
            job.run_at
            for job in self.jobs.values()
            if job.state in (State.PENDING, State.FAILED) and job.run_at > self.clock()
        ]
        expected = timedelta(milliseconds=min(waiting) - self.clock()) if waiting else None
        assert next_due_in == expected
        assert drained is not any(
            (queues is None or job.queue in queues)
            and job.state in (State.PROCESSING, State.FAILED)
            for job in self.jobs.values()
        )

    def _finish(self, seq: int, attempt: int, outcome: Outcome) -> bool:
        job = next((job for job in self.jobs.values() if job.seq == seq), None)
        if job is None or job.state is not State.PROCESSING or job.attempt != attempt:
            return False
        job.changed = self.clock()
        if job.is_to_end and not isinstance(outcome, Completed):
            job.state = State.CANCELLED
            self._unblock()
            return True
        match outcome:
            case Completed():
                job.state = State.COMPLETED
            case Retry(delay=delay):
                job.state = State.FAILED
                job.run_at = self.clock() + delay // timedelta(milliseconds=1)
            case Dead():
                job.state = State.DEAD
            case Cancelled():
                job.state = State.CANCELLED
            case Released():
                job.state = State.PENDING
                job.attempts -= 1
        self._unblock()
        return True

    def _cancel(self, job_id: str) -> None:
        job = self._found(job_id, "cancel", [state for state in State if state not in FINISHED])
        if job.state is State.PROCESSING:
            job.is_to_end = True
            return
        job.state, job.changed = State.CANCELLED, self.clock()
        self._unblock()

    def _unblock(self) -> None:
        for child in self.jobs.values():
            if child.state is State.BLOCKED and not self._waits(child):
                child.state = State.PENDING
                child.changed = self.clock()

    def _block_children(self, job: Modelled) -> None:
        for child in self.jobs.values():
            if child.state is State.PENDING and job.seq in child.parents and self._waits(child):
                child.state, child.changed = State.BLOCKED, self.clock()

    def _found(self, job_id: str, verb: str, allowed: Collection[State]) -> Modelled:
        if job_id not in self.jobs:
            raise JobNotFound(job_id)
        job = self.jobs[job_id]
        if job.state not in allowed:
            raise WrongState(job_id, job.state, verb, tuple(map(str, allowed)))
        return job

    def _retry(self, job_id: str, verb: str, allowed: Collection[State]) -> None:
        job = self._found(job_id, verb, allowed)
        if job.state is not State.FAILED:
            holder = self._key_holder(job.key)
            if holder is not None:
                raise KeyTaken(str(job.key), holder)
            job.attempts = 0
            job.state = State.BLOCKED if self._waits(job) else State.PENDING
        job.run_at = self.clock()
        job.changed = self.clock()
        self._block_children(job)

    def _update(self, job_id: str, change: JobChange) -> None:
        job = self._found(job_id, "update", WAITING)
        job.changed = self.clock()
        job.queue = change.queue or job.queue
        job.priority = job.priority if change.priority is None else change.priority
        if change.delay is not None:
            job.run_at = self.clock() + change.delay // timedelta(milliseconds=1)


def _refusal_of(act: Any) -> FlamError | None:
    try:
        act()
    except FlamError as error:
        return error
    return None


def _copy(jobs: dict[str, Modelled]) -> dict[str, Modelled]:
    return {job_id: attrs.evolve(job) for job_id, job in jobs.items()}


def _seen(job: Any) -> tuple[Any, ...]:
    at = [round(each.timestamp() * 1000) for each in (job.run_at, job.updated_at)]
    return (job.seq, job.state, job.queue, job.priority, job.attempts, job.attempt, *at,
            job.unique_key)  # fmt: skip


def _modelled(job: Modelled) -> tuple[Any, ...]:
    return (job.seq, job.state, job.queue, job.priority, job.attempts, job.attempt, job.run_at,
            job.changed, job.key)  # fmt: skip


TestAnySequenceOfVerbs = QueueMachine.TestCase
TestAnySequenceOfVerbs.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
