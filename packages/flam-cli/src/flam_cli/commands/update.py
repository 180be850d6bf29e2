"""``queuectl update``: change what jobs that wait ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.filling import duration, instant, said_of_options
from flam_cli.options import Json, call_of, pairs
from flam_cli.place import made
from flam_cli.several import print_states, try_each
from flam_store.change import UNCHANGED, JobChange, Unchanged

app = new_app()

_OPTIONS = "--priority, --queue, --delay, --at, --timeout, --max-retries, --label, --unlabel"


@app.command(
    epilog=examples(
        "queuectl update thumb-17 --priority 10 --delay 0",
        "queuectl update thumb-17 thumb-18 --queue night --timeout none --label batch=8",
    )
)
def update(  # noqa: PLR0917, each is an option
    context: Context,
    ids: Annotated[list[str], Argument(metavar="ID...", help="The jobs.")],
    priority: Annotated[int | None, Option(metavar="N", help="Higher runs first.")] = None,
    queue: Annotated[str | None, Option(metavar="Q", help="The queue.")] = None,
    delay: Annotated[
        str | None, Option(metavar="D", help="Due when this has passed; 0: now.")
    ] = None,
    at: Annotated[
        str | None, Option(metavar="TIME", help="Due then, such as 2026-01-31T12:00:00Z.")
    ] = None,
    timeout: Annotated[
        str | None,
        Option(metavar="D", help="End an attempt that runs longer; none: no limit."),
    ] = None,
    max_retries: Annotated[
        int | None,
        Option("--max-retries", metavar="N", help="Retries after the first attempt."),
    ] = None,
    label: Annotated[
        list[str] | None, Option(metavar="K=V", help="Set a label; may be repeated.")
    ] = None,
    unlabel: Annotated[
        list[str] | None, Option(metavar="K", help="Take a label away; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Change jobs that are pending, blocked or failed.

    What is not named stays as it is. Jobs that run or are finished are refused.
    """
    call = call_of(context, json=json)
    told = (priority, queue, delay, at, timeout, max_retries, label, unlabel)
    if all(each is None or each == [] for each in told):
        raise UsageError(f"Nothing is to be changed; give at least one of {_OPTIONS}.")
    with said_of_options():
        change = JobChange(
            priority=priority,
            queue=queue,
            delay=duration("delay", delay),
            run_at=instant(at),
            timeout=_timeout(timeout),
            max_retries=max_retries,
            labels=pairs("labels", label),
            unlabel=tuple(unlabel or ()),
        )
    with made(call).store() as store:
        jobs, codes = try_each(store, ids, lambda id_: store.update(id_, change))
    raise typer.Exit(print_states(call, jobs, codes))


def _timeout(text: str | None) -> timedelta | Unchanged | None:
    if text is None:
        return UNCHANGED
    return None if text == "none" else duration("timeout", text)
