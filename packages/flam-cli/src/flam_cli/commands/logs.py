"""``queuectl logs``: what a job wrote."""

from __future__ import annotations

from typing import Annotated

from flam_cli.completion import complete_id
from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.options import Json, call_of
from flam_cli.output import Follower, Reader
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.output import output_sink

app = new_app()


@app.command(
    epilog=examples(
        "queuectl logs thumb-17",
        "queuectl logs thumb-17 --attempt 1 --tail 20",
        "queuectl logs --follow",
    )
)
def logs(  # noqa: PLR0917, each is an option
    context: Context,
    id: Annotated[
        str | None,
        Argument(
            metavar="ID",
            show_default=False,
            autocompletion=complete_id,
            help="The job; otherwise the one started last.",
        ),
    ] = None,
    attempt: Annotated[
        int | None,
        Option(min=1, metavar="N", help="This attempt; otherwise the latest."),
    ] = None,
    follow: Annotated[
        bool,
        Option("--follow", "-f", help="Go on until the job is finished, over its retries."),
    ] = False,
    tail: Annotated[
        int | None, Option(min=0, metavar="N", help="Begin N lines before the end.")
    ] = None,
    json: Json = False,
) -> None:
    """Print what an attempt of a job wrote.

    Byte for byte into a pipe or a file; on a terminal of all sequences only colours pass.

    With --json an object with id, attempt, state, bytes and text, in which bytes that are not
    UTF-8 are replaced.
    """
    call = call_of(context, json=json)
    if follow and call.json:
        raise UsageError("--follow prints no document; leave out --follow or --json.")
    place = existing(call)
    with place.store() as store:
        reader = Reader(store, place.logs)
        if call.json:
            machine.document(reader.document(reader.find(id, attempt), tail))
            return
        with output_sink() as write:
            if follow and attempt is None:
                Follower(reader, write).all(reader.job(id), tail)
            elif follow:
                Follower(reader, write).one(reader.find(id, attempt), tail)
            else:
                found = reader.find(id, attempt)
                with reader.opened(found, tail) as source:
                    for piece in source.pieces():
                        write(piece)
                if told := reader.why_silent(found):
                    human.complain(told, prefix="")
