"""A pool in the foreground, whose log lies where a trial's disk cannot reach it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from conftest import SCRIPTS

from chaos.harness import PATIENCE_SECONDS, Chaos, until


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
        pool.until_logged("ready:")
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
