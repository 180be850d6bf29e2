"""``queuectl export``: jobs with their whole history, to take elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Annotated, BinaryIO

from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.options import Json, call_of, complete_state, pairs, queue_name, states
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.progress import share
from flam_store.finding import counted
from flam_store.job import JobFilter

app = new_app()


@app.command(
    epilog=examples(
        "queuectl export jobs.ndjson",
        "queuectl export --state dead --queue mail | gzip > dead.ndjson.gz",
    )
)
def export(  # noqa: PLR0917, each is an option
    context: Context,
    file: Annotated[
        str | None,
        Argument(
            metavar="FILE",
            show_default=False,
            help="A new file; otherwise, or with -, standard output.",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        Option(
            "--state",
            metavar="S",
            autocompletion=complete_state,
            help="Only jobs in this state; may be repeated.",
        ),
    ] = None,
    queue: Annotated[str | None, Option(metavar="Q", help="Only of this queue.")] = None,
    label: Annotated[
        list[str] | None,
        Option(metavar="K=V", help="Only with this label; may be repeated, all must match."),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite FILE, at once.")] = False,
    json: Json = False,
) -> None:
    """Write jobs with their attempts as lines of JSON, the oldest first. Workers go on meanwhile.

    It holds all that is needed to run them again, the values of env and stdin in plain: keep
    it as a secret. FILE has mode 0600, and its name only when it is complete. What jobs printed
    is not in it. "queuectl import" reads it.
    """
    call = call_of(context, json=json)
    file = None if file == "-" else file
    if file is None and call.json:
        raise UsageError("An export is lines of JSON already; leave out --json, or name a FILE.")
    which = JobFilter(
        states=states(state),
        queue=None if queue is None else queue_name(queue),
        labels=pairs("--label", label),
    )
    with existing(call).store() as store, share("Exporting") as tell:
        from flam_store.portable import lines

        export_lines = lines(store.export(which, progress=tell))
        if file is None:
            _written(export_lines, sys.stdout.buffer)
            return
        jobs = _in_file(export_lines, file, force=force)
    if call.json:
        machine.document({"path": os.path.abspath(file), "jobs": jobs})
    else:
        human.line(f"{file}: {counted(jobs, 'job')}")


def _written(lines: Iterator[bytes], out: BinaryIO) -> int:
    """Write the lines; how many of them are jobs."""
    count = 0
    for line in lines:
        out.write(line)
        count += 1
    out.flush()
    return count - 2  # the first line and the last are none


def _in_file(lines: Iterator[bytes], file: str, *, force: bool) -> int:
    from flam_cli.files import new_private_file

    with new_private_file(file, replace=force) as out:
        return _written(lines, out)
