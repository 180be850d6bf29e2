"""``queuectl cancel``: end jobs, also those that run."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from flam_cli.completion import complete_id
from flam_cli.options import Json, call_of
from flam_cli.place import Place, made
from flam_cli.root import examples, new_app
from flam_cli.several import print_states, try_each
from flam_cli.whoami import whoami
from flam_store.errors import WrongState
from flam_store.job import Job
from flam_store.state import FINISHED, State
from flam_store.store import Store

app = new_app()

_STEP_SECONDS = 0.05


@app.command(epilog=examples("queuectl cancel thumb-17 thumb-18"))
def cancel(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", autocompletion=complete_id, help="The jobs.")
    ],
    json: Json = False,
) -> None:
    """End jobs that wait or run.

    A running job's processes are ended, SIGTERM first; the command returns when they are gone.
    """
    call = call_of(context, json=json)
    place = made(call)
    with place.store() as store:
        jobs, codes = try_each(store, ids, lambda id_: _cancelled(place, store, id_))
    raise typer.Exit(print_states(call, jobs, codes))


def _cancelled(place: Place, store: Store, job_id: str) -> Job:
    job = store.cancel(job_id, by=whoami())
    if job.state is State.PROCESSING:
        job = _ended(place, store, job_id)
    if job.state is not State.CANCELLED:
        unfinished = tuple(str(state) for state in State if state not in FINISHED)
        raise WrongState(job_id, job.state, "cancel", unfinished)
    return job


def _ended(place: Place, store: Store, job_id: str) -> Job:
    """The job when its worker has let go of it."""
    from flam_worker.pool import Holder

    holder = Holder(place.home, job_id)
    while (job := store.job(job_id)).state is State.PROCESSING:
        holder.tell(store)
        time.sleep(_STEP_SECONDS)
    return job
