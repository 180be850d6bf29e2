"""``queuectl dlq``: the dead letter queue, the jobs that are not retried any more."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from flam_cli.choosing import consented
from flam_cli.completion import complete_dead_letter
from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.deleting import answer, purge_all, tell_what_stays
from flam_cli.errors import UsageError
from flam_cli.listing import print_jobs
from flam_cli.options import Call, Json, call_of
from flam_cli.place import Place, existing, made
from flam_cli.render import human
from flam_cli.several import print_states, try_each
from flam_store.job import JobFilter
from flam_store.state import State

app = new_app(
    help="The dead letters: jobs that are not retried any more.",
    epilog=examples(
        "queuectl dlq list",
        "queuectl dlq retry thumb-17",
        "queuectl dlq purge",
    ),
)

_DEAD = JobFilter(states=(State.DEAD,))
_CHUNK = 500


@app.command("list", epilog=examples("queuectl dlq list"))
def list_(
    context: Context,
    limit: Annotated[int, Option(metavar="N", min=0, help="At most so many; 0: all.")] = 100,
    after: Annotated[
        str | None,
        Option(
            metavar="ID",
            autocompletion=complete_dead_letter,
            help="Only jobs that are older than this one.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the dead letters, the newest first."""
    print_jobs(call_of(context, json=json), _DEAD, limit=limit, after=after)


@app.command(
    epilog=examples("queuectl dlq retry thumb-17 thumb-18", "queuectl dlq retry --all --yes")
)
def retry(
    context: Context,
    ids: Annotated[
        list[str] | None,
        Argument(
            metavar="ID...",
            autocompletion=complete_dead_letter,
            help="The jobs.",
            show_default=False,
        ),
    ] = None,
    all_: Annotated[bool, Option("--all", help="Every dead letter.")] = False,
    yes: Annotated[
        bool, Option("--yes", "-y", help="Do not ask. Only a terminal is asked.")
    ] = False,
    json: Json = False,
) -> None:
    """Make dead letters pending again, with their attempts set to 0."""
    call = call_of(context, json=json)
    if bool(ids) == all_:
        raise UsageError("Give the ids of dead letters, or --all.")
    if ids:
        raise typer.Exit(_retry_named(call, ids))
    place = made(call)
    meant = yes or not sys.stdin.isatty() or _is_to_retry(place)
    answer(call, _retry_all(place) if meant else 0, "pending again")


@app.command(epilog=examples("queuectl dlq purge --yes"))
def purge(
    context: Context,
    yes: Annotated[
        bool, Option("--yes", "-y", help="Do not ask. Only a terminal is asked.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete the dead letters and their output, for good.

    One stays while a blocked job needs its success: retry it, or cancel that one.
    """
    call = call_of(context, json=json)
    place = made(call)
    meant = yes or not sys.stdin.isatty() or _is_to_purge(call)
    answer(call, purge_all(place, _DEAD, timedelta(0)) if meant else 0, "deleted")
    tell_what_stays(call, place, _DEAD)


def _retry_named(call: Call, ids: list[str]) -> int:
    """Try them all; the exit code of the first that failed."""
    with made(call).store() as store:
        jobs, codes = try_each(store, ids, store.retry_dead_letter)
    return print_states(call, jobs, codes)


def _is_to_retry(place: Place) -> bool:
    with place.store() as store:
        return consented(store, _DEAD, "Retry {jobs}?")


def _retry_all(place: Place) -> int:
    with place.store() as store:
        # Those that are there now: what dies again meanwhile is not retried for ever.
        left = store.overview().counts[State.DEAD]
        retried = 0
        while left > 0 and (some := store.retry_dead(limit=min(left, _CHUNK))):
            retried += some
            left -= some
    return retried


def _is_to_purge(call: Call) -> bool:
    """Whether there are any, and the person wants it; a no ends the command with 1."""
    with existing(call).store() as store:
        dead = store.overview().counts[State.DEAD]
    if not dead:
        return False
    letters = "1 dead letter and its" if dead == 1 else f"{dead} dead letters and their"
    print(f"Delete {letters} output? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        human.complain("Nothing was deleted.", prefix="")
        raise typer.Exit(1)
    return True
