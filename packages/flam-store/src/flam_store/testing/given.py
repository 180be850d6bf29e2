"""Steps of which tests are made: jobs brought into a state, workers, outcomes, a look at all."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, assert_never

from flam_store.job import Attempt, Claim, Job, JobSpec
from flam_store.outcome import Cancelled, Completed, Dead, Failure, Outcome, Released, Result, Retry
from flam_store.schedule import ScheduleSpec
from flam_store.state import AttemptState, State
from flam_store.store import Store, StoreReader
from flam_store.worker import ProcessId, Registration, Role, Turn

WORKER = "worker-1"
RETRY_DELAY = timedelta(seconds=8)
DAY = timedelta(days=1)


def registration(worker: str = WORKER, **fields: Any) -> Registration:
    process = ProcessId(host="host", boot="boot", pid=4242, born="17")
    given: dict[str, Any] = {
        "role": Role.WORKER,
        "process": process,
        "lease": timedelta(seconds=30),
    }
    return Registration(id=worker, **given | fields)


def spec(job_id: str, **fields: Any) -> JobSpec:
    return JobSpec(**{"command": "true", "id": job_id} | fields)


def schedule_spec(name: str, cron: str = "*/5 * * * *", **fields: Any) -> ScheduleSpec:
    given: dict[str, Any] = {"name": name, "cron": cron, "job": JobSpec(command="true")}
    return ScheduleSpec(**given | fields)


def failure(state: AttemptState = AttemptState.FAILED) -> Failure:
    return Failure(state=state, cause="exit 1", error="exit code 1", exit_code=1)


OUTCOMES: dict[str, Outcome] = {
    "completed": Completed(),
    "retry": Retry(failure=failure(), delay=RETRY_DELAY),
    "dead": Dead(failure=failure()),
    "cancelled": Cancelled(signal="SIGTERM"),
    "released": Released(reason="the worker was stopped"),
}
CRASHED = Retry(failure=failure(AttemptState.CRASHED), delay=timedelta(0))


def claims(store: Store, want: int = 1, **fields: Any) -> tuple[Claim, ...]:
    """What a worker gets; it is registered first."""
    worker = fields.pop("worker_id", WORKER)
    store.register(registration(worker))
    return store.finish((), worker_id=worker, want=want, **fields).claims


def claimed(store: Store, **fields: Any) -> Claim:
    (claim,) = claims(store, **fields)
    return claim


def ids_claimed(store: Store, want: int = 100, **fields: Any) -> list[str]:
    return [claim.job.id for claim in claims(store, want, **fields)]


def result(claim: Claim, outcome: Outcome) -> Result:
    return Result(seq=claim.job.seq, attempt=claim.attempt, outcome=outcome)


def ended(store: Store, claim: Claim, outcome: Outcome) -> Turn:
    return store.finish([result(claim, outcome)], worker_id=WORKER)


def run(store: Store, outcome: Outcome, **fields: Any) -> Claim:
    """Claim the next job and end it so."""
    claim = claimed(store, **fields)
    assert ended(store, claim, outcome).refused == ()
    return claim


def stored_in(store: Store, state: State, job_id: str = "j", **fields: Any) -> Job:
    """A job in that state. One that is blocked waits for ``<id>-parent``, which is due in a day."""
    if state is State.BLOCKED:
        store.enqueue(spec(f"{job_id}-parent", queue="parents", delay=DAY))
        fields["after"] = (f"{job_id}-parent",)
    job = store.enqueue(spec(job_id, **fields))
    match state:
        case State.PENDING | State.BLOCKED:
            return job
        case State.PROCESSING:
            claimed(store, queues=[job.queue])
        case State.COMPLETED:
            run(store, OUTCOMES["completed"], queues=[job.queue])
        case State.FAILED:
            run(store, OUTCOMES["retry"], queues=[job.queue])
        case State.DEAD:
            run(store, OUTCOMES["dead"], queues=[job.queue])
        case State.CANCELLED:
            run(store, OUTCOMES["cancelled"], queues=[job.queue])
        case _ as unknown:
            assert_never(unknown)
    job = store.job(job_id)
    assert job.state is state, "another job of this queue came first"
    return job


def everything(store: StoreReader) -> tuple[tuple[Job, ...], tuple[Attempt, ...]]:
    """All jobs and all attempts, newest job first. The counts must agree with them."""
    jobs = store.jobs(limit=0).jobs
    counted = Counter(job.state for job in jobs)
    assert store.overview().counts == {state: counted[state] for state in State}
    return jobs, tuple(attempt for job in jobs for attempt in store.attempts(job.id))


def state_of(store: StoreReader, job_id: str = "j") -> State:
    return store.job(job_id).state
