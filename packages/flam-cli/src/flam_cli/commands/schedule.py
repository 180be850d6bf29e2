"""``queuectl schedule``: jobs that are enqueued again and again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated, Any

from flam_cli.borrowing import with_options_of
from flam_cli.commands.enqueue import enqueue, parsed
from flam_cli.completion import complete_schedule
from flam_cli.declaring import Argument, Context, Option, command_of, examples, new_app
from flam_cli.errors import UsageError, unknown_word
from flam_cli.filling import Fill, fill
from flam_cli.options import Call, Json, call_of
from flam_cli.place import existing, made
from flam_cli.render import human, machine
from flam_cli.whoami import whoami
from flam_store import shapes
from flam_store.errors import SpecError
from flam_store.job import JobSpec
from flam_store.schedule import CatchUp, Overlap, Schedule, ScheduleSpec
from flam_store.store import Store, StoreReader

app = new_app(
    help="Jobs that are enqueued again and again, by the workers that run.",
    epilog=examples(
        "queuectl schedule add nightly --cron '30 2 * * *' -- ./backup",
        "queuectl schedule show nightly",
    ),
)

_NOT_LENT: dict[str, Any] = {
    "id": None,
    "delay": None,
    "at": None,
    "after": None,
    "after_policy": None,
}
"""Options of ``enqueue`` that make no sense for a job that comes again and again."""

_UPCOMING = 5
_TICKS = 10

_NewName = Annotated[str, Argument(metavar="NAME", help="The schedule's name.")]
_Name = Annotated[
    str,
    Argument(metavar="NAME", autocompletion=complete_schedule, help="The schedule's name."),
]


@app.command(
    takes_command=("[OPTIONS]", "NAME", "(SPEC | -- COMMAND [ARG]...)"),
    epilog=examples(
        "queuectl schedule add nightly --cron '30 2 * * *' --timezone Europe/Berlin -- ./backup",
        "queuectl schedule add poll --cron '*/5 * * * *' '{\"command\": \"./poll\"}'",
        "queuectl schedule add report --cron @monthly --catch-up last --queue mail -- ./report",
    ),
)
@with_options_of(enqueue, but=("file", "if_absent", *_NOT_LENT))
def add(  # noqa: PLR0917, each is an option
    context: Context,
    name: _NewName,
    spec: Annotated[
        str | None,
        Argument(
            metavar="SPEC",
            show_default=False,
            help="The job as a JSON object; - reads it from standard input.",
        ),
    ] = None,
    cron: Annotated[
        str | None,
        Option(
            metavar="EXPR",
            help="Minute, hour, day of the month, month and day of the week, such as "
            "'*/5 * * * *', or @hourly, @daily, @weekly, @monthly, @yearly.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        Option(metavar="Z", help="Such as Europe/Berlin; this host's if unset, else UTC."),
    ] = None,
    overlap: Annotated[
        str,
        Option(metavar="allow|skip", help="skip: not while an earlier job of it is unfinished."),
    ] = Overlap.ALLOW.value,
    catch_up: Annotated[
        str,
        Option(
            "--catch-up", metavar="none|last", help="last: when ticks were missed, run the last."
        ),
    ] = CatchUp.NONE.value,
    json: Json = False,
    **options: Any,
) -> None:
    """Add a schedule. Its first tick is the next one from now.

    While workers run, each tick enqueues a job, which has the label schedule=NAME.
    """
    call = call_of(context, json=json)
    filled = fill(**_NOT_LENT, **options)
    if cron is None:
        raise UsageError("Say when: --cron '*/5 * * * *', or --cron @daily.")
    wanted = ScheduleSpec(
        name=name,
        cron=cron,
        timezone=_local_zone() if timezone is None else timezone,
        overlap=Overlap(_word("--overlap", overlap, tuple(Overlap))),
        catch_up=CatchUp(_word("--catch-up", catch_up, tuple(CatchUp))),
        job=_job(spec, command_of(context), filled),
    )
    with made(call).store() as store:
        _answer(call, store, store.add_schedule(wanted))


@app.command("list", epilog=examples("queuectl schedule list"))
def list_(context: Context, json: Json = False) -> None:
    """List the schedules: when each comes next, and what it enqueues."""
    call = call_of(context, json=json)
    with existing(call).store() as store:
        schedules = store.schedules()
        if call.json:
            machine.array(map(shapes.schedule, schedules))
        else:
            from flam_cli.render.schedules import print_schedules

            print_schedules(schedules, datetime.now(UTC))
        _hint(store, schedules)


@app.command(epilog=examples("queuectl schedule show nightly"))
def show(context: Context, name: _Name, json: Json = False) -> None:
    """Show a schedule, its next five ticks, and what became of the last ten."""
    call = call_of(context, json=json)
    with existing(call).store() as store:
        schedule = store.schedule(name)
        ticks = store.ticks(name, limit=_TICKS)
        upcoming = schedule.upcoming(_UPCOMING)
        if call.json:
            machine.document(shapes.schedule_with_ticks(schedule, upcoming, ticks))
        else:
            from flam_cli.render.schedules import print_schedule

            print_schedule(schedule, upcoming, ticks)
        _hint(store, [schedule])


@app.command(epilog=examples("queuectl schedule pause nightly"))
def pause(context: Context, name: _Name, json: Json = False) -> None:
    """Let no tick of it come until it is resumed; its jobs go on."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        _answer(call, store, store.pause_schedule(name, by=whoami()))


@app.command(epilog=examples("queuectl schedule resume nightly"))
def resume(context: Context, name: _Name, json: Json = False) -> None:
    """End its pause; the ticks of the pause are not made up for."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        _answer(call, store, store.resume_schedule(name))


@app.command(epilog=examples("queuectl schedule remove nightly"))
def remove(context: Context, name: _Name, json: Json = False) -> None:
    """Remove it; jobs that it has enqueued stay."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        schedule = store.schedule(name)
        store.remove_schedule(name)
    if call.json:
        machine.document(shapes.schedule(schedule))
    else:
        human.line(f"{name}: removed")


@app.command(epilog=examples("queuectl schedule run nightly"))
def run(context: Context, name: _Name, json: Json = False) -> None:
    """Enqueue its job now, whatever the time, and print the job's id."""
    call = call_of(context, json=json)
    with made(call).store() as store:
        job = store.run_schedule(name)
    if call.json:
        machine.document(shapes.job(job))
    else:
        human.line(job.id)


def _job(text: str | None, command: tuple[str, ...] | None, filled: Fill) -> JobSpec:
    if command is not None and text is None:
        return filled.built(args=command)
    if text is None or command is not None:
        raise UsageError("Give one of these: a SPEC, or -- COMMAND [ARG]...")
    found = parsed(text, filled)
    if isinstance(found, list):
        raise SpecError("a schedule has one job: a JSON object, and no array")
    return found


def _word(option: str, word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise SpecError(unknown_word("choice", word, known), field=option)
    return word


def _local_zone() -> str:
    from flam_store.zones import local_zone

    return local_zone(os.environ)


def _answer(call: Call, store: Store, schedule: Schedule) -> None:
    """Tell what the schedule is now, and the supervisors that it has changed."""
    if store.workers():
        from flam_worker.watchers import tell

        tell(store)
    if call.json:
        machine.document(shapes.schedule(schedule))
    else:
        from flam_cli.render.schedules import schedule_line

        human.line(schedule_line(schedule, datetime.now(UTC)))
    _hint(store, [schedule])


def _hint(store: StoreReader, schedules: Any) -> None:
    """Say so when a schedule waits and nobody is there to enqueue its jobs."""
    if not any(each.next_at for each in schedules):
        return
    from flam_worker.watchers import is_watched

    if not is_watched(store):
        told = "no worker runs, and so nothing is enqueued: queuectl worker start"
        human.complain(told, prefix="")
