"""Storing jobs that may be there already: then those that are stand in for them."""

from __future__ import annotations

from flam_cli.commands.enqueue import print_ids, print_job
from flam_cli.options import Call
from flam_cli.place import made
from flam_store.job import JobSpec


def store_absent(call: Call, specs: JobSpec | list[JobSpec]) -> None:
    """Store what is absent, and print the job, or of an array the ids, that then stand for it."""
    with made(call).store() as store:
        if not isinstance(specs, list):
            print_job(call, store.enqueue_absent(specs))
            return
        named = [spec.named() for spec in specs]
        held = store.enqueue_many_absent(named)
    print_ids(call, [held.get(place, str(spec.id)) for place, spec in enumerate(named)])
