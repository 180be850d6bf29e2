"""``queuectl stats``: how attempts ended, and what they took."""

from __future__ import annotations

from typing import Annotated

from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.errors import unknown_word
from flam_cli.options import Json, call_of, complete_queue, instant_since, queue_name
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.stats import print_statistics
from flam_store import shapes
from flam_store.errors import SpecError
from flam_store.measures import By

app = new_app()

_WORDS = tuple(by.value for by in By)


def complete_by(incomplete: str) -> list[str]:
    """What a shell may offer."""
    return [word for word in _WORDS if word.startswith(incomplete)]


@app.command(
    epilog=examples("queuectl stats", "queuectl stats --since 7d --by command --queue mail")
)
def stats(
    context: Context,
    queue: Annotated[
        str | None,
        Option(metavar="Q", autocompletion=complete_queue, help="Only of this queue."),
    ] = None,
    since: Annotated[
        str,
        Option(
            metavar="D|TIME",
            help="What ended since then: 24h, or a time such as 2026-01-31T12:00:00Z.",
        ),
    ] = "24h",
    by: Annotated[
        str,
        Option(metavar="BY", autocompletion=complete_by, help="Count by queue or command."),
    ] = "queue",
    json: Json = False,
) -> None:
    """Count attempts and failures, and measure how long they waited and ran.

    Percentiles are by the nearest rank: 95 % of all took no longer than p95. Attempts that were
    cancelled or put back are counted and not measured.
    """
    call = call_of(context, json=json)
    at = instant_since(since)
    wanted = None if queue is None else queue_name(queue)
    with existing(call).store() as store:
        told = store.statistics(by=_by(by), since=at, queue=wanted)
    if call.json:
        machine.document(shapes.statistics(told))
    else:
        print_statistics(told, by)
    if told.cut:
        human.complain(
            f"only the newest 100,000 ends are counted, from {shapes.instant(told.since)} on.",
            prefix="",
        )


def _by(word: str) -> By:
    if word not in _WORDS:
        raise SpecError(unknown_word("count", word, _WORDS), field="--by")
    return By(word)
