"""A job between its parents and its children, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flam_cli.render import human
from flam_store.job import Job
from flam_store.relatives import Relative, Relatives, more, waited_for, way_out
from flam_store.state import State

_INDENT = "  "
_NAMED = 5


def print_tree(job: Job, relatives: Relatives) -> None:
    """Nothing for a job without relatives. A blocked one also gets what to do about that."""
    if not relatives.parents and not relatives.children:
        return
    human.line("")
    depth = 1 if relatives.parents else 0
    human.lines(_level(relatives.parents, relatives.more_parents, depth=0))
    human.line(f"{_INDENT * depth}{job.id} ({job.state}), this job")
    human.lines(_level(relatives.children, relatives.more_children, depth=depth + 1))
    if job.state is State.BLOCKED:
        human.line("")
        human.line(_blocked_by(job, relatives))


def _level(named: Sequence[Relative], count: int, *, depth: int) -> Iterator[str]:
    for each in [*named, *filter(None, [more(count)])]:
        yield f"{_INDENT * depth}{each}"


def _blocked_by(job: Job, relatives: Relatives) -> str:
    holding = waited_for(relatives.parents, job.after_policy)
    named = [str(each) for each in holding[:_NAMED]]
    rest = more(len(holding) - len(named) + relatives.more_parents)
    advice = way_out(holding, job.after_policy)
    told = ", ".join([*named, *filter(None, [rest])])
    return f"Blocked by: {told}" + (f" - {advice}" if advice else "")
