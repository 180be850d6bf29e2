"""Conformance: the register of workers, and what it tells them."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import OUTCOMES, WORKER, claimed, ended, registration, spec
from flam_store.testing.suite import Suite
from flam_store.worker import Orders, ProcessId, Role, Stop


class Registering(Suite):
    """``register renew forget request_stop orders workers``."""

    def test_a_worker_is_known_as_it_described_itself(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        given = registration(supervisor="boss", queues=("b", "a"))
        store.register(given)
        (record,) = other.workers()
        for field in attrs.fields_dict(type(given)):
            assert getattr(record, field) == getattr(given, field), field
        assert (record.started_at, record.heartbeat_at) == (clock.now, clock.now)
        assert (record.stop, record.job) == (None, None)

    def test_workers_and_supervisors_are_told_oldest_first(
        self, store: Store, clock: FakeClock
    ) -> None:
        for name in ("z", "m", "a"):
            store.register(registration(name, role=Role.SUPERVISOR))
            clock.advance(timedelta(seconds=1))
        assert [(each.id, each.role) for each in store.workers()] == [
            (name, Role.SUPERVISOR) for name in ("z", "m", "a")
        ]

    def test_registering_again_renews_all_of_it_but_when_it_started(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.register(registration())
        started = clock.now
        clock.advance(timedelta(seconds=5))
        process = ProcessId(host="h", boot="b", pid=7, born="9")
        again = registration(
            process=process, queues=("q",), supervisor="s", lease=timedelta(seconds=3)
        )
        store.register(again)
        (record,) = store.workers()
        assert (record.process, record.queues, record.supervisor) == (process, ("q",), "s")
        assert record.lease == timedelta(seconds=3)
        assert (record.started_at, record.heartbeat_at) == (started, clock.now)

    def test_registering_again_takes_back_no_stop(self, store: Store) -> None:
        store.register(registration())
        store.request_stop([WORKER], Stop.GRACEFUL)
        store.register(registration())
        assert store.orders(WORKER).stop is Stop.GRACEFUL

    def test_renewing_extends_the_lease_from_now_and_looking_does_not(
        self, store: Store, other: Store, clock: FakeClock
    ) -> None:
        store.register(registration())
        registered = clock.now
        clock.advance(timedelta(seconds=5))
        assert store.orders(WORKER) == Orders(known=True)
        assert other.workers()[0].heartbeat_at == registered
        assert store.renew(WORKER) == Orders(known=True)
        assert other.workers()[0].heartbeat_at == clock.now

    def test_an_unknown_worker_is_told_so(self, store: Store) -> None:
        assert store.renew(WORKER) == store.orders(WORKER) == Orders(known=False)
        assert store.workers() == ()

    def test_a_stop_is_for_the_workers_named(self, store: Store, other: Store) -> None:
        for name in ("a", "b", "c"):
            store.register(registration(name))
        store.request_stop(["a", "c", "nobody"], Stop.GRACEFUL)
        assert [other.orders(name).stop for name in ("a", "b", "c")] == [
            Stop.GRACEFUL, None, Stop.GRACEFUL
        ]  # fmt: skip
        store.request_stop([], Stop.NOW)
        assert other.renew("b").stop is None

    @pytest.mark.parametrize("first", Stop)
    @pytest.mark.parametrize("second", Stop)
    def test_now_outweighs_graceful_and_never_back(
        self, store: Store, first: Stop, second: Stop
    ) -> None:
        store.register(registration())
        store.request_stop([WORKER], first)
        store.request_stop([WORKER], second)
        expected = Stop.NOW if Stop.NOW in (first, second) else Stop.GRACEFUL
        assert store.orders(WORKER).stop is expected
        assert store.workers()[0].stop is expected

    def test_a_worker_that_holds_a_job_is_not_forgotten(self, store: Store, other: Store) -> None:
        store.enqueue(spec("j"))
        claim = claimed(store)
        assert [record.job for record in other.workers()] == ["j"]
        other.forget(WORKER)
        assert [record.id for record in other.workers()] == [WORKER]
        ended(store, claim, OUTCOMES["dead"])
        assert [record.job for record in other.workers()] == [None]
        other.forget(WORKER)
        assert other.workers() == ()
        other.forget(WORKER)

    def test_a_worker_is_told_which_of_its_attempts_to_end(
        self, store: Store, other: Store
    ) -> None:
        store.enqueue_many([spec("a"), spec("b")])
        first = claimed(store)
        claimed(store)
        other.cancel(first.job.id, by="a test")
        fence = frozenset({(first.job.seq, first.attempt)})
        assert other.orders(WORKER).cancelled == other.renew(WORKER).cancelled == fence
        ended(store, first, OUTCOMES["cancelled"])
        assert other.orders(WORKER).cancelled == frozenset()
