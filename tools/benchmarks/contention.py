"""The same turns by 2, 4 and 8 processes: the total, the least served, and the longest wait."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.figures import Line, paired
from benchmarks.loops import loop_at
from benchmarks.processes import Unmeasured, running
from benchmarks.setting import Setting, made_home, python, queue_of, rotated
from flam_store import JobSpec

PART = "finish and claim, many processes"
_MOST_ROUNDS = 3
_RATE_AT_MOST = 12_000
"""No queue is emptied faster, so that this many jobs a second are enough."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """What came of one run: turns a second, the least process's share of the mean, seconds."""

    rate: float
    least: float
    longest: float


def measure(setting: Setting) -> Iterator[Line]:
    """Contests of Flam and of the loop in turns."""
    rounds = min(setting.sizes.rounds, _MOST_ROUNDS)
    for count in (2, 4, 8):
        setting.say(f"{PART}: {count}")
        runs: dict[str, list[Contest]] = {"flam": [], "loop": []}
        for number in range(rounds):
            for kind in rotated(list(runs), number):
                with setting.fresh() as folder:
                    runs[kind].append(_contest(setting, kind, folder / "queue", count))
        yield from _lines(count, runs)


def _lines(count: int, runs: dict[str, list[Contest]]) -> Iterator[Line]:
    for what, unit, goal in (
        ("rate", "/s", ""),
        ("least", "share", "over 0.5 of the mean" if count == 8 else ""),
        ("longest", "s", "under 100 ms" if count == 8 else ""),
    ):
        names = {"rate": "turns", "least": "least served, of the mean", "longest": "longest turn"}
        yield paired(
            [getattr(contest, what) for contest in runs["flam"]],
            [getattr(contest, what) for contest in runs["loop"]],
            part=PART,
            what=f"{count} processes: {names[what]}",
            unit=unit,
            against_what="SQLite loop, busy timeout",
            goal=goal,
        )


def _contest(setting: Setting, kind: str, path: Path, count: int) -> Contest:
    seconds = min(2.0, setting.sizes.seconds)
    _fill(kind, path, int(_RATE_AT_MOST * seconds) + count)
    words = python("benchmarks.contender", kind, path, str(seconds))
    with ExitStack() as stack:
        processes = [
            stack.enter_context(running(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(count)
        ]
        for process in processes:
            _pipe(process.stdout).readline()
        for process in processes:
            _pipe(process.stdin).write(b"go\n")
            _pipe(process.stdin).flush()
        answers = [json.loads(_pipe(process.stdout).readline() or b"null") for process in processes]
    if None in answers or any(answer["empty"] for answer in answers):
        raise Unmeasured("a process failed, or the queue ran empty")
    turns = [answer["turns"] for answer in answers]
    return Contest(
        rate=sum(turns) / seconds,
        least=round(min(turns) * count / sum(turns), 2),
        longest=max(answer["longest"] for answer in answers),
    )


def _fill(kind: str, path: Path, jobs: int) -> None:
    if kind == "loop":
        with loop_at(path) as loop:
            loop.fill(jobs)
        return
    with queue_of(made_home(path)) as store:
        store.enqueue_many(JobSpec(command="true") for _ in range(jobs))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise Unmeasured("no pipe to a process")
    return stream
