"""Running programs, and ending by its id every one that is still there, also on Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

_PATIENCE_SECONDS = 15.0

Words = Sequence[str | Path]
Files = int | IO[bytes]


class Unmeasured(Exception):
    """A measurement that cannot be made, or that did not do what was to be measured."""


_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@contextmanager
def running(
    words: Words,
    *,
    stdin: Files = subprocess.DEVNULL,
    stdout: Files = subprocess.DEVNULL,
    stderr: Files = subprocess.DEVNULL,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, which is ended when it is still there at last."""
    process = subprocess.Popen(
        words,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environ,
        cwd=cwd,
        process_group=0,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the program: politely, then at once."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def timed(
    words: Words,
    *,
    stdin: Files = subprocess.DEVNULL,
    stdout: Files = subprocess.DEVNULL,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> float:
    """Run a program from start to end; its seconds. Unmeasured unless it exits 0."""
    started = time.perf_counter()
    with running(words, stdin=stdin, stdout=stdout, environ=environ, cwd=cwd) as process:
        process.wait()
        seconds = time.perf_counter() - started
    _check(words, process)
    return seconds


def peak_bytes(words: Words) -> int:
    """The most memory that a program and those it waited for had, each by itself.

    Measured by a small interpreter: a program's peak begins at that of the process that
    started it, and this one is large.
    """
    launcher: Words = [sys.executable, "-I", "-S", "-c", _PEAK, *words]
    with running(launcher, stdout=subprocess.PIPE) as process:
        answer, _ = process.communicate()
    _check(words, process)
    return int(answer) * (1 if sys.platform == "darwin" else 1024)


def _check(words: Words, process: subprocess.Popen[bytes]) -> None:
    if process.returncode:
        raise Unmeasured(f"{Path(words[0]).name} exited with {process.returncode}")


def timed_together(programs: Sequence[Words], *, environ: Mapping[str, str] | None = None) -> float:
    """Start all of them at once; the seconds until the last has ended, each with 0."""
    started = time.perf_counter()
    with ExitStack() as stack:
        processes = [stack.enter_context(running(words, environ=environ)) for words in programs]
        codes = [process.wait() for process in processes]
        seconds = time.perf_counter() - started
    if any(codes):
        raise Unmeasured(f"{Path(programs[0][0]).name} exited with {max(codes, key=abs)}")
    return seconds
