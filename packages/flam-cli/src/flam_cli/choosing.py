"""Acting on all jobs that match: which they are, whether that is meant, and doing it in slices."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, TypeAlias

import attrs
import typer

from flam_cli.completion import complete_id, complete_queue
from flam_cli.declaring import Argument, Option
from flam_cli.errors import UsageError
from flam_cli.options import complete_state, pairs, queue_name, states
from flam_cli.render import human
from flam_store.finding import counted
from flam_store.job import JobFilter
from flam_store.selection import Selection, Sweep
from flam_store.state import State
from flam_store.store import StoreReader

Ids: TypeAlias = Annotated[
    list[str] | None,
    Argument(metavar="ID...", autocompletion=complete_id, help="The jobs.", show_default=False),
]
States: TypeAlias = Annotated[
    list[str] | None,
    Option(
        "--state",
        metavar="S",
        autocompletion=complete_state,
        help="Instead of ids: all jobs in this state; may be repeated.",
    ),
]
Queue: TypeAlias = Annotated[
    str | None,
    Option(
        "--queue",
        metavar="Q",
        autocompletion=complete_queue,
        help="Instead of ids: all of this queue.",
    ),
]
Labels: TypeAlias = Annotated[
    list[str] | None,
    Option(
        "--label",
        metavar="K=V",
        help="Instead of ids: all with this label; may be repeated, all must match.",
    ),
]
All: TypeAlias = Annotated[bool, Option("--all", help="Instead of ids: all jobs.")]
Yes: TypeAlias = Annotated[
    bool,
    Option("--yes", "-y", help="Do not ask; needed for many where standard input is no terminal."),
]

_PAGE = 500
_MOST_COUNTED = 10_000


@attrs.frozen(kw_only=True)
class Choice:
    """What was given instead of ids. None or nothing: not given."""

    state: list[str] | None
    queue: str | None
    label: list[str] | None
    every: bool

    def among(self, possible: Collection[State], otherwise: tuple[State, ...]) -> JobFilter:
        """The filter; its states must be possible ones, and are ``otherwise`` if none is named."""
        named = states(self.state, possible)
        for each in named:
            if each not in possible:
                raise UsageError(
                    f"--state: {each} is no state for this; choose from {', '.join(possible)}."
                )
        return JobFilter(
            states=named or otherwise,
            queue=None if self.queue is None else queue_name(self.queue),
            labels=pairs("--label", self.label),
        )

    def is_instead_of(self, ids: list[str] | None) -> bool:
        """Whether it counts, and not the ids: one of them must be given, and not both."""
        narrowed = any(each is not None for each in (self.state, self.queue, self.label))
        if [bool(ids), narrowed, self.every].count(True) != 1:
            raise UsageError("Give ids, or --state S, --queue Q and --label K=V, or --all.")
        return not ids


def selected(store: StoreReader, which: JobFilter) -> Selection:
    """All jobs that match and are there now."""
    return Selection(which=which, below=store.ledger(1, 0).given + 1)


def require_consent(store: StoreReader, which: JobFilter, verb: str) -> bool:
    """As :func:`consented`; without a person at a terminal, UsageError."""
    if not sys.stdin.isatty():
        raise UsageError(f"Give --yes to {verb} many jobs: standard input is no terminal to ask.")
    return consented(store, which, f"{verb.capitalize()} {{jobs}}?")


def consented(store: StoreReader, which: JobFilter, question: str) -> bool:
    """Ask whether that many ``{jobs}`` are meant; False, without a question, if there are none."""
    if not store.jobs(which, limit=1).jobs:
        return False
    ask(question.format(jobs=how_many(store, which)))
    return True


def ask(question: str) -> None:
    """Ask the person at the terminal; whatever is no yes ends the command with 1."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        human.complain("Nothing was changed.", prefix="")
        raise typer.Exit(1)


def sweeps(verb: Callable[[Selection], Sweep], selection: Selection) -> Iterator[Sweep]:
    """Slice after slice, each a transaction of its own; how far it came is told on Ctrl-C."""
    left: Selection | None = selection
    done = 0
    try:
        while left is not None:
            sweep = verb(left)
            done += sweep.done + len(sweep.running)
            left = sweep.rest
            yield sweep
    except KeyboardInterrupt:
        human.complain(f"Interrupted after {counted(done, 'job')}.")
        raise


def how_many(store: StoreReader, which: JobFilter) -> str:
    jobs = 0
    after = None
    while jobs < _MOST_COUNTED:
        page = store.jobs(which, limit=_PAGE, after=after)
        jobs += len(page.jobs)
        if not page.more:
            return counted(jobs, "job")
        after = page.jobs[-1].id
    return f"at least {counted(jobs, 'job')}"
