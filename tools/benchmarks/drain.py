"""Drain a prepared queue with two workers, as a whole process, against nothing but spawning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Line, Note, paired
from benchmarks.peers import Peer, peers
from benchmarks.processes import Unmeasured, timed, timed_together
from benchmarks.setting import Setting, made_home, program, queue_of, rotated
from flam_store import JobSpec, State

PART = "drain, 2 workers, durable"

_SPAWNS = """
import os, sys
for _ in range(int(sys.argv[1])):
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "true"], os.environ), 0)
"""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job, and the words with which ``xargs`` does the same."""

    what: str
    spec: JobSpec
    words: tuple[str, ...]
    goal: str = ""


KINDS = (
    Kind(
        what="`true`",
        spec=JobSpec(command="true"),
        words=("sh", "-c", "true"),
        goal="at least 0.8, then 0.9",
    ),
    Kind(what="a printed line", spec=JobSpec(command="echo line"), words=("sh", "-c", "echo line")),
    Kind(what="`true` without a shell", spec=JobSpec(args=("true",)), words=("true",)),
)


def measure(setting: Setting) -> Iterator[Line]:
    """Every contender once a round, in another order each round."""
    jobs = setting.sizes.jobs
    rates = _rates(setting, jobs)
    for kind in KINDS:
        yield paired(
            rates[f"flam {kind.what}"],
            rates[f"xargs {kind.what}"],
            part=PART,
            what=f"{jobs:,} jobs: {kind.what}",
            unit="/s",
            against_what=f"xargs -P2 -n1 {' '.join(kind.words[:2])}",
            goal=kind.goal,
        )
    first = KINDS[0].what
    for name in ("a bare loop of spawns", *(peer.name for peer in peers())):
        what = f"{jobs:,} jobs: {first}"
        if name not in rates:
            yield Note(part=PART, what=what, why=f"{name}: absent")
            continue
        yield paired(
            rates[f"flam {first}"], rates[name], part=PART, what=what, unit="/s", against_what=name
        )


def _rates(setting: Setting, jobs: int) -> dict[str, list[float]]:
    contenders: dict[str, Callable[[Path], float]] = {}
    for kind in KINDS:
        contenders[f"flam {kind.what}"] = _flam(kind, jobs)
        contenders[f"xargs {kind.what}"] = _xargs(kind, jobs)
    contenders["a bare loop of spawns"] = lambda _: _spawns(jobs)
    contenders |= {peer.name: _peer(peer, jobs) for peer in peers() if peer.there}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(setting.sizes.rounds):
        setting.say(f"{PART}: round {number + 1} of {setting.sizes.rounds}")
        for name in rotated(list(contenders), number * 2):
            with setting.fresh() as folder:
                rates[name].append(contenders[name](folder))
    return rates


def _flam(kind: Kind, jobs: int) -> Callable[[Path], float]:
    def rate(folder: Path) -> float:
        home = made_home(folder / "home")
        with queue_of(home) as store:
            store.enqueue_many(kind.spec for _ in range(jobs))
        words = program("flam-worker", home.path, "--count", "2", "--drain")
        seconds = timed(words)
        with queue_of(home) as store:
            done = store.overview().counts[State.COMPLETED]
        if done != jobs:
            raise Unmeasured(f"only {done:,} of {jobs:,} jobs were completed")
        return jobs / seconds

    return rate


def _xargs(kind: Kind, jobs: int) -> Callable[[Path], float]:
    def rate(folder: Path) -> float:
        items = folder / "items"
        items.write_text("x\n" * jobs)
        with items.open("rb") as stdin, (folder / "output").open("wb") as stdout:
            words = ["xargs", "-P2", "-n1", *kind.words]
            return jobs / timed(words, stdin=stdin, stdout=stdout)

    return rate


def _spawns(jobs: int) -> float:
    words = [sys.executable, "-c", _SPAWNS, str(jobs // 2)]
    return jobs // 2 * 2 / timed_together([words, words])


def _peer(peer: Peer, jobs: int) -> Callable[[Path], float]:
    return lambda folder: peer.rate(folder, jobs)
