"""Commands that take several ids: all are tried, each failure is a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flam_cli.errors import exit_code, line
from flam_cli.options import Call, job_id
from flam_cli.place import hint_at_near_id
from flam_cli.render import human, machine
from flam_store import shapes
from flam_store.errors import FlamError, JobNotFound
from flam_store.job import Job
from flam_store.store import Store


def try_each(
    store: Store, ids: Iterable[str], verb: Callable[[str], Job]
) -> tuple[list[Job], list[int]]:
    """What the verb gave for each id, and the exit codes of the failures, in their order."""
    jobs: list[Job] = []
    codes: list[int] = []
    for id_ in dict.fromkeys(ids):
        try:
            jobs.append(verb(job_id(id_)))
        except FlamError as error:
            if isinstance(error, JobNotFound):
                hint_at_near_id(store, error)
            human.complain(line(error))
            codes.append(exit_code(error))
    return jobs, codes


def print_states(call: Call, jobs: list[Job], codes: list[int]) -> int:
    """Print the jobs as they are now; the exit code of the first failure."""
    if not call.json:
        human.lines(f"{job.id}: {job.state.value}" for job in jobs)
    elif not codes:
        machine.array(map(shapes.job, jobs))
    return codes[0] if codes else 0
