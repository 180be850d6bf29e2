"""``queuectl wait``: until jobs are finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import attrs

from flam_cli.completion import complete_id
from flam_cli.declaring import Argument, Context, Option, examples, new_app
from flam_cli.options import Json, call_of, duration_seconds
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.progress import counted
from flam_cli.several import try_each
from flam_cli.waiting import Onlooker, until
from flam_store import shapes
from flam_store.errors import JobNotFound
from flam_store.exits import NO, TIMED_OUT
from flam_store.job import Job
from flam_store.standing import Kind
from flam_store.state import FINISHED, State
from flam_store.store import StoreReader

app = new_app()

_MOST_LOOKED_AT = 3
_MOST_NAMED = 3
_EVERY_SECONDS = 1.0


@app.command(
    epilog=examples(
        "queuectl wait thumb-17 thumb-18",
        "queuectl wait thumb-17 --timeout 5m",
        "queuectl wait thumb-17 thumb-18 --any",
    )
)
def wait(
    context: Context,
    ids: Annotated[
        list[str], Argument(metavar="ID...", autocompletion=complete_id, help="The jobs.")
    ],
    any_: Annotated[
        bool, Option("--any", help="Until one of them is finished, and tell which.")
    ] = False,
    timeout: Annotated[
        str | None,
        Option(metavar="S", help="Wait no longer than this, then exit with 124."),
    ] = None,
    json: Json = False,
) -> int:
    """Wait until jobs are finished: completed, dead or cancelled.

    Exits with 0 only if all of them are completed, or with --any the one that finished first,
    otherwise with 1. What keeps a job from ever running is told on standard error. So is an id
    that no job has, at once; the others are waited for all the same.
    """
    call = call_of(context, json=json)
    seconds = duration_seconds("--timeout", timeout)
    with existing(call).store() as store:
        jobs, codes = try_each(store, ids, store.job)
        kinds = (Kind.BLOCKED,) if call.json else None
        with counted(f"Waiting: {{done:,}} of {len(jobs):,} finished") as tell:
            watch = _Watch(store, {job.id: job for job in jobs}, tell)
            answer: Callable[[], list[Job] | None] = watch.first if any_ and jobs else watch.all
            finished = until(store, answer, watch.looking(Onlooker(store, kinds)), seconds)
            left = watch.named_left() if finished is None else ""
    if finished is None:
        time_given = f"{timeout}s" if str(timeout)[-1:].isdigit() else timeout
        which = "None was finished" if any_ else "Not all were finished"
        human.complain(f"{which} after {time_given}; still waited for: {left}.")
        return codes[0] if codes else TIMED_OUT
    if not call.json:
        human.lines(f"{job.id}: {job.state.value}" for job in finished)
    elif not codes:
        machine.array(map(shapes.job, finished))
    no = any(job.state is not State.COMPLETED for job in finished)
    return codes[0] if codes else NO if no else 0


@attrs.define
class _Watch:
    """Jobs that are waited for, as they were when last looked at."""

    store: StoreReader
    jobs: dict[str, Job]
    tell: Callable[[int], None]
    """Is told how many of them are finished."""
    _every_at: float = attrs.field(default=0.0, init=False)

    def all(self) -> list[Job] | None:
        """All of them when they are finished. Looks no further than the first that is not.

        But at every one once a second: what is finished may be deleted soon.
        """
        now = time.monotonic()
        looks_at_every_one = now >= self._every_at
        self._every_at = now + _EVERY_SECONDS if looks_at_every_one else self._every_at
        left = self._left()
        self.tell(len(self.jobs) - len(left))
        for id_ in left:
            self.jobs[id_] = self.store.job(id_)
            if self.jobs[id_].state not in FINISHED and not looks_at_every_one:
                return None
        return None if self._left() else list(self.jobs.values())

    def first(self) -> list[Job] | None:
        """The one that finished first, when there is one."""
        self.jobs.update({id_: self.store.job(id_) for id_ in self._left()})
        finished = [job for job in self.jobs.values() if job.state in FINISHED]
        return [min(finished, key=lambda job: job.updated_at)] if finished else None

    def looking(self, onlooker: Onlooker) -> Callable[[], None]:
        """A look at the next ones of them that are not finished."""

        def look() -> None:
            for id_ in self._left()[:_MOST_LOOKED_AT]:
                onlooker.look(id_)

        return look

    def named_left(self) -> str:
        """The first ones of them that are not finished, and how many there are beside."""
        for id_ in self._left():
            with suppress(JobNotFound):
                self.jobs[id_] = self.store.job(id_)
        left = self._left()
        more = len(left) - _MOST_NAMED
        return ", ".join(left[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")

    def _left(self) -> Sequence[str]:
        return [id_ for id_, job in self.jobs.items() if job.state not in FINISHED]
