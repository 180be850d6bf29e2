"""``queuectl retry``: run finished jobs again, or failed ones now."""

from __future__ import annotations

from typing import Annotated

import typer

from flam_cli.completion import complete_id
from flam_cli.options import Json, call_of
from flam_cli.place import made
from flam_cli.root import examples, new_app
from flam_cli.several import print_states, try_each

app = new_app()


@app.command(epilog=examples("queuectl retry thumb-17 thumb-18"))
def retry(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", autocompletion=complete_id, help="The jobs.")
    ],
    json: Json = False,
) -> None:
    """Make jobs pending again with 0 attempts, or due now.

    A dead, cancelled or completed job becomes pending; a failed one does not wait any longer.
    """
    call = call_of(context, json=json)
    with made(call).store() as store:
        jobs, codes = try_each(store, ids, store.retry)
    raise typer.Exit(print_states(call, jobs, codes))
