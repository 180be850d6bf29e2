"""``queuectl show``: one job and its history."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

from flam_cli.completion import complete_id
from flam_cli.declaring import Argument, Context, examples, new_app
from flam_cli.options import Json, call_of, job_id
from flam_cli.place import existing
from flam_cli.render import machine
from flam_cli.render.jobs import print_job
from flam_cli.render.tree import print_tree
from flam_store import shapes
from flam_store.job import Attempt
from flam_store.output import Logs

app = new_app()

_MOST_SHOWN = 10
_MOST_IN_JSON = 1_000
"""Of the parents, and of the children; how many more there are is told."""


@app.command(epilog=examples("queuectl show thumb-17"))
def show(
    context: Context,
    id: Annotated[str, Argument(metavar="ID", autocompletion=complete_id, help="The job's id.")],
    json: Json = False,
) -> None:
    """Show one job with every attempt, its parents and its children.

    Of each: times, worker, exit code or signal, error.
    Values of its environment are masked.
    """
    call = call_of(context, json=json)
    place = existing(call)
    with place.store() as store:
        job = store.job(job_id(id))
        attempts = store.attempts(id)
        relatives = store.relatives(id, limit=_MOST_IN_JSON if call.json else _MOST_SHOWN)
    if call.json:
        machine.document(shapes.job_with_history(job, attempts) | shapes.relatives(relatives))
    else:
        print_job(job, attempts, datetime.now(UTC), _sizes_so_far(place.logs, attempts))
        print_tree(job, relatives)


def _sizes_so_far(logs: Logs, attempts: Sequence[Attempt]) -> dict[int, int]:
    """How long outputs are that the store cannot tell of yet, where they lie on this host."""
    sizes: dict[int, int] = {}
    for each in attempts:
        if each.output_bytes is None:
            with suppress(OSError):
                sizes[each.attempt] = logs.path_of(each.seq, each.attempt).lstat().st_size
    return sizes
