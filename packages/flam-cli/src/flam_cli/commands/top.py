"""``queuectl top``: the queue at work, live."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

from flam_cli import sightings
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.options import Json, call_of, duration_seconds
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.top import top_lines
from flam_cli.watching import watch_store
from flam_store import shapes
from flam_store.errors import SpecError
from flam_store.store import StoreReader

app = new_app()

_LAST = 20
_SHORTEST_SECONDS = 0.1


@app.command(epilog=examples("queuectl top", "queuectl top --interval 5s", "queuectl top --json"))
def top(
    context: Context,
    interval: Annotated[str, Option(metavar="D", help="Draw it anew so often, such as 5s.")] = "1s",
    json: Json = False,
) -> None:
    """Watch the queue: counts, rates, workers with their jobs, and what ended last.

    q or Ctrl-C ends it. Where no terminal is, it is printed once.
    """
    call = call_of(context, json=json)
    seconds = duration_seconds("--interval", interval) or 0.0
    if seconds < _SHORTEST_SECONDS:
        raise SpecError("must be at least 100ms", field="--interval")
    if not call.json and human.is_terminal(sys.stdout):
        watch_store(call, _lines, every_seconds=seconds)
        return
    with existing(call).store() as store:
        if call.json:
            machine.document(_document(store))
        else:
            human.lines(_lines(store))


def _lines(store: StoreReader) -> list[str]:
    seen = sightings.workers(store)
    now = datetime.now(UTC)
    return top_lines(store.overview(), seen, store.last_ended(limit=_LAST), now)


def _document(store: StoreReader) -> shapes.Shape:
    seen = [sightings.shape(each) for each in sightings.workers(store)]
    ended = [shapes.ended(each) for each in store.last_ended(limit=_LAST)]
    return shapes.overview(store.overview(), seen) | {"last_ended": ended}
