"""``queuectl enqueue``: one job, an array of them, or a file of millions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from flam_cli.declaring import Argument, Context, Option, command_of, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.filling import Fill, fill
from flam_cli.options import Call, Json, call_of, complete_queue
from flam_cli.place import made
from flam_cli.render import human, machine
from flam_store import shapes
from flam_store.errors import FlamError, SpecError
from flam_store.exits import NO
from flam_store.job import Job, JobSpec

if TYPE_CHECKING:
    from flam_store.store import Store

app = new_app()

_MAX_STDIN_BYTES = 64 << 20


@app.command(
    takes_command=("[OPTIONS]", "(SPEC | --file F | -- COMMAND [ARG]...)"),
    epilog=examples(
        'queuectl enqueue \'{"command": "convert in.png out.png", "id": "thumb-17"}\'',
        'queuectl enqueue --queue mail --delay 10m -- ./send --to "Ann Lee"',
        "queuectl enqueue --file jobs.ndjson --label batch=7",
        "queuectl enqueue --no-retry-on 2 --on-dead './tell \"$FLAM_HOOK_ERROR\"' -- ./nightly",
    ),
)
def enqueue(  # noqa: PLR0917, each is an option
    context: Context,
    spec: Annotated[
        str | None,
        Argument(
            metavar="SPEC",
            show_default=False,
            help="A JSON object, or an array of them; - reads it from standard input.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        Option(
            "--file",
            metavar="F",
            help="A file with one spec a line; - is standard input. All are stored, or none.",
        ),
    ] = None,
    id: Annotated[str | None, Option(metavar="ID", help="The job's id; otherwise a UUID.")] = None,
    queue: Annotated[
        str | None,
        Option(metavar="Q", autocompletion=complete_queue, help="The queue, otherwise default."),
    ] = None,
    priority: Annotated[
        int | None, Option(metavar="N", help="Higher runs first; 0 if unset.")
    ] = None,
    delay: Annotated[
        str | None, Option(metavar="D", help="Not before this has passed, such as 90s.")
    ] = None,
    at: Annotated[
        str | None,
        Option(metavar="TIME", help="Not before this time, such as 2026-01-31T12:00:00Z."),
    ] = None,
    timeout: Annotated[
        str | None, Option(metavar="D", help="End an attempt that runs longer, such as 5m.")
    ] = None,
    max_retries: Annotated[
        int | None,
        Option("--max-retries", metavar="N", help="Retries after the first attempt."),
    ] = None,
    after: Annotated[
        list[str] | None,
        Option(metavar="ID", help="Start once this job is completed; may be repeated."),
    ] = None,
    after_policy: Annotated[
        str | None,
        Option(
            "--after-policy",
            metavar="P",
            help="all: start once those of --after are completed; any: once they have ended.",
        ),
    ] = None,
    success_codes: Annotated[
        str | None,
        Option("--success-codes", metavar="N,N", help="Exit codes of success, otherwise 0."),
    ] = None,
    no_retry_on: Annotated[
        str | None,
        Option(
            "--no-retry-on", metavar="N,N", help="Exit codes that make it a dead letter at once."
        ),
    ] = None,
    on_success: Annotated[
        str | None,
        Option("--on-success", metavar="CMD", help="A shell command to run after success."),
    ] = None,
    on_failure: Annotated[
        str | None,
        Option("--on-failure", metavar="CMD", help="The same after each failed attempt."),
    ] = None,
    on_dead: Annotated[
        str | None,
        Option("--on-dead", metavar="CMD", help="The same when it is a dead letter."),
    ] = None,
    label: Annotated[
        list[str] | None, Option(metavar="K=V", help="A label; may be repeated.")
    ] = None,
    env: Annotated[
        list[str] | None,
        Option(
            metavar="K[=V]",
            help="A variable for the command; without a value, the caller's. May be repeated.",
        ),
    ] = None,
    cwd: Annotated[
        str | None, Option(metavar="DIR", help="The command's directory, otherwise this one.")
    ] = None,
    unique_key: Annotated[
        str | None,
        Option("--unique-key", metavar="KEY", help="At most one unfinished job has this key."),
    ] = None,
    if_absent: Annotated[
        bool,
        Option(
            "--if-absent",
            help="If the id or the unique key is taken, print the id of the job that has it.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Store jobs and print their ids.

    Options beside a SPEC or a file fill in what it leaves out.
    """
    call = call_of(context, json=json)
    command = command_of(context)
    if sum(source is not None for source in (spec, file, command)) != 1:
        raise UsageError("Give one of these: a SPEC, --file F, or -- COMMAND [ARG]...")
    filled = fill(
        id=id, queue=queue, priority=priority, delay=delay, at=at, timeout=timeout,
        max_retries=max_retries, after=after, label=label, env=env, cwd=cwd,
        unique_key=unique_key, after_policy=after_policy, success_codes=success_codes,
        no_retry_on=no_retry_on, on_success=on_success, on_failure=on_failure, on_dead=on_dead,
    )  # fmt: skip
    if file is not None:
        from flam_cli import bulk

        bulk.enqueue_file(call, file, filled, bulk.absent_ones if if_absent else bulk.all_new)
        return
    specs = filled.built(args=command) if command is not None else parsed(str(spec), filled)
    if if_absent:
        from flam_cli.absent import store_absent

        store_absent(call, specs)
    else:
        _store(call, specs)


def parsed(text: str, fill: Fill) -> JobSpec | list[JobSpec]:
    """The spec, or the array of them, in the text, or with ``-`` on standard input."""
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
        print_job(call, job)
        _tell_of_a_pause(call, store, specs)


def print_job(call: Call, job: Job) -> None:
    """Print the id of a job that is stored, or the whole of it as JSON."""
    with answering(f"The job {job.id!r} is"):
        if call.json:
            machine.document(shapes.job(job))
        else:
            human.line(job.id)


def _store_all(call: Call, specs: list[JobSpec], store: Store) -> None:
    store.enqueue_many(specs)
    print_ids(call, [str(spec.id) for spec in specs])
    _tell_of_a_pause(call, store, *specs)


def print_ids(call: Call, ids: list[str]) -> None:
    """Print the ids of jobs that are stored, a line each or as one JSON array."""
    with answering(f"All {len(ids)} jobs are"):
        if call.json:
            machine.array(ids)
        else:
            for id_ in ids:
                human.line(id_)
    if not ids:
        tell_of_none(call)


def tell_of_none(call: Call) -> None:
    """Say to a person that nothing was there to enqueue, where otherwise ids are."""
    if human.is_terminal(sys.stderr) and not call.json:
        human.complain("0 jobs enqueued.", prefix="")


def _tell_of_a_pause(call: Call, store: Store, *specs: JobSpec) -> None:
    """Only to a person who looks on: it takes one more look at the store."""
    if human.is_terminal(sys.stderr) and not call.json:
        from flam_cli.pauses import tell_of_pauses

        tell_of_pauses(store, {spec.queue for spec in specs})


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
