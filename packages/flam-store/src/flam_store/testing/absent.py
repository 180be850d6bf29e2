"""Conformance: enqueueing what may be there already."""

from __future__ import annotations

import pytest

from flam_store.errors import SpecError
from flam_store.state import FINISHED, State
from flam_store.store import Store
from flam_store.testing.given import everything, ids_claimed, spec, stored_in
from flam_store.testing.suite import Suite

UNFINISHED = [state for state in State if state not in FINISHED]


class EnqueueingAbsent(Suite):
    """``enqueue_absent`` and ``enqueue_many_absent``."""

    def test_what_is_absent_is_stored(self, store: Store, other: Store) -> None:
        job = store.enqueue_absent(spec("j", unique_key="k"))
        assert job == other.job("j")
        assert ids_claimed(store) == ["j"]

    @pytest.mark.parametrize("state", UNFINISHED)
    def test_the_unfinished_holder_of_the_key_stands_in(self, store: Store, state: State) -> None:
        stored_in(store, state, unique_key="k")
        before = everything(store)
        assert store.enqueue_absent(spec("new", unique_key="k", priority=9)) == store.job("j")
        assert everything(store) == before

    @pytest.mark.parametrize("state", sorted(FINISHED))
    def test_a_finished_job_holds_no_key(self, store: Store, state: State) -> None:
        stored_in(store, state, unique_key="k")
        assert store.enqueue_absent(spec("new", unique_key="k")).id == "new"

    @pytest.mark.parametrize("state", State)
    def test_a_stored_id_stands_in_for_itself_in_any_state(
        self, store: Store, state: State
    ) -> None:
        stored_in(store, state)
        before = everything(store)
        assert store.enqueue_absent(spec("j", command="another")) == store.job("j")
        assert everything(store) == before

    def test_the_id_goes_before_the_key(self, store: Store) -> None:
        store.enqueue(spec("holder", unique_key="k"))
        store.enqueue(spec("j"))
        assert store.enqueue_absent(spec("j", unique_key="k")).id == "j"

    def test_of_many_those_are_told_for_which_others_stand_in(self, store: Store) -> None:
        store.enqueue(spec("old", unique_key="k"))
        specs = [
            spec("a"),
            spec("b", unique_key="k"),
            spec("c", unique_key="new"),
            spec("d", unique_key="new"),
            spec("a"),
            spec("e", after=("a",)),
        ]
        assert store.enqueue_many_absent(specs) == {1: "old", 3: "c", 4: "a"}
        assert {job.id for job in store.jobs().jobs} == {"old", "a", "c", "e"}
        assert store.enqueue_many_absent([spec("a"), spec("c")]) == {0: "a", 1: "c"}
        assert store.enqueue_many_absent([]) == {}

    def test_a_spec_that_is_refused_leaves_nothing_of_the_others(self, store: Store) -> None:
        before = everything(store)
        with pytest.raises(SpecError):
            store.enqueue_many_absent([spec("a"), spec("b", after=("nobody",))])
        with pytest.raises(SpecError):
            store.enqueue_absent(spec("b", after=("nobody",)))
        assert everything(store) == before

    def test_an_earlier_one_of_many_stands_in(self, store: Store) -> None:
        store.enqueue(spec("old", unique_key="old"))
        specs = [spec(f"j{n}", unique_key=f"k{n}") for n in range(250)]
        specs[120] = spec("j120", unique_key="k119")
        specs[130] = spec("j129", unique_key="k130")
        specs[240] = spec("j20", unique_key="old")
        specs[241] = spec("j241", unique_key="old")
        held = {120: "j119", 130: "j129", 240: "j20", 241: "old"}
        assert store.enqueue_many_absent(specs) == held
        new = [spec.id for place, spec in enumerate(specs) if place not in held]
        assert [job.id for job in store.jobs(limit=0).jobs] == [*reversed(new), "old"]
