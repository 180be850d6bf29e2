"""``queuectl why``: why a job has not started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from flam_cli.declaring import Argument, Context, examples, new_app
from flam_cli.options import Json, call_of, job_id
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.waiting import standing_of
from flam_store.why import Reason, shape

app = new_app()


@app.command(epilog=examples("queuectl why thumb-17"))
def why(
    context: Context,
    id: Annotated[str, Argument(metavar="ID", help="The job's id.")],
    json: Json = False,
) -> None:
    """Say why a job has not started, and what to do about it.

    Where several reasons hold, all are told, the decisive one first.
    """
    call = call_of(context, json=json)
    with existing(call).store() as store:
        standing, found = standing_of(store, job_id(id))
    if call.json:
        machine.document(shape(standing, found))
    else:
        human.line(f"{standing.job.id}: {standing.job.state.value}")
        human.lines(line for reason in found for line in _lines(reason))


def _lines(reason: Reason) -> Iterator[str]:
    yield f"  {reason.text}"
    if reason.advice is not None:
        yield f"    {reason.advice}"
