"""``queuectl list``: jobs that match, in the columns and the order asked for."""

from __future__ import annotations

from typing import Annotated

from flam_cli.completion import complete_id
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.errors import unknown_word
from flam_cli.listing import print_jobs
from flam_cli.options import (
    Json,
    call_of,
    complete_queue,
    complete_state,
    instant_since,
    pairs,
    queue_name,
    states,
)
from flam_cli.render.columns import KNOWN, USUAL, Chosen
from flam_store.errors import SpecError
from flam_store.job import JobFilter, Order

app = new_app()

_ORDERS = tuple(order.value for order in Order)


def complete_order(incomplete: str) -> list[str]:
    """The orders that a shell may offer."""
    return [order for order in _ORDERS if order.startswith(incomplete)]


def complete_columns(incomplete: str) -> list[str]:
    """The columns that a shell may offer, behind those that stand there."""
    before, mark, begun = incomplete.rpartition(",")
    return [f"{before}{mark}{name}" for name in KNOWN if name.startswith(begun)]


@app.command(
    "list",
    epilog=examples(
        "queuectl list --state failed --state dead",
        "queuectl list --queue mail --label batch=7 --limit 0 --json",
        "queuectl list --since 2h --failed-with 137 --columns id,error,updated_at",
        "queuectl list --command rsync --order oldest",
    ),
)
def list_(  # noqa: PLR0917, each is an option
    context: Context,
    state: Annotated[
        list[str] | None,
        Option(
            "--state",
            metavar="S",
            autocompletion=complete_state,
            help="Only jobs in this state; may be repeated.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        Option(metavar="Q", autocompletion=complete_queue, help="Only of this queue."),
    ] = None,
    label: Annotated[
        list[str] | None,
        Option(metavar="K=V", help="Only with this label; may be repeated, all must match."),
    ] = None,
    since: Annotated[
        str | None,
        Option(
            metavar="D|TIME",
            help="Only those stored since then: 2h, or a time such as 2026-01-31T12:00:00Z.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        Option(metavar="TEXT", help="Only with this in their command, in any letter case."),
    ] = None,
    failed_with: Annotated[
        int | None,
        Option(
            "--failed-with",
            metavar="N",
            min=0,
            max=255,
            help="Only those whose latest attempt failed with this exit code.",
        ),
    ] = None,
    order: Annotated[
        str,
        Option(metavar="ORDER", autocompletion=complete_order, help="newest or oldest first."),
    ] = "newest",
    columns: Annotated[
        str | None,
        Option(
            metavar="A,B",
            autocompletion=complete_columns,
            help="What to tell of each: keys of a job as --json has them, such as id,state,error.",
        ),
    ] = None,
    limit: Annotated[int, Option(metavar="N", min=0, help="At most so many; 0: all.")] = 100,
    after: Annotated[
        str | None,
        Option(metavar="ID", autocompletion=complete_id, help="Go on after this job."),
    ] = None,
    json: Json = False,
) -> None:
    """List jobs, the newest first unless told otherwise."""
    which = JobFilter(
        states=states(state),
        queue=None if queue is None else queue_name(queue),
        labels=pairs("--label", label),
        since=None if since is None else instant_since(since),
        command=None if command is None else _piece(command),
        failed_with=failed_with,
    )
    print_jobs(
        call_of(context, json=json), which, limit=limit, after=after,
        order=_order(order), columns=USUAL if columns is None else _chosen(columns),
    )  # fmt: skip


def _piece(text: str) -> str:
    if not text:
        raise SpecError("is empty", field="--command")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise SpecError("is no UTF-8", field="--command")
    return text


def _order(word: str) -> Order:
    if word in ("priority", "run-at"):
        raise SpecError(
            f"{word!r} changes while jobs run, so that pages would miss some; give newest or "
            f"oldest, and sort what --json prints",
            field="--order",
        )
    if word not in _ORDERS:
        raise SpecError(unknown_word("order", word, _ORDERS), field="--order")
    return Order(word)


def _chosen(text: str) -> Chosen:
    names = tuple(word.strip().replace("-", "_") for word in text.split(","))
    for name in names:
        if name not in KNOWN:
            raise SpecError(unknown_word("column", name, KNOWN), field="--columns")
        if names.count(name) > 1:
            raise SpecError(f"{name!r} is given twice", field="--columns")
    return Chosen(names)
