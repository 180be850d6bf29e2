"""``queuectl wait``: until jobs are finished."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from flam_cli.completion import complete_id
from flam_cli.options import Json, call_of, duration_seconds
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.progress import counted
from flam_cli.root import examples, new_app
from flam_cli.several import try_each
from flam_store import shapes
from flam_store.exits import NO, TIMED_OUT
from flam_store.job import Job
from flam_store.state import FINISHED, State
from flam_store.store import StoreReader

app = new_app()

_STEP_SECONDS = 0.1


@app.command(
    epilog=examples("queuectl wait thumb-17 thumb-18", "queuectl wait thumb-17 --timeout 5m")
)
def wait(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", autocompletion=complete_id, help="The jobs.")
    ],
    timeout: Annotated[
        str | None,
        typer.Option(metavar="S", help="Wait no longer than this, then exit with 124."),
    ] = None,
    json: Json = False,
) -> None:
    """Wait until jobs are finished: completed, dead or cancelled.

    Exits with 0 only if all of them are completed, otherwise with 1.
    """
    call = call_of(context, json=json)
    seconds = duration_seconds("--timeout", timeout)
    with existing(call).store() as store:
        jobs, codes = try_each(store, ids, store.job)
        finished = _finished(store, jobs, seconds)
    if finished is None:
        human.complain(f"Not all were finished after {timeout}.")
        raise typer.Exit(codes[0] if codes else TIMED_OUT)
    if not call.json:
        human.lines(f"{job.id}: {job.state.value}" for job in finished)
    elif not codes:
        machine.array(map(shapes.job, finished))
    no = any(job.state is not State.COMPLETED for job in finished)
    raise typer.Exit(codes[0] if codes else NO if no else 0)


def _finished(store: StoreReader, jobs: Sequence[Job], seconds: float | None) -> list[Job] | None:
    """The jobs when all are finished, or None when time ran out before."""
    deadline = None if seconds is None else time.monotonic() + seconds
    known = {job.id: job for job in jobs}
    with counted(f"Waiting: {{done:,}} of {len(known):,} finished") as tell:
        while left := [id_ for id_, job in known.items() if job.state not in FINISHED]:
            tell(len(known) - len(left))
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(_STEP_SECONDS)
            known |= {id_: store.job(id_) for id_ in left}
    return list(known.values())
