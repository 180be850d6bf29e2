"""``queuectl run``: enqueue a job, show what it writes, and exit as it does."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Annotated, Any

import attrs
import typer

from flam_cli.borrowing import with_options_of
from flam_cli.commands.cancel import cancelled
from flam_cli.commands.enqueue import enqueue, parsed
from flam_cli.declaring import Argument, Context, Option, command_of, examples, new_app
from flam_cli.errors import UsageError
from flam_cli.filling import fill
from flam_cli.options import Json, call_of, duration_seconds
from flam_cli.output import Follower, OutputGone, Reader
from flam_cli.place import Place, made
from flam_cli.render import human, machine
from flam_cli.render.output import output_sink
from flam_cli.waiting import Onlooker, until
from flam_store import shapes
from flam_store.errors import JobNotFound, SpecError, WrongState
from flam_store.exits import DONE, INTERRUPTED, NO, TIMED_OUT
from flam_store.job import Attempt, Job, JobSpec
from flam_store.state import FINISHED, AttemptState, State
from flam_store.store import Store

app = new_app()

_SIGNALLED = 128


@app.command(
    takes_command=("[OPTIONS]", "(SPEC | -- COMMAND [ARG]...)"),
    epilog=examples(
        "queuectl run -- make test",
        "queuectl run --queue builds --timeout 10m --max-retries 0 -- ./build.sh",
        'queuectl run \'{"command": "make test | tail"}\' --wait-timeout 1h',
    ),
)
@with_options_of(enqueue, but=("file", "if_absent"))
def run(
    context: Context,
    spec: Annotated[
        str | None,
        Argument(
            metavar="SPEC",
            show_default=False,
            help="A JSON object; - reads it from standard input.",
        ),
    ] = None,
    wait_timeout: Annotated[
        str | None,
        Option("--wait-timeout", metavar="S", help="Wait no longer than this, then exit with 124."),
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Enqueue a job, wait for it, and print what its attempts write as it comes.

    Exits with the exit code of the last attempt, 128 and the signal's number if a signal ended
    it, 124 if it ran into its timeout or --wait-timeout ran out, and 1 if the job was cancelled
    or could not be run. After --wait-timeout the job goes on. Ctrl-C cancels the job and exits
    with 130 when it has ended; a second one leaves at once. If this command is ended otherwise,
    or its reader goes, the job goes on.

    With --json the finished job is printed instead of what it writes.
    """
    call = call_of(context, json=json)
    seconds = duration_seconds("--wait-timeout", wait_timeout)
    asked = _spec(spec, command_of(context), options)
    named = asked.named()
    place = made(call)
    with place.store() as store:
        watch = _Watch(store, Onlooker(store), str(named.id), seconds)
        # Until it is stored, an id that was given may be another job's.
        is_ours = asked.id is None
        try:
            store.enqueue(named)
            is_ours = True
            finished = watch.to_the_end() if call.json else watch.streaming(place)
        except KeyboardInterrupt:
            if is_ours:
                _call_off(place, store, watch.job_id)
            raise typer.Exit(INTERRUPTED) from None
        if finished is None:
            human.complain(f"{watch.job_id} was not finished after {wait_timeout}; it goes on.")
            raise typer.Exit(TIMED_OUT)
        attempts = store.attempts(finished.id)
    if call.json:
        machine.document(shapes.job_with_history(finished, attempts))
    elif finished.state is State.DEAD and finished.exit_code is None and finished.error:
        human.complain(f"{finished.id}: {finished.error}")
    raise typer.Exit(_code(finished, attempts[-1] if attempts else None))


def _spec(text: str | None, words: tuple[str, ...] | None, options: dict[str, Any]) -> JobSpec:
    if (text is None) == (words is None):
        raise UsageError("Give one of these: a SPEC, or -- COMMAND [ARG]...")
    filled = fill(**options)
    if words is not None:
        return filled.built(args=words)
    found = parsed(str(text), filled)
    if isinstance(found, list):
        raise SpecError("an array holds many jobs; run takes one", field="SPEC")
    return found


@attrs.frozen
class _Watch:
    """A job that is waited for, at most ``seconds`` (None: however long)."""

    store: Store
    onlooker: Onlooker
    job_id: str
    seconds: float | None

    def to_the_end(self) -> Job | None:
        """The job when it is finished; None when time ran out before."""
        return self._until(lambda job: job.state in FINISHED)

    def streaming(self, place: Place) -> Job | None:
        """The same, with the output of its attempts on standard output meanwhile."""
        with output_sink() as write:
            follower = Follower(Reader(self.store, place.logs), write)
            try:
                with _Alarm(self.seconds):
                    return self._followed(follower)
            except _TimeIsUp:
                return None

    def _followed(self, follower: Follower) -> Job | None:
        shown = 0
        while job := self._started(shown):
            if job.attempt <= shown:
                return job
            shown += 1
            if shown > 1:
                human.complain(f"attempt {shown} of {job.id}:", prefix="")
            try:
                follower.one(follower.reader.find(job.id, shown), None)
            except OutputGone:
                human.complain(f"attempt {shown} of {job.id} has no output.", prefix="")
        return None

    def _started(self, shown: int) -> Job | None:
        """The job when it has begun an attempt after that one, or is finished."""
        return self._until(lambda job: job.attempt > shown or job.state in FINISHED)

    def _until(self, enough: Callable[[Job], bool]) -> Job | None:
        def answer() -> Job | None:
            job = self.store.job(self.job_id)
            return job if enough(job) else None

        return until(self.store, answer, lambda: self.onlooker.look(self.job_id), self.seconds)


class _TimeIsUp(BaseException):
    """Raised wherever the program stands, as KeyboardInterrupt is."""


@attrs.frozen
class _Alarm:
    """Raises _TimeIsUp after so many seconds inside (None: never)."""

    seconds: float | None

    def __enter__(self) -> None:
        if self.seconds is not None:
            signal.signal(signal.SIGALRM, _ring)
            # An interval of 0 would turn the timer off.
            signal.setitimer(signal.ITIMER_REAL, max(self.seconds, 1e-6))

    def __exit__(self, *_: object) -> None:
        if self.seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _ring(*_: object) -> None:
    raise _TimeIsUp


def _call_off(place: Place, store: Store, job_id: str) -> None:
    human.complain(f"Cancelling {job_id}; Ctrl-C once more leaves at once.", prefix="")
    try:
        cancelled(place, store, job_id)
    except KeyboardInterrupt:
        human.complain(f"{job_id} may still run.", prefix="")
    except (JobNotFound, WrongState):
        pass  # it was not stored yet, or has just ended


def _code(job: Job, last: Attempt | None) -> int:
    """The exit code for a finished job, as a shell would give it for its command."""
    if last is None or job.state is State.CANCELLED:
        return NO
    if job.state is State.COMPLETED:
        return last.exit_code or DONE
    if last.state is AttemptState.TIMEOUT:
        return TIMED_OUT
    if last.signal is not None:
        return _SIGNALLED + _number(last.signal)
    return last.exit_code or NO


def _number(name: str) -> int:
    """The number of a signal; those without a name of their own are recorded as ``SIG40``."""
    if name in signal.Signals.__members__:
        return signal.Signals[name]
    return int(name.removeprefix("SIG"))
