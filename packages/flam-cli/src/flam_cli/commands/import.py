# ruff: noqa: N999 - the module is named as the command
"""``queuectl import``: what ``queuectl export`` wrote, put into this queue."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.options import Json, call_of
from flam_cli.place import existing, made
from flam_cli.render import human, machine
from flam_cli.render.progress import share
from flam_store import shapes
from flam_store.errors import SpecError
from flam_store.finding import counted

if TYPE_CHECKING:
    from flam_cli.spool import Batches
    from flam_store.portable import Imported, Record

app = new_app()


@app.command(
    "import",
    epilog=examples(
        "queuectl import --dry-run jobs.ndjson",
        "ssh old queuectl export | queuectl import",
    ),
)
def import_(
    context: Context,
    file: Annotated[
        str,
        Argument(metavar="FILE", help="What queuectl export wrote; - is standard input."),
    ] = "-",
    skip_existing: Annotated[
        bool, Option("--skip-existing", help="Leave out jobs whose ids are stored already.")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check everything and store nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Store exported jobs with their ids, states and attempts; all of them, or none.

    Only of an export that you trust: its commands will be run as you. A job that was running
    has crashed, and is due if it has a retry left. What jobs printed is not part of an export.
    """
    call = call_of(context, json=json)
    place = existing(call)
    with (
        _opened(file) as source,
        _checked(source, _folder(place.home.path)) as records,
        (place if dry_run else made(call)).store() as store,
    ):
        answer = store.import_jobs(records.all(), skip_existing=skip_existing, dry_run=dry_run)
    if call.json:
        machine.document(shapes.imported(answer, dry_run=dry_run))
    else:
        human.lines(_lines(answer, "can be imported" if dry_run else "imported"))


def _lines(answer: Imported, what: str) -> Iterator[str]:
    yield f"{counted(answer.jobs, 'job')} {what}"
    if answer.interrupted:
        yield f"{answer.interrupted} of them had been running, and count as crashed"
    if answer.skipped:
        yield f"{counted(answer.skipped, 'job')} left out: the ids are stored already"


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = open(file, "rb")  # noqa: SIM115 - its own trouble, and no other, is told of it
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"{file}: {reason}", field="FILE") from error
    with source:
        yield source


@contextmanager
def _checked(source: BinaryIO, folder: Path) -> Iterator[Batches[Record]]:
    """The records; SpecError for what is wrong with one of them alone.

    No writer waits for a slow source, or while it is checked.
    """
    from flam_cli.spool import Batches, Lines, nameless
    from flam_store.portable_text import MAX_LINE_BYTES, parse_records

    size = os.fstat(source.fileno()).st_size
    lines = Lines(source, MAX_LINE_BYTES + 1)
    with nameless(folder) as file:
        checked: Batches[Record] = Batches(folder, file)
        with share("Checking") as tell:
            for batch in lines.batches(parse_records(line for _, line in lines)):
                checked.add(batch)
                tell(min(lines.bytes_read, size), size)
        yield checked


def _folder(home: Path) -> Path:
    """The data directory or, as only a whole file makes one, the folder where it would be made."""
    return next(folder for folder in (home, *home.parents) if folder.is_dir())
