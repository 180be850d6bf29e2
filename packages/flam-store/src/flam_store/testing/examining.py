"""Conformance: a queue that has met nothing but its verbs is sound, and nothing is mended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flam_store.finding import Level
from flam_store.job import JobFilter
from flam_store.state import AttemptState, State
from flam_store.store import Store
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import DAY, everything, spec, stored_in
from flam_store.testing.suite import Suite


class Examining(Suite):
    """``examine mend ledger``."""

    def test_an_empty_queue_is_sound(self, store: Store) -> None:
        assert {finding.level for finding in store.examine()} == {Level.PASS}
        assert store.mend() == ()

    @pytest.mark.parametrize("state", State)
    def test_a_job_in_any_state_is_sound_and_stays_as_it_is(
        self, store: Store, other: Store, state: State
    ) -> None:
        stored_in(store, state, stdin="text", env={"A": "b"}, labels={"a": "b"})
        before = everything(other)
        findings = store.examine()
        assert {finding.level for finding in findings} == {Level.PASS}
        assert [each.subject for each in other.examine()] == [each.subject for each in findings]
        assert store.mend() == ()
        assert everything(other) == before

    def test_every_finding_has_a_subject_and_a_text(self, store: Store) -> None:
        for finding in store.examine():
            assert finding.subject
            assert finding.text
            assert finding.mend is None

    def test_a_clock_that_was_set_back_is_noticed(self, store: Store, clock: FakeClock) -> None:
        stored_in(store, State.COMPLETED)
        clock.advance(-timedelta(hours=3))
        (finding,) = [each for each in store.examine() if each.level is not Level.PASS]
        assert (finding.level, finding.subject) == (Level.WARN, "clock")
        assert "3h" in finding.text

    @pytest.mark.parametrize("state", [State.DEAD, State.CANCELLED])
    def test_a_job_that_waits_for_what_cannot_come_is_noticed(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        store.enqueue(spec("child", after=("j",)))
        (finding,) = [each for each in store.examine() if each.level is not Level.PASS]
        assert (finding.level, finding.subject) == (Level.WARN, "waiting")
        assert "child" in finding.text
        assert store.mend() == ()

    def test_the_ledger_tells_what_is_stored_under_a_range_of_numbers(self, store: Store) -> None:
        first = stored_in(store, State.COMPLETED, "a")
        second = stored_in(store, State.PROCESSING, "b")
        third = stored_in(store, State.PENDING, "c", delay=DAY)
        whole = store.ledger(0, third.seq)
        assert whole.jobs == {first.seq, second.seq, third.seq}
        assert [(start.seq, start.attempt, start.state) for start in whole.starts] == [
            (first.seq, 1, AttemptState.COMPLETED), (second.seq, 1, AttemptState.RUNNING)
        ]  # fmt: skip
        assert whole.given == third.seq
        part = store.ledger(second.seq, second.seq)
        assert (set(part.jobs), len(part.starts)) == ({second.seq}, 1)
        store.purge(JobFilter(states=(State.COMPLETED,)))
        assert store.ledger(0, first.seq).jobs == frozenset()
        assert store.ledger(0, first.seq).given == third.seq
