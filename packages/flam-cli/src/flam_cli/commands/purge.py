"""``queuectl purge``: delete finished jobs and their output."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

from flam_cli.choosing import consented
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.deleting import answer, purge_all, tell_what_stays
from flam_cli.errors import UsageError
from flam_cli.options import (
    Json,
    call_of,
    complete_finished,
    duration_seconds,
    pairs,
    queue_name,
    states,
)
from flam_cli.place import Place, made
from flam_store.job import JobFilter
from flam_store.state import FINISHED

app = new_app()


@app.command(
    epilog=examples(
        "queuectl purge --state completed --older-than 30d",
        "queuectl purge --state dead --state cancelled --queue mail",
    )
)
def purge(  # noqa: PLR0917, each is an option
    context: Context,
    state: Annotated[
        list[str] | None,
        Option(
            "--state",
            metavar="S",
            autocompletion=complete_finished,
            help="Finished jobs in this state; may be repeated.",
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        Option(metavar="D", help="Only those that finished so long ago, such as 30d."),
    ] = None,
    queue: Annotated[str | None, Option(metavar="Q", help="Only of this queue.")] = None,
    label: Annotated[
        list[str] | None,
        Option(metavar="K=V", help="Only with this label; may be repeated, all must match."),
    ] = None,
    yes: Annotated[
        bool, Option("--yes", "-y", help="Do not ask. Only a terminal is asked.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete finished jobs and their output, for good.

    A dead or cancelled job stays while a blocked one needs its success.
    """
    call = call_of(context, json=json)
    chosen = states(state, FINISHED)
    if not chosen:
        raise UsageError("Say which: --state completed, --state dead or --state cancelled.")
    for each in chosen:
        if each not in FINISHED:
            raise UsageError(f"--state: {each.value} jobs are not finished; cancel them first.")
    age = timedelta(seconds=duration_seconds("--older-than", older_than) or 0)
    which = JobFilter(
        states=chosen,
        queue=None if queue is None else queue_name(queue),
        labels=pairs("--label", label),
    )
    place = made(call)
    meant = yes or not sys.stdin.isatty() or _is_to_purge(place, which, older_than)
    answer(call, purge_all(place, which, age) if meant else 0, "deleted")
    if not age:  # with one, what stays may only be too young
        tell_what_stays(call, place, which)


def _is_to_purge(place: Place, which: JobFilter, older_than: str | None) -> bool:
    old = f", of {{jobs}}, what finished {older_than} ago or before," if older_than else " {jobs}"
    with place.store() as store:
        return consented(store, which, f"Delete{old} and the output?")
