"""``queuectl enqueue``: one job, an array of them, or a file of millions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from flam_cli.errors import UsageError
from flam_cli.filling import Fill, fill
from flam_cli.options import Call, Json, call_of, complete_queue
from flam_cli.place import made
from flam_cli.render import human, machine
from flam_cli.root import examples, new_app
from flam_store import shapes
from flam_store.errors import FlamError, SpecError
from flam_store.exits import NO
from flam_store.job import JobSpec

app = new_app()

_COMMAND = "flam_cli.command"
_MAX_STDIN_BYTES = 64 << 20


class _Enqueue(TyperCommand):
    """What follows the first ``--`` is the job's command, word for word, also a second ``--``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            mark = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[mark + 1 :])
            args = args[:mark]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return ["[OPTIONS]", "(SPEC | --file F | -- COMMAND [ARG]...)"]


@app.command(
    cls=_Enqueue,
    epilog=examples(
        'queuectl enqueue \'{"command": "convert in.png out.png", "id": "thumb-17"}\'',
        'queuectl enqueue --queue mail --delay 10m -- ./send --to "Ann Lee"',
        "queuectl enqueue --file jobs.ndjson --label batch=7",
    ),
)
def enqueue(  # noqa: PLR0917, each is an option
    context: typer.Context,
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="SPEC",
            show_default=False,
            help="A JSON object, or an array of them; - reads it from standard input.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="F",
            help="A file with one spec a line; - is standard input. All are stored, or none.",
        ),
    ] = None,
    id: Annotated[str | None, typer.Option(help="The job's id; otherwise a UUID.")] = None,
    queue: Annotated[
        str | None,
        typer.Option(autocompletion=complete_queue, help="The queue, otherwise default."),
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Higher runs first; 0 if unset.")] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="D", help="Not before this has passed, such as 90s.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not before this time, such as 2026-01-31T12:00:00Z."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="D", help="End an attempt that runs longer, such as 5m.")
    ] = None,
    max_retries: Annotated[
        int | None, typer.Option("--max-retries", help="Retries after the first attempt.")
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Start once this job is completed; may be repeated."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A label; may be repeated.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="K[=V]",
            help="A variable for the command; without a value, the caller's. May be repeated.",
        ),
    ] = None,
    cwd: Annotated[
        str | None, typer.Option(metavar="DIR", help="The command's directory, otherwise this one.")
    ] = None,
    unique_key: Annotated[
        str | None,
        typer.Option("--unique-key", help="At most one unfinished job has this key."),
    ] = None,
    json: Json = False,
) -> None:
    """Store jobs and print their ids.

    Options beside a SPEC or a file fill in what it leaves out.
    """
    call = call_of(context, json=json)
    command: tuple[str, ...] | None = context.meta.get(_COMMAND)
    if sum(source is not None for source in (spec, file, command)) != 1:
        raise UsageError("Give one of these: a SPEC, --file F, or -- COMMAND [ARG]...")
    filled = fill(
        id=id, queue=queue, priority=priority, delay=delay, run_at=at, timeout=timeout,
        max_retries=max_retries, after=after, labels=label, env=env, cwd=cwd,
        unique_key=unique_key,
    )  # fmt: skip
    if file is not None:
        from flam_cli.bulk import enqueue_file

        enqueue_file(call, file, filled)
    elif command is not None:
        _store(call, filled.built(args=command))
    elif spec is not None:
        _store(call, _parsed(spec, filled))


def _parsed(text: str, fill: Fill) -> JobSpec | list[JobSpec]:
    from flam_store.spec import parse_specs

    if text != "-" and text.lstrip()[:1] not in ("{", "["):
        told = f"{text[:60]!r} is no JSON object or array"
        raise SpecError(f"{told}; a command stands behind --: queuectl enqueue -- COMMAND")
    found = parse_specs(_standard_input() if text == "-" else text, **fill.defaults)
    return [*map(fill.placed, found)] if isinstance(found, list) else fill.placed(found)


def _standard_input() -> bytes:
    text = sys.stdin.buffer.read(_MAX_STDIN_BYTES + 1)
    if len(text) > _MAX_STDIN_BYTES:
        raise SpecError("is longer than 64 MiB; give one spec a line to --file -", field="SPEC")
    return text


def _store(call: Call, specs: JobSpec | list[JobSpec]) -> None:
    with made(call).store() as store:
        if isinstance(specs, list):
            _store_all(call, [spec.named() for spec in specs], store)
            return
        job = store.enqueue(specs)
    with answering(f"The job {job.id!r} is"):
        if call.json:
            machine.document(shapes.job(job))
        else:
            human.line(job.id)


def _store_all(call: Call, specs: list[JobSpec], store: Any) -> None:
    store.enqueue_many(specs)
    ids = [str(spec.id) for spec in specs]
    with answering(f"All {len(ids)} jobs are"):
        if call.json:
            machine.array(ids)
        else:
            for id_ in ids:
                human.line(id_)


class _Unanswered(FlamError):
    """Everything is stored, and the caller was not told."""

    exit_code = NO

    def __init__(self, jobs: str, reason: str) -> None:
        super().__init__(f"{jobs} stored, but standard output cannot be written: {reason}.")


@contextmanager
def answering(jobs: str) -> Iterator[None]:
    """Write the answer out now; whoever sees a failure is told that ``jobs`` are stored."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _Unanswered(jobs, str(error.strerror)) from error
