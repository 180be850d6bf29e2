"""Storing jobs that may be there already: then those that are stand in for them."""

from __future__ import annotations

from flam_cli.commands.enqueue import print_ids, print_job
from flam_cli.errors import UsageError
from flam_cli.options import Call
from flam_cli.place import made
from flam_store.job import JobSpec


def store_absent(call: Call, specs: JobSpec | list[JobSpec]) -> None:
    """Store what is absent, and print the job, or of an array the ids, that then stand for it."""
    with made(call).store() as store:
        if not isinstance(specs, list):
            _require_a_name(specs)
            print_job(call, store.enqueue_absent(specs))
            return
        named = [spec.named() for spec in specs]
        held = store.enqueue_many_absent(named)
    print_ids(call, [held.get(place, str(spec.id)) for place, spec in enumerate(named)])


def _require_a_name(spec: JobSpec) -> None:
    """Without one, nothing that is stored could ever stand for it."""
    if spec.id is None and spec.unique_key is None:
        raise UsageError("--if-absent looks for an id or a unique key: give --id or --unique-key.")
