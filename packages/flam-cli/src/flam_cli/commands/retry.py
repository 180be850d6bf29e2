"""``queuectl retry``: run finished jobs again, or failed ones now."""

from __future__ import annotations

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
from flam_cli.render import human
from flam_cli.several import print_states, try_each
from flam_store.finding import counted
from flam_store.job import JobFilter
from flam_store.state import RETRYABLE, State

app = new_app()

_NOT_DONE = (State.DEAD, State.FAILED)


@app.command(
    epilog=examples(
        "queuectl retry thumb-17 thumb-18",
        "queuectl retry --queue mail --label batch=7",
        "queuectl retry --state cancelled --yes",
    )
)
def retry(  # noqa: PLR0917, each is an option
    context: Context,
    ids: Ids = None,
    state: States = None,
    queue: Queue = None,
    label: Labels = None,
    all_: All = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make jobs pending again with 0 attempts, or due now.

    A dead, cancelled or completed job becomes pending; a failed one does not wait any longer.
    Of jobs that are not named by their ids, only the dead and the failed are meant, unless
    --state says otherwise, and only those that are there now.
    """
    call = call_of(context, json=json)
    choice = Choice(state=state, queue=queue, label=label, every=all_)
    place = made(call)
    if choice.is_instead_of(ids):
        which = choice.among(RETRYABLE, otherwise=_NOT_DONE)
        answer(call, _retry_all(place, which, yes=yes), "to run again")
        return
    with place.store() as store:
        jobs, codes = try_each(store, ids or (), store.retry)
    raise typer.Exit(print_states(call, jobs, codes))


def _retry_all(place: Place, which: JobFilter, *, yes: bool) -> int:
    done = kept = 0
    with place.store() as store:
        selection = selected(store, which)
        if not yes and not require_consent(store, which, "retry"):
            return 0
        for sweep in sweeps(store.retry_selected, selection):
            done += sweep.done
            kept += sweep.kept
    if kept:
        reason = "an unfinished job holds their unique key"
        human.complain(f"{counted(kept, 'job')} stayed: {reason}.", prefix="")
    return done
