"""``queuectl queue``: pause, resume and limit queues, over all workers."""

from __future__ import annotations

from typing import Annotated

from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.options import Call, Json, call_of, complete_queue, queue_name
from flam_cli.place import existing, made
from flam_cli.render import human, machine
from flam_cli.render.overview import print_queues, queue_line
from flam_cli.whoami import whoami
from flam_store import shapes
from flam_store.overview import QueueInfo

app = new_app(
    help="The queues: pause, resume and limit them, over all workers.",
    epilog=examples(
        'queuectl queue pause mail --note "relay is down"',
        "queuectl queue set mail --concurrency 2",
        "queuectl queue list",
    ),
)

_Name = Annotated[str, Argument(metavar="Q", autocompletion=complete_queue, help="The queue.")]


@app.command("list", epilog=examples("queuectl queue list"))
def list_(context: Context, json: Json = False) -> None:
    """List the queues: jobs of each state, pause and limit."""
    call = call_of(context, json=json)
    with existing(call).store() as store:
        queues = store.overview().queues
    if call.json:
        machine.array(map(shapes.queue, queues))
    else:
        print_queues(queues)


@app.command(epilog=examples('queuectl queue pause mail --note "relay is down"'))
def pause(
    context: Context,
    name: _Name,
    note: Annotated[str | None, Option(metavar="TEXT", help="Why, for others.")] = None,
    json: Json = False,
) -> None:
    """Start no more jobs of a queue; running ones go on."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        _answer(call, store.pause(queue_name(name, said_by="Q"), by=whoami(), note=note))


@app.command(epilog=examples("queuectl queue resume mail"))
def resume(context: Context, name: _Name, json: Json = False) -> None:
    """End the pause of a queue."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        _answer(call, store.resume(queue_name(name, said_by="Q")))


@app.command("set", epilog=examples("queuectl queue set mail --concurrency 2"))
def set_(
    context: Context,
    name: _Name,
    concurrency: Annotated[
        str | None,
        Option(metavar="N", help="Run at most so many at once; none: no limit."),
    ] = None,
    json: Json = False,
) -> None:
    """Limit how many jobs of a queue run at once, over all workers."""
    call = call_of(context, json=json)
    if concurrency is None:
        raise UsageError("Say what to set: --concurrency N, or --concurrency none.")
    with made(call).store() as store:
        _answer(call, store.limit(queue_name(name, said_by="Q"), _limit(concurrency)))


def _limit(text: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise UsageError(f"--concurrency: {text!r} is no number from 1 on, and not none.")
    return int(text)


def _answer(call: Call, queue: QueueInfo) -> None:
    if call.json:
        machine.document(shapes.queue(queue))
    else:
        human.line(queue_line(queue))
