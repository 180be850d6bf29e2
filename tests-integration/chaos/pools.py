"""A pool in the foreground, whose log lies where a trial's disk cannot reach it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from conftest import SCRIPTS

from chaos.harness import PATIENCE_SECONDS, Chaos, until
from chaos.processes import Process


@attrs.frozen
class Foreground:
    """A running ``flam-worker``; perhaps under another program, such as strace."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self, *words: str) -> list[str]:
        """The lines of its log that have all of these words."""
        return [line for line in self.log.read_text().splitlines()
                if all(word in line for word in words)]  # fmt: skip

    def until_logged(self, *words: str, times: int = 1) -> list[str]:
        return list(until(lambda: self._found(words, times), f"it logs {words} {times} times"))

    def _found(self, words: Sequence[str], times: int) -> list[str] | None:
        found = self.lines(*words)
        return found if len(found) >= times else None


@contextmanager
def foreground(
    chaos: Chaos, count: int, *, under: Sequence[str | Path] = (), faults: str = ""
) -> Iterator[Foreground]:
    """Run a pool until the block ends; it must then stop by itself, without a traceback."""
    log = chaos.folder / f"pool-{len(list(chaos.folder.glob('pool-*')))}.log"
    words = [*under, SCRIPTS / "flam-worker", "--home", chaos.flam.home, "--count", str(count)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            words, env=chaos.environ(faults), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    pool = Foreground(process, log)
    try:
        pool.until_logged("ready, workers:")
        yield pool
        for each in chaos.supervisors():
            each.send(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
    finally:
        for each in chaos.processes():
            each.send(signal.SIGKILL)
        process.kill()
        process.wait()
    assert not pool.lines("Traceback"), pool.lines("Traceback")


def kill_everything(chaos: Chaos) -> None:
    """SIGKILL to supervisors, workers and their jobs."""
    _kill(chaos, chaos.processes)


def kill_pools(chaos: Chaos) -> None:
    """SIGKILL to supervisors and workers alone; what they ran lives on."""
    _kill(chaos, chaos.pool)


def _kill(chaos: Chaos, living: Callable[[], list[Process]]) -> None:
    """Until there are none, as they start each other; who starts most goes first."""

    def all_are_dead() -> bool:
        left = chaos.supervisors() or living()
        for each in left:
            each.send(signal.SIGKILL)
        return not left

    until(all_are_dead, "all are dead")
