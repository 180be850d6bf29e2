"""A queue that is made to suffer, and what must be true of it afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from conftest import MARK, SCRIPTS, Flam

from chaos.processes import Process, born, marked
from flam_store import Attempt, Job, open_store

WITNESS = Path(__file__).with_name("witness.py")
HOSTILE = Path(__file__).with_name("hostile.py")
SEED = int(os.environ.get("FLAM_CHAOS_SEED", "1"))
PATIENCE_SECONDS = 60.0
CONFIG = {"lease_seconds": 3, "shutdown_grace": 10, "max_retries": 1000, "backoff_base": 0}
FINAL = ("completed", "dead", "cancelled")


@attrs.frozen
class Line:
    """A line of the journal: ``what`` is start, stop, member or overlap."""

    what: str
    job: str
    attempt: int
    process: Process


@attrs.frozen
class Running:
    """One of Flam's executables that somebody has started and not yet seen end."""

    popen: subprocess.Popen[bytes]

    @property
    def process(self) -> Process:
        """Its pid is its own until ``exit_code`` has been asked for."""
        return Process(self.popen.pid, born(self.popen.pid) or "")

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.popen.wait(PATIENCE_SECONDS)

    def kill_within(self, seconds: float) -> int:
        """SIGKILL after so long, unless it has ended by then; the exit code."""
        with suppress(subprocess.TimeoutExpired):
            return self.popen.wait(seconds)
        self.popen.kill()
        return self.exit_code()

    def close(self) -> None:
        self.kill_within(0)
        if self.popen.stderr:
            self.popen.stderr.close()


@attrs.define
class Chaos:
    """One queue under trial. ``conclude`` ends the trial and holds it against the invariants."""

    flam: Flam
    random: random.Random
    asked: set[str] = attrs.field(factory=set)
    """Every id that was ever given to ``enqueue``."""
    acknowledged: set[str] = attrs.field(factory=set)
    """Those for which ``enqueue`` has exited 0."""
    launched: list[Running] = attrs.field(factory=list)

    @property
    def folder(self) -> Path:
        """Where the witnesses write."""
        return self.flam.home.parent / "witnessed"

    @property
    def told(self) -> Path:
        """Where faults that were about to happen are written down."""
        return self.folder / "faults"

    # Asking for things

    def configure(self, **keys: object) -> None:
        """Write ``config.json`` with what a trial needs, and these."""
        self.flam.home.mkdir(mode=0o700, exist_ok=True)
        path = self.flam.home / "config.json"
        path.write_text(json.dumps({**CONFIG, **keys}))
        path.chmod(0o600)

    def witness(self, *words: str) -> list[str]:
        """The ``args`` of a job that is its own witness; the words are in ``witness.py``."""
        return [sys.executable, "-I", "-S", str(WITNESS), str(self.folder), *words]

    def hostile(self, *words: str) -> list[str]:
        """The ``args`` of a job that misbehaves; the words are in ``hostile.py``."""
        return [sys.executable, "-I", "-S", str(HOSTILE), str(self.folder), *words]

    def enqueue(self, *ids: str, does: Iterable[str] = (), **fields: Any) -> None:
        """Enqueue witnesses; they count as acknowledged."""
        done = self.try_enqueue(*ids, does=does, **fields)
        assert done == 0, f"enqueue has exited with {done}"

    def try_enqueue(self, *ids: str, does: Iterable[str] = (), **fields: Any) -> int:
        """Enqueue witnesses; the exit code. They count as acknowledged if it is 0."""
        self.asked.update(ids)
        specs = [{"args": self.witness(*does), **fields, "id": id} for id in ids]
        text = "\n".join(map(json.dumps, specs))
        code = self.flam.ctl("enqueue", "--file", "-", input=text).returncode
        if code == 0:
            self.acknowledged.update(ids)
        return code

    def start(self, count: int, faults: str = "") -> None:
        """Start a pool in the background, with faults in all of its processes."""
        code = self.try_start(count, faults)
        assert code == 0, f"worker start has exited with {code}"

    def try_start(self, count: int, faults: str = "") -> int:
        """The same, which a fault may have kept from starting; the exit code."""
        command = ("worker", "start", "--count", str(count))
        return self.flam.ctl(*command, env=self.environ(faults)).returncode

    def spawn(self, program: str, *arguments: str, faults: str = "", **options: Any) -> Running:
        """Start one of the executables and do not wait for it."""
        words = [str(SCRIPTS / program), "--home", str(self.flam.home), *arguments]
        return self.launch(words, env=self.environ(faults), **options)

    def launch(self, words: Sequence[str], **options: Any) -> Running:
        """Start any program; it is ended with the trial."""
        given = {"cwd": self.folder, "env": self.flam.environ, "stdin": subprocess.DEVNULL,
                 "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}  # fmt: skip
        running = Running(subprocess.Popen(words, **given))
        self.launched.append(running)
        return running

    def freeze(self, processes: Iterable[Process], seconds: float) -> None:
        """Stop the processes and let them go on after so long: time itself is the trial here."""
        victims = [each for each in processes if each.send(signal.SIGSTOP)]
        until(lambda: all(each.stopped or not each.alive for each in victims), "they have stopped")
        time.sleep(seconds)
        for each in victims:
            each.send(signal.SIGCONT)

    def environ(self, faults: str = "") -> dict[str, str]:
        """The environment of this trial's programs, with faults if any are asked for."""
        told = {"FLAM_FAULTS_TOLD": str(self.told)}
        asked = {"FLAM_FAULTS": f"this process may fail: {faults}", **told} if faults else {}
        return {**self.flam.environ, **asked}

    # Seeing, from outside the store

    def processes(self) -> list[Process]:
        """Every living process that this trial has started, unless it cleared its environment."""
        return marked(f"{MARK}={self.flam.environ[MARK]}".encode())

    def pool(self) -> list[Process]:
        """Supervisors and workers."""
        return [each for each in self.processes() if _is_flam_worker(each.program)]

    def supervisors(self) -> list[Process]:
        pool = self.pool()
        pids = {each.pid for each in pool}
        return [each for each in pool if each.parent not in pids]

    def workers(self) -> list[Process]:
        supervisors = {each.pid for each in self.supervisors()}
        return [each for each in self.pool() if each.parent in supervisors]

    def journal(self, what: str | None = None) -> list[Line]:
        """What the witnesses have written, in order; of one kind only if asked."""
        path = self.folder / "journal"
        text = path.read_text() if path.exists() else ""
        return [line for line in map(_line, text.splitlines()) if what in (None, line.what)]

    def faults(self) -> Counter[str]:
        """How often each fault has been hit, as ``point action``."""
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return Counter(line.rpartition(" ")[0] for line in lines)

    # Waiting, without a hand in it

    def settle(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until every job has come to its end. Nobody helps, so this is progress."""
        until(self.is_settled, "every job has come to its end", patience_seconds)

    def is_settled(self) -> bool:
        return all(state in FINAL for state in self.states().values())

    def states(self) -> dict[str, str]:
        return {job.id: job.state.value for job in self.jobs()}

    def jobs(self) -> list[Job]:
        """All jobs, by the library: a hundred times faster than a command for each look."""
        with open_store(f"sqlite:///{self.flam.home}/queue.db") as store:
            return list(store.jobs(limit=0).jobs)

    def attempts(self) -> dict[str, list[Attempt]]:
        with open_store(f"sqlite:///{self.flam.home}/queue.db") as store:
            return {job.id: list(store.attempts(job.id)) for job in store.jobs(limit=0).jobs}

    # The verdict

    def conclude(self, dead: Collection[str] = (), *, settle: bool = True) -> None:
        """Wait for the end of all work, stop the pools, and check every invariant.

        Jobs named in ``dead`` must have become dead letters, all others be completed. Without
        ``settle`` the pools are stopped at once and jobs may be unfinished.
        """
        if settle:
            self.settle()
        self.flam.ok("worker", "stop", "--now")
        self.check(dead, finished=settle)

    def check(self, dead: Collection[str] = (), *, finished: bool = True) -> None:
        """Check the invariants. The pools have been stopped."""
        states, attempts = self.states(), self.attempts()
        self._nothing_is_lost(states)
        self._no_overlap()
        self._every_start_is_an_attempt_with_an_end(attempts)
        self._what_is_completed_has_run_to_its_end(states, attempts)
        self._counters_equal_rows(states)
        self._no_process_is_left()
        if finished:
            wrong = {
                id: state for id, state in states.items()
                if state != ("dead" if id in dead else "completed")
            }  # fmt: skip
            assert not wrong, f"jobs that should have ended otherwise: {wrong}"

    def _nothing_is_lost(self, states: dict[str, str]) -> None:
        assert not self.acknowledged - states.keys(), "acknowledged jobs are lost"
        assert not states.keys() - self.asked, "there are jobs that nobody asked for"

    def _no_overlap(self) -> None:
        overlaps = self.journal("overlap")
        assert not overlaps, f"processes of one job ran side by side: {overlaps}"

    def _every_start_is_an_attempt_with_an_end(self, attempts: dict[str, list[Attempt]]) -> None:
        starts = Counter((line.job, line.attempt) for line in self.journal("start"))
        twice = {start: times for start, times in starts.items() if times > 1}
        assert not twice, f"attempts that were started more than once: {twice}"
        ended = {
            (job, each.attempt)
            for job, all_of_it in attempts.items() for each in all_of_it
            if each.finished_at is not None
        }  # fmt: skip
        assert not starts.keys() - ended, "starts that are no attempt with an end"
        known = {(job, each.attempt) for job, every in attempts.items() for each in every}
        assert not known - ended, f"attempts without an end: {known - ended}"

    def _what_is_completed_has_run_to_its_end(
        self, states: dict[str, str], attempts: dict[str, list[Attempt]]
    ) -> None:
        stops = Counter((line.job, line.attempt) for line in self.journal("stop"))
        accepted = Counter[str]()
        for job, every in attempts.items():
            numbers = [each.attempt for each in every]
            assert numbers == list(range(1, len(every) + 1)), f"{job}: attempts {numbers}"
            done = [each.attempt for each in every if each.state.value == "completed"]
            accepted[job] = len(done)
            assert all(stops[job, number] == 1 for number in done), f"{job}: success out of nothing"
        once = {job for job, times in accepted.items() if times == 1}
        completed = {job for job, state in states.items() if state == "completed"}
        assert once == completed, "completed is what has one accepted success, and nothing else"
        assert max(accepted.values(), default=0) <= 1, "a job was completed twice"

    def _counters_equal_rows(self, states: dict[str, str]) -> None:
        counted = {state: number for state, number in self.flam.counts().items() if number}
        assert counted == Counter(states.values()), "counters are not the rows"

    def _no_process_is_left(self) -> None:
        left = self.processes()
        assert not left, f"left behind: {[(each.pid, each.program) for each in left]}"
        told = [line for line in self.journal() if line.process.alive]
        assert not told, f"left behind, without a mark: {told}"


def until(
    condition: Callable[[], Any], what: str, patience_seconds: float = PATIENCE_SECONDS
) -> Any:
    """Wait for a condition, and say what was waited for when it does not come."""
    deadline, pause = time.monotonic() + patience_seconds, 0.005
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    raise AssertionError(f"waited {patience_seconds:g} s in vain until {what}")


def until_gone(*processes: Process) -> None:
    until(lambda: not any(each.alive for each in processes), f"these are gone: {processes}")


def _is_flam_worker(program: list[str]) -> bool:
    return any(Path(word).name in ("flam-worker", "flam_worker") for word in program[:4])


def _line(text: str) -> Line:
    what, job, attempt, pid, then = text.split()
    return Line(what, job, int(attempt), Process(int(pid), then))


__all__ = ["SCRIPTS", "Chaos", "Line", "Process", "Running", "born", "until", "until_gone"]
