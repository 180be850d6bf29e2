"""``queuectl backup``: a copy of the queue while it is at work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.progress import share
from flam_store import shapes
from flam_store.errors import StoreError
from flam_store.finding import counted
from flam_store.opening import database_exists, without_password

app = new_app()


@app.command(
    epilog=examples("queuectl backup monday.db", "queuectl backup --force /mnt/backups/queue.db")
)
def backup(
    context: Context,
    file: Annotated[str, Argument(metavar="FILE", help="The backup; a new file.")],
    force: Annotated[bool, Option("--force", help="Overwrite FILE, at once.")] = False,
    json: Json = False,
) -> None:
    """Copy the queue, as it is at this moment, into one file. Workers go on meanwhile.

    FILE has its name only when it is complete, checked and on the disk. The output of jobs is
    not in it: it lies in logs/ of the data directory. "queuectl restore" is the way back.
    """
    call = call_of(context, json=json)
    place = existing(call)
    url = place.home.resolve_store_url(place.config, os.environ)
    if not database_exists(url):
        raise StoreError(without_password(url), "is not there: there is nothing to back up.")
    with place.store() as store, share("Copying") as tell:
        made = store.backup(Path(file), replace=force, progress=tell)
    if call.json:
        machine.document(shapes.backup(made, os.path.abspath(file)))
    else:
        human.line(f"{file}: {counted(made.jobs, 'job')}, {human.size(made.size_bytes)}")
