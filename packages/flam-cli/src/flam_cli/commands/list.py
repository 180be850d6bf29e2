"""``queuectl list``: jobs, newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from flam_cli.listing import print_jobs
from flam_cli.options import Json, call_of, complete_state, pairs, queue_name, states
from flam_cli.root import examples, new_app
from flam_store.job import JobFilter

app = new_app()


@app.command(
    "list",
    epilog=examples(
        "queuectl list --state failed --state dead",
        "queuectl list --queue mail --label batch=7 --limit 0 --json",
    ),
)
def list_(  # noqa: PLR0917, each is an option
    context: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="S",
            autocompletion=complete_state,
            help="Only jobs in this state; may be repeated.",
        ),
    ] = None,
    queue: Annotated[str | None, typer.Option(metavar="Q", help="Only of this queue.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="Only with this label; may be repeated, all must match."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="At most so many; 0: all.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Only jobs that are older than this one.")
    ] = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first."""  # fmt: skip
    which = JobFilter(
        states=states(state),
        queue=queue and queue_name(queue),
        labels=pairs("--label", label),
    )
    print_jobs(call_of(context, json=json), which, limit=limit, after=after)
