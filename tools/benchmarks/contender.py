"""One of several processes that take turns at one queue: ``contender KIND PATH SECONDS``.

It says ``ready``, begins when a line comes in, and ends with one line of JSON: its turns and
its longest one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.loops import loop_at
from benchmarks.setting import made_home, queue_of
from benchmarks.turns import Turns


@contextmanager
def turn_at(kind: str, path: Path) -> Iterator[Callable[[], bool]]:
    """What takes one turn at the queue: Flam's, or the hand-written loop's."""
    if kind == "loop":
        with loop_at(path) as loop:
            yield loop.turn
        return
    with queue_of(made_home(path)) as store:
        yield Turns(store).turn


def main() -> None:
    kind, path, seconds = sys.argv[1:]
    with turn_at(kind, Path(path)) as turn:
        print("ready", flush=True)
        sys.stdin.readline()
        turns, longest = 0, 0.0
        now = time.perf_counter()
        end = now + float(seconds)
        while now < end and turn():
            before, now = now, time.perf_counter()
            turns, longest = turns + 1, max(longest, now - before)
    print(json.dumps({"turns": turns, "longest": longest, "empty": now < end}))


if __name__ == "__main__":
    main()
