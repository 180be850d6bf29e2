"""``queuectl cancel``: end jobs, also those that run."""

from __future__ import annotations

import time
from contextlib import suppress

import typer

from flam_cli.choosing import (
    All,
    Choice,
    Ids,
    Labels,
    Queue,
    States,
    Yes,
    require_consent,
    selected,
    sweeps,
)
from flam_cli.declaring import Context, examples, new_app
from flam_cli.deleting import answer
from flam_cli.options import Json, call_of
from flam_cli.place import Place, made
from flam_cli.several import print_states, try_each
from flam_cli.whoami import whoami
from flam_store.errors import JobNotFound, WrongState
from flam_store.job import Job, JobFilter
from flam_store.state import FINISHED, State
from flam_store.store import Store

app = new_app()

_STEP_SECONDS = 0.05
_UNFINISHED = tuple(state for state in State if state not in FINISHED)


@app.command(
    epilog=examples(
        "queuectl cancel thumb-17 thumb-18",
        "queuectl cancel --state pending --queue mail --label batch=7",
        "queuectl cancel --all --yes",
    )
)
def cancel(  # noqa: PLR0917, each is an option
    context: Context,
    ids: Ids = None,
    state: States = None,
    queue: Queue = None,
    label: Labels = None,
    all_: All = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """End jobs that wait or run.

    A running job's processes are ended, SIGTERM first; the command returns when they are gone.
    Jobs that are chosen by anything but their ids are those that are there now: none that
    comes meanwhile is meant.
    """
    call = call_of(context, json=json)
    choice = Choice(state=state, queue=queue, label=label, every=all_)
    place = made(call)
    if choice.is_instead_of(ids):
        which = choice.among(_UNFINISHED, otherwise=_UNFINISHED)
        answer(call, _cancel_all(place, which, yes=yes), "cancelled")
        return
    with place.store() as store:
        jobs, codes = try_each(store, ids or (), lambda id_: cancelled(place, store, id_))
    raise typer.Exit(print_states(call, jobs, codes))


def cancelled(place: Place, store: Store, job_id: str) -> Job:
    """The job when it has ended as cancelled, with its processes. WrongState; JobNotFound."""
    job = store.cancel(job_id, by=whoami())
    if job.state is State.PROCESSING:
        (job,) = _ended(place, store, [job_id])
    if job.state is not State.CANCELLED:
        raise WrongState(job_id, job.state, "cancel", tuple(map(str, _UNFINISHED)))
    return job


def _cancel_all(place: Place, which: JobFilter, *, yes: bool) -> int:
    """How many are cancelled now. One that completed before it could be ended is none of them."""
    running: list[str] = []
    done = 0
    with place.store() as store:
        selection = selected(store, which)
        if not yes and not require_consent(store, which, "cancel"):
            return 0
        for sweep in sweeps(lambda rest: store.cancel_selected(rest, by=whoami()), selection):
            done += sweep.done
            running += sweep.running
        ended = _ended(place, store, running)
    return done + sum(job.state is State.CANCELLED for job in ended)


def _ended(place: Place, store: Store, ids: list[str]) -> list[Job]:
    """The jobs when their workers have let go of them; without those that are deleted by then."""
    from flam_worker.pool import Holder

    holders = {job_id: Holder(place.home, job_id) for job_id in ids}
    ended: list[Job] = []
    while holders:
        for job_id, holder in list(holders.items()):
            with suppress(JobNotFound):
                job = store.job(job_id)
                if job.state is State.PROCESSING:
                    holder.tell(store)
                    continue
                ended.append(job)
            del holders[job_id]
        if holders:
            time.sleep(_STEP_SECONDS)
    return ended
