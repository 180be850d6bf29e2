"""``queuectl worker``: the processes that run the jobs."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from flam_cli import sightings
from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.errors import UsageError, line
from flam_cli.options import Call, Json, call_of, complete_queue, duration_seconds, queue_names
from flam_cli.pauses import tell_of_pauses
from flam_cli.place import existing, existing_whatever_is_configured, made
from flam_cli.render import human, machine
from flam_cli.render.overview import print_workers

if TYPE_CHECKING:
    from flam_worker.pool import PoolOptions

app = new_app(
    help="The processes that run the jobs.",
    epilog=examples(
        "queuectl worker start --count 4",
        "queuectl worker list",
        "queuectl worker stop",
    ),
)


@app.command(
    epilog=examples(
        "queuectl worker start --count 4",
        "queuectl worker start --queue mail --queue reports",
        "queuectl worker start --drain --foreground",
    )
)
def start(  # noqa: PLR0917, each is an option
    context: Context,
    count: Annotated[int, Option(min=1, max=256, metavar="N", help="How many.")] = 1,
    queue: Annotated[
        list[str] | None,
        Option(
            metavar="Q",
            autocompletion=complete_queue,
            help="Take jobs of this queue only; may be repeated.",
        ),
    ] = None,
    drain: Annotated[
        bool,
        Option("--drain", help="Stop when nothing is running, due, or on its way to a retry."),
    ] = False,
    foreground: Annotated[
        bool,
        Option("--foreground", help="Stay, log to standard error, and stop on Ctrl-C."),
    ] = False,
    json: Json = False,
) -> None:
    """Start workers, and return when they are ready. A second start adds more."""  # fmt: skip
    call = call_of(context, json=json)
    if foreground and call.json:
        raise UsageError("--foreground prints no document; leave out --foreground or --json.")
    from flam_worker.pool import PoolOptions

    place = made(call)
    options = PoolOptions(
        queues=queue_names(queue),
        home=place.home.path,
        store_url=None,
        count=count,
        drain=drain,
    )
    if not call.json:
        with place.store() as store:
            tell_of_pauses(store, options.queues)
    if foreground:
        _become_the_pool(options)
    _start_in_background(call, options)


@app.command(epilog=examples("queuectl worker stop", "queuectl worker stop --now --timeout 10s"))
def stop(
    context: Context,
    now: Annotated[
        bool, Option("--now", help="End running commands; their jobs are put back.")
    ] = False,
    timeout: Annotated[
        str | None,
        Option(metavar="S", help="Wait no longer than this, then exit with 124."),
    ] = None,
    json: Json = False,
) -> None:
    """Stop all workers of this data directory on this host, and wait until they are gone.

    They take no more jobs; running ones may finish.
    """
    call = call_of(context, json=json)
    seconds = duration_seconds("--timeout", timeout)
    stopped = _stopped(call, now=now, timeout_seconds=seconds)
    if call.json:
        machine.document({"count": stopped})
    else:
        human.line(f"Stopped {_counted(stopped)}." if stopped else "No workers are running.")


@app.command("list", epilog=examples("queuectl worker list"))
def list_(context: Context, json: Json = False) -> None:
    """List the workers: process id, host, state, job, uptime, CPU and memory."""
    call = call_of(context, json=json)
    with existing(call).store() as store:
        seen = sightings.workers(store)
        if call.json:
            machine.array(map(sightings.shape, seen))
            return
        print_workers(seen, datetime.now(UTC))
        tell_of_pauses(store, None)


def _become_the_pool(options: PoolOptions) -> None:
    from flam_worker.pool import foreground_arguments

    words = foreground_arguments(options)
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606, there is no shell to start


def _start_in_background(call: Call, options: PoolOptions) -> None:
    from flam_worker.pool import start_pool

    pids = start_pool(options)
    if call.json:
        machine.document({"pids": list(pids)})
    else:
        human.line(f"Started {_counted(len(pids))}: {' '.join(map(str, pids))}")


def _stopped(call: Call, *, now: bool, timeout_seconds: float | None) -> int:
    place, problem = existing_whatever_is_configured(call)
    with place.store() as store:
        if store.workers():
            from flam_worker.pool import stop_pools

            if problem is not None:
                human.complain(line(problem))
            return stop_pools(store, now=now, timeout_seconds=timeout_seconds)
    if problem is not None:  # which may name another store
        raise problem
    return 0


def _counted(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"
