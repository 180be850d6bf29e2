from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from flam_store.change import JobChange
from flam_store.errors import SpecError
from flam_store.job import Attempt, Job
from flam_store.overview import QueueInfo
from flam_store.relatives import Relative, Relatives, is_hopeless, waited_for, way_out
from flam_store.standing import Kind, Standing
from flam_store.state import FINISHED, AttemptState, State
from flam_store.why import reasons, shape
from flam_store.worker import ProcessId, Role, Stop, WorkerRecord

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def a_job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "seq": 1, "id": "j", "state": State.PENDING, "queue": "mail", "priority": 0,
        "command": "true", "args": None, "attempts": 0, "attempt": 0, "max_retries": 3,
        "backoff_base": 2.0, "backoff_max": 3600.0, "backoff_jitter": 0.1, "timeout": None,
        "created_at": NOW, "updated_at": NOW - MINUTE, "run_at": NOW,
    }  # fmt: skip
    return Job(**given | fields)


def worker(name: str = "w", **fields: Any) -> WorkerRecord:
    given: dict[str, Any] = {
        "role": Role.WORKER,
        "process": ProcessId(host="here", boot="b", pid=17, born="1"),
        "lease": timedelta(seconds=30),
        "supervisor": None,
        "queues": None,
        "started_at": NOW - MINUTE,
        "heartbeat_at": NOW,
        "stop": None,
        "job": None,
    }
    return WorkerRecord(id=name, **given | fields)


def queue(running: int = 0, **fields: Any) -> QueueInfo:
    counts = dict.fromkeys(State, 0) | {State.PROCESSING: running}
    return QueueInfo(name="mail", counts=counts, **fields)


def standing(**fields: Any) -> Standing:
    given: dict[str, Any] = {
        "job": a_job(),
        "at": NOW,
        "latest": None,
        "relatives": Relatives(),
        "queue": queue(),
        "running": (),
        "ahead": 0,
        "workers": (worker(),),
    }
    return Standing(**given | fields)


def attempt() -> Attempt:
    return Attempt(
        seq=1, attempt=2, state=AttemptState.RUNNING, worker="w", started_at=NOW - MINUTE
    )


def kinds(value: Standing, **seen: bool) -> list[Kind]:
    return [each.kind for each in reasons(value, seen)]


PAUSED = queue(paused_at=NOW - MINUTE, paused_by="ann", note="relay is down")
LATER = a_job(run_at=NOW + 5 * MINUTE)


def test_a_job_that_nothing_holds_up_is_next() -> None:
    (reason,) = reasons(standing(), {})
    assert (reason.kind, reason.advice, reason.stays) == (Kind.NEXT, None, False)


def test_a_running_job_tells_since_when_and_by_whom() -> None:
    running = standing(job=a_job(state=State.PROCESSING), latest=attempt())
    (reason,) = reasons(running, {})
    assert reason.text == (
        "It has been running for 1m: attempt 2, by worker w (process 17 on here)."
    )
    assert reason.facts == {
        "since": "2026-01-31T11:59:00.000000Z", "attempt": 2, "worker": "w", "pid": 17,
        "host": "here",
    }  # fmt: skip


@pytest.mark.parametrize("seen", [{"w": False}, {}])
def test_a_running_job_whose_worker_is_gone_says_so(seen: dict[str, bool]) -> None:
    silent = worker(heartbeat_at=NOW - MINUTE)
    running = standing(job=a_job(state=State.PROCESSING), latest=attempt(), workers=(silent,))
    (reason,) = reasons(running, seen)
    assert "which is gone" in reason.text
    forgotten = attrs.evolve(running, workers=())
    assert "which is gone" in reasons(forgotten, {})[0].text


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_a_finished_job_tells_since_when(state: State) -> None:
    done = a_job(state=state, attempt=3, error="exit code 1", exit_code=1)
    (reason,) = reasons(standing(job=done, queue=PAUSED, workers=()), {})
    assert reason.kind is Kind.FINISHED
    assert f"{state} for 1m" in reason.text
    assert ("exit code 1" in reason.text) is (state is State.DEAD)
    assert reason.advice == '"queuectl retry j" runs it again.'


def test_a_job_that_was_cancelled_before_its_start_says_so() -> None:
    (reason,) = reasons(standing(job=a_job(state=State.CANCELLED)), {})
    assert "before it was ever started" in reason.text


def test_a_time_is_told_with_where_it_comes_from() -> None:
    (own,) = reasons(standing(job=LATER), {})
    assert own.text == "It is due in 5m, at 2026-01-31 12:05:00Z, as its producer asked."
    again = attrs.evolve(LATER, state=State.FAILED, attempt=2)
    (retry,) = reasons(standing(job=again), {})
    assert "as a retry after attempt 2" in retry.text
    assert retry.facts["after_attempt"] == 2
    assert kinds(standing(job=again)) == [Kind.NOT_DUE]


def test_a_pause_is_told_with_who_and_why() -> None:
    (reason,) = reasons(standing(queue=PAUSED), {})
    assert reason.text == "Its queue, mail, has been paused for 1m by ann: relay is down."
    assert reason.stays
    assert reason.facts["note"] == "relay is down"


def test_a_full_queue_names_some_of_what_runs() -> None:
    full = standing(queue=queue(9, concurrency=9), running=("a", "b", "c", "d", "e"))
    (reason,) = reasons(full, {})
    assert reason.text == "Its queue, mail, runs 9 of at most 9: a, b, c, d, e, and 4 more."
    assert kinds(attrs.evolve(full, queue=queue(8, concurrency=9))) == [Kind.NEXT]


@pytest.mark.parametrize(
    ("workers", "seen"),
    [
        ((), {}),
        ((worker(role=Role.SUPERVISOR),), {}),
        ((worker(stop=Stop.GRACEFUL),), {}),
        ((worker(heartbeat_at=NOW - MINUTE),), {}),
        ((worker(),), {"w": False}),
    ],
)
def test_without_a_worker_that_lives_and_takes_jobs_none_runs(
    workers: tuple[WorkerRecord, ...], seen: dict[str, bool]
) -> None:
    assert kinds(standing(workers=workers), **seen) == [Kind.NO_WORKERS]


def test_what_was_seen_of_a_worker_outweighs_its_lease() -> None:
    assert kinds(standing(workers=(worker(heartbeat_at=NOW - MINUTE),)), w=True) == [Kind.NEXT]


def test_workers_of_other_queues_do_not_serve_it() -> None:
    others = (worker("a", queues=("x", "y")), worker("b", queues=("x",)))
    (reason,) = reasons(standing(workers=others), {})
    assert reason.text == ("No worker serves its queue, mail; those that run serve only x, y.")
    assert kinds(standing(workers=(*others, worker("c", queues=("mail",))))) == [Kind.NEXT]


def test_busy_workers_and_the_jobs_ahead_are_counted() -> None:
    busy = standing(workers=(worker("a", job="x"), worker("b", job="y")), ahead=10_000)
    (reason,) = reasons(busy, {})
    assert reason.text == (
        "Of 2 workers that could take it, 2 are busy, and at least 10,000 jobs of its queue "
        "are ahead of it."
    )
    assert kinds(standing(workers=(worker("a", job="x"), worker("b")))) == [Kind.NEXT]
    one = attrs.evolve(busy, workers=(worker("a", job="x"),), ahead=1)
    assert "Of 1 worker that could take it, 1 is busy, and 1 job of" in reasons(one, {})[0].text


def test_where_waiting_decides_only_the_busy_workers_are_counted() -> None:
    busy = standing(workers=(worker("a", job="x"), worker("b", job="y")), ahead=None)
    (reason,) = reasons(busy, {})
    assert reason.text == "Of 2 workers that could take it, 2 are busy."
    assert reason.facts == {"workers": 2, "busy": 2, "ahead": None}
    assert kinds(standing(ahead=None)) == [Kind.NEXT]


def blocked(*parents: Relative, **fields: Any) -> Standing:
    job = a_job(state=State.BLOCKED, **fields)
    return standing(job=job, relatives=Relatives(parents=parents))


DONE = Relative(id="done", state=State.COMPLETED)
WAITS = Relative(id="waits", state=State.PENDING)
DEAD = Relative(id="dead", state=State.DEAD)
GONE = Relative(id="gone", state=None)


def test_a_blocked_job_names_what_it_waits_for() -> None:
    (reason,) = reasons(blocked(WAITS, DONE), {})
    assert reason.text == "It waits for waits (pending) to be completed."
    assert (reason.advice, reason.stays) == (None, False)
    assert reason.facts == {"parents": [{"id": "waits", "state": "pending"}]}


def test_a_job_behind_a_dead_one_says_what_to_do() -> None:
    (reason,) = reasons(blocked(DEAD, WAITS), {})
    assert reason.text == "It waits for dead (dead), waits (pending) to be completed."
    assert (reason.advice, reason.stays) == ("Retry dead, or cancel this job.", True)


def test_a_job_behind_a_deleted_one_can_only_be_cancelled() -> None:
    (reason,) = reasons(blocked(GONE), {})
    assert "gone (deleted)" in reason.text
    assert reason.advice == "Cancel this job: gone was deleted and can never be completed."


def test_with_any_end_a_dead_parent_holds_up_nobody() -> None:
    assert waited_for((DEAD, WAITS, DONE, GONE), "any") == (WAITS,)
    assert not any(is_hopeless(each, "any") for each in (DEAD, GONE))
    assert way_out((DEAD,), "any") is None
    (reason,) = reasons(blocked(DEAD, WAITS, after_policy="any"), {})
    assert reason.text == "It waits for waits (pending) to be over, however it ends."


def test_many_parents_are_named_in_part() -> None:
    parents = tuple(Relative(id=f"p{n}", state=State.PENDING) for n in range(8))
    value = blocked(*parents)
    assert "p4 (pending), and 3 more to be" in reasons(value, {})[0].text
    rest = attrs.evolve(value, relatives=Relatives(parents=parents, more_parents=5))
    assert "p4 (pending), and others to be" in reasons(rest, {})[0].text


def test_all_reasons_are_told_in_the_order_in_which_a_claim_asks() -> None:
    job = attrs.evolve(LATER, state=State.BLOCKED)
    held = standing(
        job=job,
        relatives=Relatives(parents=(DEAD,)),
        queue=attrs.evolve(PAUSED, concurrency=1, counts=queue(1).counts),
        running=("x",),
        workers=(),
    )
    expected = [Kind.BLOCKED, Kind.NOT_DUE, Kind.PAUSED, Kind.FULL, Kind.NO_WORKERS]
    assert kinds(held) == expected
    assert shape(held, reasons(held, {})) == {
        "id": "j",
        "state": "blocked",
        "reasons": [
            {"kind": each.kind, "text": each.text, "advice": each.advice, **each.facts}
            for each in reasons(held, {})
        ],
    }


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "at least one of priority, queue"),
        ({"priority": 2**31}, "priority"),
        ({"priority": True}, "priority: must be an integer"),
        ({"queue": "a b"}, "no valid name"),
        ({"run_at": datetime(2026, 1, 1)}, "needs an offset"),  # noqa: DTZ001
        ({"run_at": NOW, "delay": MINUTE}, "not both"),
        ({"delay": timedelta(seconds=-1)}, "delay"),
        ({"timeout": timedelta(0)}, "timeout: must be more than 0"),
        ({"max_retries": -1}, "max_retries"),
        ({"labels": {"a b": "c"}}, "labels"),
        ({"labels": {"a": 1}}, "labels.a: must be a string"),
        ({"unlabel": ("a b",)}, "unlabel"),
        ({"labels": {"a": "1"}, "unlabel": ("a",)}, "to be set and to be taken away"),
    ],
)
def test_a_change_obeys_the_rules_of_a_spec(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as refused:
        JobChange(**fields)
    assert told in str(refused.value)
