#!/usr/bin/env python3
"""Measures Flam against baselines that run beside it, and prints one table. It asserts nothing.

What is measured is installed beside the interpreter that runs this; ``nox -s bench`` makes such
an environment, with the peers that PyPI has. Trust ratios: machines are noisy, and each value
has its neighbour from the same moment.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import (
    bulk,
    contention,
    drain,
    enqueueing,
    machine,
    pool,
    scale,
    start,
    table,
    turns,
)
from benchmarks.figures import Line, Note
from benchmarks.processes import Unmeasured
from benchmarks.setting import Setting, Sizes

Measure = Callable[[Setting], Iterator[Line]]

PARTS: dict[str, tuple[str, Measure]] = {
    "drain": (drain.PART, drain.measure),
    "claim": (turns.PART, turns.measure),
    "contention": (contention.PART, contention.measure),
    "enqueue": (enqueueing.PART, enqueueing.measure),
    "bulk": (bulk.PART, bulk.measure),
    "scale": (scale.PART, scale.measure),
    "queues": (scale.QUEUES, scale.measure_queues),
    "start": (start.PART, start.measure),
    "pickup": (pool.PICK_UP, pool.measure_pick_up),
    "idle": (pool.IDLE, pool.measure_idle),
}


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="bench.py", description=(__doc__ or "").splitlines()[0])
    add = words.add_argument
    add("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    add("--rounds", type=_count, default=5, help="values of each measurement (5)")
    add("--jobs", type=_count, default=2_000, help="jobs to drain (2,000)")
    add("--operations", type=_count, default=6_000, help="turns, and enqueues one by one (6,000)")
    add("--bulk", type=_count, default=200_000, help="jobs in the file (200,000)")
    add("--rows", type=_count, default=200_000, help="finished jobs in the large queue (200,000)")
    add("--singles", type=_count, default=200, help="jobs for an idle pool (200)")
    add("--seconds", type=float, default=20.0, help="how long an idle pool is watched (20)")
    add("--dir", type=Path, help="where to work: the disk that is measured")
    add("--keep", type=Path, metavar="DIR", help="keep the large queue here for the next run")
    add("--json", action="store_true", help="one JSON document in place of the table")
    add("--plot", type=Path, metavar="FILE.svg", help="also draw how verbs grow with the rows")
    add("--profile", action="store_true", help="also tell which imports start-up consists of")
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    words = parser()
    given = words.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        words.error(f"no such part: {min(unknown)}; there are {', '.join(PARTS)}")
    try:
        with tempfile.TemporaryDirectory(prefix="flam-bench-", dir=given.dir) as folder:
            return _run(given, Setting(folder=Path(folder), sizes=_sizes(given), keep=given.keep))
    except KeyboardInterrupt:
        return 130


def _run(given: argparse.Namespace, setting: Setting) -> int:
    facts = machine.facts(setting.folder)
    lines: list[Line] = []
    try:
        for name in given.parts or PARTS:
            lines.extend(_lines(name, setting))
        if given.plot:
            seconds = scale.growth(setting)
            lines.extend(scale.growth_lines(seconds))
            given.plot.write_text(scale.growth_figure(seconds))
    except KeyboardInterrupt:
        _print(given, facts, lines)  # what there is took its time
        raise
    _print(given, facts, lines)
    if given.profile:
        print(start.profile(setting), file=sys.stderr if given.json else sys.stdout)
    return int(any(isinstance(line, Note) and line.what == _FAILED for line in lines))


def _print(given: argparse.Namespace, facts: Mapping[str, object], lines: Sequence[Line]) -> None:
    if given.json:
        print(table.document(facts, lines), end="")
    else:
        print("\n".join(f"{name}: {fact}" for name, fact in facts.items()), end="\n\n")
        print(table.text(lines), end="")


_FAILED = "not measured"


def _lines(name: str, setting: Setting) -> Iterator[Line]:
    part, measure = PARTS[name]
    try:
        yield from measure(setting)
    except Unmeasured as error:
        yield Note(part=part, what=_FAILED, why=str(error))


def _sizes(given: argparse.Namespace) -> Sizes:
    return Sizes(
        rounds=given.rounds,
        jobs=given.jobs,
        operations=given.operations,
        bulk=given.bulk,
        rows=given.rows,
        singles=given.singles,
        seconds=given.seconds,
    )


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")


def _alone() -> None:
    """Whatever ends this also ends what it started; and no setting of the user's counts."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("FLAM_")]:
        del os.environ[name]


if __name__ == "__main__":
    _alone()
    sys.exit(main())
