"""``queuectl doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

import typer

from flam_cli.declaring import Context, Option, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import home_of
from flam_cli.render import machine
from flam_cli.render.checkup import print_finding, print_repair, print_sum
from flam_store import shapes
from flam_store.exits import NO
from flam_store.finding import Level

app = new_app()

T = TypeVar("T")


@app.command(
    epilog=examples("queuectl doctor", "queuectl doctor --repair", "queuectl doctor --json")
)
def doctor(
    context: Context,
    repair: Annotated[
        bool, Option("--repair", help="First put right what is safe to put right.")
    ] = False,
    json: Json = False,
) -> None:
    """Check everything, and say what is wrong and how to mend it; exit with 1 on a fault.

    Without --repair nothing is made or changed. With it, files are made private, counters and
    flags set right, what dead workers held is put back as a pool would do it, processes that
    ended attempts left are ended, and output of purged jobs is deleted. No job ever is.
    """
    call = call_of(context, json=json)
    home = home_of(call)
    from flam_worker import checkup

    repairs = _each(checkup.repair(home, os.environ) if repair else (), call.json, print_repair)
    findings = _each(checkup.examine(home, os.environ), call.json, print_finding)
    if call.json:
        machine.document(shapes.checkup(findings, repairs))
    else:
        print_sum(findings)
    if any(each.level is Level.FAIL for each in findings):
        raise typer.Exit(NO)


def _each(them: Iterable[T], quiet: bool, tell: Callable[[T], None]) -> list[T]:
    """All of them, each told as soon as it is there."""
    done = []
    for each in them:
        done.append(each)
        if not quiet:
            tell(each)
    return done
