"""``queuectl restore``: a backup put back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from flam_cli.declaring import Argument, Context, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import made
from flam_cli.render import human, machine
from flam_store import shapes
from flam_store.copies import Restored
from flam_store.errors import SpecError
from flam_store.finding import counted

app = new_app()


@app.command(epilog=examples("queuectl worker stop && queuectl restore monday.db"))
def restore(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="What queuectl backup made.")],
    json: Json = False,
) -> None:
    """Put a backup in the place of the queue, which is kept beside it. Stop the workers first.

    FILE is checked before anything is changed. Jobs that were processing in it are recovered
    by the next workers, as after a crash. Jobs that have run since the backup was made run
    again.
    """
    call = call_of(context, json=json)
    _check_there(file)
    place = made(call)
    from flam_worker.restoring import restore as put_back

    answer = put_back(place.home.resolve_store_url(place.config, os.environ), Path(file))
    if call.json:
        machine.document(shapes.restored(answer))
    else:
        human.lines(_lines(file, answer))


def _check_there(file: str) -> None:
    """Before a data directory is made for it."""
    try:
        os.stat(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"{file}: {reason}", field="FILE") from error


def _lines(file: str, answer: Restored) -> list[str]:
    told = [f"{counted(answer.jobs, 'job')} restored from {file}"]
    if answer.processing:
        told.append(f"{answer.processing} of them processing: the next workers recover them")
    if answer.kept is not None:
        told.append(f"The queue as it was is kept in {answer.kept}")
    return told
