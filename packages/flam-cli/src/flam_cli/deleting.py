"""Deleting finished jobs with their output, and saying how many."""

from __future__ import annotations

from datetime import timedelta

from flam_cli.options import Call
from flam_cli.place import Place
from flam_cli.render import human, machine
from flam_cli.render.progress import counted
from flam_store import purging
from flam_store.job import JobFilter


def purge_all(place: Place, which: JobFilter, older_than: timedelta) -> int:
    """Delete all that match; return how many."""
    with place.store() as store, counted("Deleting: {done:,} jobs") as tell:
        return purging.purge_all(store, place.logs, which, older_than=older_than, tell=tell)


def answer(call: Call, count: int, done: str) -> None:
    """Say on how many jobs it was done."""
    if call.json:
        machine.document({"count": count})
    else:
        human.line(f"{count} {'job' if count == 1 else 'jobs'} {done}.")
