"""A process that dies at any statement of any verb leaves the state before it or after it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from forking import Children

import flam_store.job
from flam_store import JobFilter, JobSpec, State, Store, open_store
from flam_store.change import JobChange
from flam_store.selection import Selection
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import (
    CRASHED,
    OUTCOMES,
    WORKER,
    claimed,
    everything,
    registration,
    result,
    run,
    schedule_spec,
    spec,
    stored_in,
)
from flam_store.testing.moving import emptied
from flam_store.worker import Stop

MANY = 12
EVERYTHING = Selection(which=JobFilter(), below=1_000)


@attrs.frozen(kw_only=True)
class Verb:
    """What is done, after what. ``claim`` is what ``given`` returned."""

    given: Callable[[Store], Any] = lambda store: None
    do: Callable[[Store, Any], Any]


def with_parent(store: Store) -> Any:
    store.enqueue_many([spec("a"), spec("child", after=("a",)), spec("next")])
    return claimed(store)


def with_ended(store: Store) -> None:
    for state in (State.DEAD, State.COMPLETED, State.CANCELLED):
        for n in range(3):
            stored_in(store, state, f"{state}-{n}", labels={"a": "b"}, unique_key=f"{state}-{n}")
    store.enqueue_many([spec("p"), spec("child", after=("p", "completed-0"))])


def with_hooks(store: Store) -> Any:
    store.enqueue(spec("j", on_failure="bad", on_dead="worst", on_success="good"))
    store.enqueue(spec("child", after=("j",), after_policy="any"))
    return claimed(store)


def with_late(store: Store) -> Any:
    store.enqueue(spec("j"))
    return run(store, CRASHED)


def taken_out(store: Store) -> Any:
    for state in (State.COMPLETED, State.BLOCKED, State.PROCESSING):
        stored_in(store, state, state.value, queue=state.value, labels={"a": "b"})
    records = list(store.export())
    emptied(store)
    return records


def promote(store: Any, _: Any) -> None:
    store._clock.advance(timedelta(minutes=1))
    store.register(registration())
    store.finish((), worker_id=WORKER, want=3)


def with_schedules(store: Store) -> None:
    store.enqueue(spec("holder", unique_key="k"))
    store.add_schedule(schedule_spec("a"))
    store.add_schedule(schedule_spec("b", job=JobSpec(command="true", unique_key="k")))


def enqueue_due(store: Any, _: Any) -> None:
    numbers = count()
    vars(flam_store.job)["new_id"] = lambda: f"new-{next(numbers)}"  # in a child: the same in each
    store._clock.advance(timedelta(minutes=15))
    store.enqueue_due()


def checkpoint(store: Store, _: Any) -> None:
    store.retry_dead()
    store.tidy()


def close(store: Store, _: Any) -> None:
    store.enqueue(spec("j"))
    store.close()


def finishing(name: str) -> Verb:
    return Verb(
        given=with_parent,
        do=lambda store, claim: store.finish(
            [result(claim, OUTCOMES[name])], worker_id=WORKER, want=2
        ),
    )


VERBS = {
    "enqueue": Verb(do=lambda store, _: store.enqueue(spec("j", labels={"a": "b", "c": "d"}))),
    "enqueue_blocked": Verb(
        given=lambda store: store.enqueue(spec("p")),
        do=lambda store, _: store.enqueue(spec("j", after=("p",))),
    ),
    "enqueue_many": Verb(
        do=lambda store, _: store.enqueue_many(
            spec(f"j{n}", labels={"n": str(n)}) for n in range(MANY)
        )
    ),
    "promote": Verb(
        given=lambda store: store.enqueue_many(
            spec(f"j{n}", run_at=FakeClock().now + timedelta(seconds=n + 1)) for n in range(3)
        ),
        do=promote,
    ),
    **{f"finish_{name}": finishing(name) for name in OUTCOMES},
    "finish_with_hooks": Verb(
        given=with_hooks,
        do=lambda store, claim: store.finish(
            [result(claim, OUTCOMES["dead"])], worker_id=WORKER, want=1
        ),
    ),
    "finish_late": Verb(
        given=with_late,
        do=lambda store, claim: store.finish(
            [result(claim, OUTCOMES["completed"])], worker_id=WORKER
        ),
    ),
    "retry": Verb(given=with_ended, do=lambda store, _: store.retry("dead-1")),
    "retry_failed": Verb(
        given=lambda store: stored_in(store, State.FAILED), do=lambda store, _: store.retry("j")
    ),
    "enqueue_absent": Verb(
        given=lambda store: store.enqueue(spec("a", unique_key="k")),
        do=lambda store, _: store.enqueue_many_absent(
            [spec("b"), spec("c", unique_key="k"), spec("d", labels={"a": "b"})]
        ),
    ),
    "update": Verb(
        given=lambda store: store.enqueue(spec("j", labels={"old": "1"})),
        do=lambda store, _: store.update(
            "j", JobChange(queue="other", priority=1, labels={"a": "b"}, unlabel=("old",))
        ),
    ),
    "cancel_selected": Verb(
        given=with_parent, do=lambda store, _: store.cancel_selected(EVERYTHING, by="me")
    ),
    "retry_selected": Verb(given=with_ended, do=lambda store, _: store.retry_selected(EVERYTHING)),
    "retry_dead": Verb(given=with_ended, do=lambda store, _: store.retry_dead()),
    "import": Verb(given=taken_out, do=lambda store, records: store.import_jobs(records)),
    "purge": Verb(given=with_ended, do=lambda store, _: store.purge(JobFilter())),
    "expire": Verb(
        given=with_ended,
        do=lambda store, _: store.expire(State.COMPLETED, older_than=timedelta(0)),
    ),
    "cancel": Verb(
        given=lambda store: store.enqueue_many(
            [spec("j"), spec("child", after=("j",), after_policy="any")]
        ),
        do=lambda store, _: store.cancel("j", by="a test"),
    ),
    "add_schedule": Verb(do=lambda store, _: store.add_schedule(schedule_spec("s"))),
    "enqueue_due": Verb(given=with_schedules, do=enqueue_due),
    "register": Verb(do=lambda store, _: store.register(registration())),
    "renew": Verb(
        given=lambda store: store.register(registration()),
        do=lambda store, _: store.renew(WORKER),
    ),
    "request_stop": Verb(
        given=lambda store: store.register(registration()),
        do=lambda store, _: store.request_stop([WORKER], Stop.NOW),
    ),
    "forget": Verb(
        given=lambda store: store.register(registration()),
        do=lambda store, _: store.forget(WORKER),
    ),
    "checkpoint": Verb(given=with_ended, do=checkpoint),
    "close": Verb(given=with_ended, do=close),
}
SEVERAL_STEPS = {"promote"}


def opened(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", clock=FakeClock())


def seen(store: Store) -> Any:
    """The ids that the store itself has given are not the same each time."""
    jobs, attempts = everything(store)
    known = (attrs.evolve(job, id="hook") if "hook" in job.labels else job for job in jobs)
    return (tuple(known), attempts), store.workers(), schedules_seen(store)


def schedules_seen(store: Store) -> Any:
    return [(each, store.ticks(each.name)) for each in store.schedules()]


def look(path: Path) -> Any:
    """All that is in the queue; the database is sound."""
    with opened(path) as store:
        state = seen(store)
        overview = store.overview()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        ended = "SELECT sum(ends) FROM rollup WHERE span_ms = 60000"
        ((ends,),) = db.execute(ended).fetchall()
    return state, overview, ends


def goes_on(path: Path) -> None:
    with opened(path) as store:
        store.enqueue(spec("after-all", queue="after-all"))
        run(store, OUTCOMES["completed"], queues=["after-all"])
        everything(store)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(db: sqlite3.Connection, number: int) -> None:
    """At the beginning of that statement, triggers' own included, counted from 1."""
    statements = count(1)

    def reached(_: str) -> None:
        if next(statements) == number:
            die()

    db.set_trace_callback(reached)


def prepared(children: Children, verb: Verb, path: Path) -> Any:
    """What ``given`` of the verb returns; this process never has the database open meanwhile."""

    def prepare() -> Any:
        with opened(path) as store:
            return verb.given(store)

    return children.start(prepare).answer()


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_done_or_not_done(name: str, tmp_path: Path, children: Children) -> None:
    verb, start = VERBS[name], tmp_path / "start.db"
    given = prepared(children, verb, start)
    before = look(start)
    whole = Path(shutil.copy(start, tmp_path / "whole.db"))
    assert children.start(partial(_again, whole, verb, given)).wait() == 0
    after = look(whole)
    found, number = before, 0
    for number in count(1):
        path = Path(shutil.copy(start, tmp_path / f"{number}.db"))
        survived = children.start(partial(_until, number, path, verb, given)).wait() == 0
        found = look(path)
        if survived:
            break
        assert name in SEVERAL_STEPS or found in (before, after), f"killed at statement {number}"
        goes_on(path)
        if found == before:
            shutil.copy(start, path)
            assert children.start(partial(_again, path, verb, given)).wait() == 0
            assert look(path) == after
    assert found == after
    assert number > 2


def _until(number: int, path: Path, verb: Verb, given: Any) -> None:
    store = opened(path)
    die_at(store._session._db, number)  # type: ignore[attr-defined]
    verb.do(store, given)
    store.close()


def _again(path: Path, verb: Verb, given: Any) -> None:
    with opened(path) as store:
        verb.do(store, given)


@pytest.mark.parametrize("name", sorted(set(VERBS) - {"close", "checkpoint"}))
def test_a_verb_is_durable_before_it_returns(name: str, tmp_path: Path, children: Children) -> None:
    verb, start = VERBS[name], tmp_path / "start.db"
    given = prepared(children, verb, start)
    whole = Path(shutil.copy(start, tmp_path / "whole.db"))
    assert children.start(partial(_again, whole, verb, given)).wait() == 0
    killed = Path(shutil.copy(start, tmp_path / "killed.db"))

    def die_after_commit() -> None:
        store = opened(killed)
        commits = count(1)
        last = 2 if name in SEVERAL_STEPS else 1

        def committed(*_: object) -> None:
            if next(commits) == last:
                die()

        store._session._checkpoint_when_due = committed  # type: ignore[attr-defined]
        verb.do(store, given)

    assert children.start(die_after_commit).wait() == -signal.SIGKILL
    assert look(killed) == look(whole)


def opening_until(number: int, path: Path) -> None:
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = real(*args, **options)
        die_at(db, number)
        return db

    vars(sqlite3)["connect"] = connect
    opened(path).close()


def test_a_database_is_made_whole_or_made_by_the_next(tmp_path: Path, children: Children) -> None:
    for number in count(1):
        path = tmp_path / f"{number}.db"
        survived = children.start(partial(opening_until, number, path)).wait() == 0
        assert look(path)[0] == (((), ()), (), [])
        goes_on(path)
        if survived:
            break
    assert number > 20


def test_an_opened_database_is_there_whatever_statement_another_dies_at(
    path: Path, children: Children
) -> None:
    with opened(path) as store:
        store.enqueue(spec("j"))
    expected = look(path)
    for number in count(1):
        survived = children.start(partial(opening_until, number, path)).wait() == 0
        assert look(path) == expected
        if survived:
            break
    assert number > 5
