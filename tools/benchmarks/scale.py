"""What a verb costs with many rows in the database, against the same with a thousand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

from benchmarks.figures import Line, paired
from benchmarks.history import READY, past, top_up
from benchmarks.plot import figure
from benchmarks.processes import timed
from benchmarks.setting import Setting, made_home, program, queue_of, rotated
from benchmarks.turns import Turns
from flam_store import JobFilter, JobSpec, State, Store
from flam_store.home import Home

PART, QUEUES = "scale: many rows", "scale: many ready queues"
GROWTH = "growth: CPU time"
FEW = 1_000
VERBS = (
    "claim",
    "enqueue",
    "status",
    "list",
    "list --state dead",
    "purge of 50",
    "purge of nothing",
)
SHOWN = (*VERBS[:4], "purge of 50")
"""What the figure shows."""

Clock = Callable[[], float]
Seconds = dict[str, dict[int, list[float]]]
"""Of each verb, at each number of rows, a value a round."""

_REPEATS = 20
"""Calls of a verb whose median is one value."""

_SLICE = 50


def measure(setting: Setting) -> Iterator[Line]:
    """Both queues open at once, and each verb on one after the other."""
    rows = setting.sizes.rows
    with past(setting, FEW) as small, past(setting, rows) as large:
        setting.say(f"{PART}: {rows:,}")
        seconds = _in_turns(setting, {FEW: small, rows: large})
        yield from (_line(f"{verb}, {rows:,} rows", *seconds[verb].values()) for verb in VERBS)
        for command in (("status",), ("list",)):
            few, many = _commands(setting, (small, large), command)
            yield _line(f"queuectl {' '.join(command)}, {rows:,} rows", few, many)


def _line(what: str, few: Sequence[float], many: Sequence[float]) -> Line:
    goal = "at most 1.2" if what.startswith(("claim", "status", "list,")) else ""
    return paired(
        many, few, part=PART, what=what, unit="s", against_what=f"{FEW:,} rows", goal=goal
    )


def growth(setting: Setting) -> Seconds:
    """CPU seconds of each verb at a thousand rows, ten thousand and so on, up to those asked for.

    All queues are open at once and take turns, so that a noisy moment is one of them all. How
    long a commit waits for the disk does not hang on the rows, and would hide what does.
    """
    most = setting.sizes.rows
    sizes = [size for power in range(3, 9) if (size := 10**power) < most] + [most]
    with ExitStack() as stack:
        homes = {size: stack.enter_context(past(setting, size)) for size in sizes}
        setting.say(GROWTH)
        return _in_turns(setting, homes, time.process_time)


def growth_lines(seconds: Seconds) -> Iterator[Line]:
    """A line for each verb and number of rows."""
    for verb, values in seconds.items():
        few, *more = values
        for rows in more:
            yield paired(
                values[rows],
                values[few],
                part=GROWTH,
                what=f"{verb}, {rows:,} rows",
                unit="s",
                against_what=f"{few:,} rows",
            )


def growth_figure(seconds: Seconds) -> str:
    """The medians of the verbs of ``SHOWN`` as SVG."""
    rows = list(seconds[VERBS[0]])
    medians = {verb: [statistics.median(each) for each in seconds[verb].values()] for verb in SHOWN}
    return figure("CPU time of one call, median", rows, medians)


def _in_turns(
    setting: Setting, homes: dict[int, Home], clock: Clock = time.perf_counter
) -> Seconds:
    seconds: Seconds = {verb: {rows: [] for rows in homes} for verb in VERBS}
    with ExitStack() as stack:
        verbs = {rows: stack.enter_context(_verbs(home)) for rows, home in homes.items()}
        for number in range(setting.sizes.rounds):
            for verb in VERBS:
                for rows in rotated(list(homes), number):
                    seconds[verb][rows].append(_median(verbs[rows][verb], _repeats(verb), clock))
    return seconds


def _repeats(verb: str) -> int:
    return 1 if verb.startswith("purge") else _REPEATS


@contextmanager
def _verbs(home: Home) -> Iterator[dict[str, Callable[[], object]]]:
    """Each verb as a call on an open queue, which is left without jobs that run."""
    with queue_of(home) as store:
        turns = Turns(store)
        yield {
            "claim": turns.turn,
            "enqueue": lambda: store.enqueue(JobSpec(command="true")),
            "status": store.overview,
            "list": store.jobs,
            "list --state dead": lambda: store.jobs(JobFilter(states=(State.DEAD,))),
            "purge of 50": partial(_purge, store, timedelta(0)),
            "purge of nothing": partial(_purge, store, timedelta(days=3650)),
        }
        turns.end()
        top_up(store)


def _purge(store: Store, older_than: timedelta) -> None:
    store.purge(JobFilter(states=(State.COMPLETED,)), older_than=older_than, limit=_SLICE)


def _median(call: Callable[[], object], repeats: int, clock: Clock = time.perf_counter) -> float:
    values = []
    for _ in range(repeats):
        started = clock()
        call()
        values.append(clock() - started)
    return statistics.median(values)


def _commands(setting: Setting, homes: Sequence[Home], command: Sequence[str]) -> list[list[float]]:
    """Seconds of a whole process on each queue, in turns."""
    seconds: list[list[float]] = [[] for _ in homes]
    for number in range(setting.sizes.rounds):
        for which, home in rotated(list(enumerate(homes)), number):
            words = program("queuectl", home.path, *command)
            seconds[which].append(timed(words))
    return seconds


def measure_queues(setting: Setting) -> Iterator[Line]:
    """A turn with one job in each of many queues, against all of them in one."""
    seconds: dict[int, list[float]] = {1: [], 100: [], 1_000: []}
    setting.say(QUEUES)
    with setting.fresh() as folder, ExitStack() as stack:
        turns: dict[int, Turns] = {}
        for count in seconds:
            store = stack.enter_context(queue_of(made_home(folder / str(count))))
            jobs = 2 * READY + setting.sizes.rounds * _REPEATS
            store.enqueue_many(
                JobSpec(command="true", queue=f"q{number % count}") for number in range(jobs)
            )
            turns[count] = Turns(store)
        for number in range(setting.sizes.rounds):
            for count in rotated(list(seconds), number):
                seconds[count].append(_median(turns[count].turn, _REPEATS))
    for count in (100, 1_000):
        yield paired(
            seconds[count],
            seconds[1],
            part=QUEUES,
            what=f"finish and claim, {count:,} queues",
            unit="s",
            against_what="one queue",
        )
