"""Deleting finished jobs with their output, and saying how many."""

from __future__ import annotations

from datetime import timedelta

import attrs

from flam_cli.choosing import how_many
from flam_cli.options import Call
from flam_cli.place import Place
from flam_cli.render import human, machine
from flam_cli.render.progress import counted
from flam_store import purging
from flam_store.finding import counted as number_of
from flam_store.job import JobFilter
from flam_store.state import State

_NONE = number_of(0, "job")


def purge_all(place: Place, which: JobFilter, older_than: timedelta) -> int:
    """Delete all that match; return how many."""
    with place.store() as store, counted("Deleting: {done:,} jobs") as tell:
        return purging.purge_all(store, place.logs, which, older_than=older_than, tell=tell)


def tell_what_stays(call: Call, place: Place, which: JobFilter) -> None:
    """Say on standard error how many there still are: of those, some job needs the success."""
    held = tuple(state for state in which.states if state is not State.COMPLETED)
    if call.json or not held:
        return
    with place.store() as store:
        left = how_many(store, attrs.evolve(which, states=held))
    if left != _NONE:
        rule = "a dead or cancelled job stays while a blocked one needs its success"
        human.complain(f"{left} left: {rule}.", prefix="")


def answer(call: Call, count: int, done: str) -> None:
    """Say on how many jobs it was done."""
    if call.json:
        machine.document({"count": count})
    else:
        human.line(f"{count} {'job' if count == 1 else 'jobs'} {done}.")
