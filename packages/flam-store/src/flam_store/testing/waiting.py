"""Conformance: waiting for a change, and closing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from flam_store.change import JobChange
from flam_store.errors import StoreMisused
from flam_store.job import JobFilter, JobSpec
from flam_store.selection import Selection
from flam_store.store import Store
from flam_store.testing.given import (
    OUTCOMES,
    WORKER,
    claimed,
    registration,
    result,
    schedule_spec,
    spec,
)
from flam_store.testing.suite import MakeStore, Suite
from flam_store.worker import Stop, Woke

AT_ONCE = timedelta(0)
LONG = timedelta(minutes=1)
ALL = Selection(which=JobFilter(), below=100)

VERBS: dict[str, Callable[[Store], Any]] = {
    "job": lambda store: store.job("j"),
    "attempts": lambda store: store.attempts("j"),
    "jobs": lambda store: store.jobs(),
    "newest_started": lambda store: store.newest_started(),
    "overview": lambda store: store.overview(),
    "workers": lambda store: store.workers(),
    "running": lambda store: store.running(),
    "schedules": lambda store: store.schedules(),
    "schedule": lambda store: store.schedule("s"),
    "ticks": lambda store: store.ticks("s"),
    "orders": lambda store: store.orders(WORKER),
    "enqueue": lambda store: store.enqueue(spec("j")),
    "enqueue_many": lambda store: store.enqueue_many([spec("j")]),
    "finish": lambda store: store.finish((), worker_id=WORKER, want=1),
    "register": lambda store: store.register(registration()),
    "renew": lambda store: store.renew(WORKER),
    "forget": lambda store: store.forget(WORKER),
    "request_stop": lambda store: store.request_stop([WORKER], Stop.NOW),
    "add_schedule": lambda store: store.add_schedule(schedule_spec("s")),
    "pause_schedule": lambda store: store.pause_schedule("s", by="ann"),
    "resume_schedule": lambda store: store.resume_schedule("s"),
    "remove_schedule": lambda store: store.remove_schedule("s"),
    "run_schedule": lambda store: store.run_schedule("s"),
    "enqueue_due": lambda store: store.enqueue_due(),
    "retry": lambda store: store.retry("j"),
    "retry_dead_letter": lambda store: store.retry_dead_letter("j"),
    "enqueue_absent": lambda store: store.enqueue_absent(spec("j")),
    "enqueue_many_absent": lambda store: store.enqueue_many_absent([spec("j")]),
    "update": lambda store: store.update("j", JobChange(priority=1)),
    "cancel_selected": lambda store: store.cancel_selected(ALL, by="me"),
    "retry_selected": lambda store: store.retry_selected(ALL),
    "relatives": lambda store: store.relatives("j"),
    "standing": lambda store: store.standing("j"),
    "retry_dead": lambda store: store.retry_dead(),
    "purge": lambda store: store.purge(JobFilter()),
    "tidy": lambda store: store.tidy(),
    "wait": lambda store: store.wait(AT_ONCE),
}


def quiet(store: Store) -> None:
    """Wait until the session has seen everything that has happened."""
    store.finish((), worker_id=WORKER)
    while store.wait(AT_ONCE) is not Woke.TIMEOUT:
        pass


class Waiting(Suite):
    """``wait``."""

    def test_time_runs_out_where_nothing_changes(self, store: Store, other: Store) -> None:
        other.enqueue(spec("j"))
        quiet(store)
        assert store.wait(timedelta(milliseconds=20)) is Woke.TIMEOUT

    def test_a_change_made_while_waiting_was_not_yet_begun_wakes(
        self, store: Store, other: Store
    ) -> None:
        quiet(store)
        other.enqueue(spec("j"))
        assert store.wait(LONG) is Woke.CHANGED

    def test_a_change_made_after_the_last_finish_wakes_a_handle_that_never_waited(
        self, store: Store, other: Store
    ) -> None:
        store.finish((), worker_id=WORKER)
        other.enqueue(spec("j"))
        assert store.wait(AT_ONCE) is Woke.CHANGED

    def test_what_another_finishes_wakes(self, store: Store, other: Store) -> None:
        store.enqueue(spec("j"))
        claim = claimed(other)
        quiet(store)
        other.finish([result(claim, OUTCOMES["released"])], worker_id=WORKER)
        assert store.wait(LONG) is Woke.CHANGED

    def test_a_stop_wakes(self, store: Store, other: Store) -> None:
        store.register(registration())
        quiet(store)
        other.request_stop([WORKER], Stop.NOW)
        assert store.wait(LONG) is Woke.CHANGED

    def test_a_watched_descriptor_wakes(self, store: Store) -> None:
        quiet(store)
        reader, writer = os.pipe()
        try:
            assert store.wait(AT_ONCE, watch=[reader]) is Woke.TIMEOUT
            os.write(writer, b"!")
            assert store.wait(LONG, watch=[reader]) is Woke.WATCHED
            os.read(reader, 1)
            assert store.wait(AT_ONCE, watch=[reader]) is Woke.TIMEOUT
        finally:
            os.close(reader)
            os.close(writer)


class Closing(Suite):
    """``close`` and the context manager."""

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_closed_store_refuses(self, store: Store, verb: str) -> None:
        store.close()
        with pytest.raises(StoreMisused):
            VERBS[verb](store)

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_inside_another_is_refused_and_leaves_nothing(
        self, store: Store, verb: str
    ) -> None:
        with pytest.raises(StoreMisused):
            store.enqueue_many(VERBS[verb](store) for _ in range(1))
        assert store.jobs().jobs == ()

    def test_closing_inside_a_verb_is_refused(self, store: Store, other: Store) -> None:
        def specs() -> Iterator[JobSpec]:
            yield spec("a")
            store.close()

        with pytest.raises(StoreMisused):
            store.enqueue_many(specs())
        assert other.jobs().jobs == ()
        assert store.enqueue(spec("j")).id == "j"

    def test_closing_twice_is_fine_and_closes_no_other_session(
        self, store: Store, other: Store
    ) -> None:
        store.enqueue(spec("j"))
        store.close()
        store.close()
        assert other.job("j").id == "j"
        other.enqueue(spec("k"))

    def test_leaving_the_context_closes(self, store: Store) -> None:
        with store as same:
            assert same is store
        with pytest.raises(StoreMisused):
            store.jobs()

    def test_everything_is_there_when_opened_anew(
        self, make_store: MakeStore, store: Store, other: Store, clock: Any, config: Any
    ) -> None:
        job = store.enqueue(spec("j"))
        store.close()
        other.close()
        assert make_store(clock=clock, config=config).job("j") == job
