"""``queuectl status``: the queue at a glance, once or again and again."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from flam_cli import sightings
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.options import Json, call_of
from flam_cli.place import existing
from flam_cli.render import human, machine, overview
from flam_cli.watching import watch_store
from flam_store import shapes

if TYPE_CHECKING:
    from flam_store.store import StoreReader

app = new_app()

_EVERY_SECONDS = 1.0


@app.command(epilog=examples("queuectl status", "queuectl status --watch"))
def status(
    context: Context,
    watch: Annotated[
        bool,
        Option("--watch", help="On a terminal, draw it anew every second until q or Ctrl-C."),
    ] = False,
    json: Json = False,
) -> None:
    """Count the jobs of every state.

    Also tells of workers, the oldest due job and rates.
    """
    call = call_of(context, json=json)
    if watch and call.json:
        raise UsageError("--watch is for a person; leave out --watch or --json.")
    if watch and human.is_terminal(sys.stdout):
        watch_store(call, _lines, every_seconds=_EVERY_SECONDS)
        return
    with existing(call).store() as store:
        if call.json:
            seen = [sightings.shape(each) for each in sightings.workers(store)]
            machine.document(shapes.overview(store.overview(), seen))
        else:
            human.lines(_lines(store))


def _lines(store: StoreReader) -> list[str]:
    seen = sightings.workers(store)
    return overview.overview_lines(store.overview(), seen, datetime.now(UTC))
