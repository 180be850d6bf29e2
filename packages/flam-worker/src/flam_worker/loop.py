"""A worker's life: claim, run, decide, finish; in between, wait for work or for the end."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Sequence
from datetime import timedelta

import attrs

from flam_store import Claim, Config, Store, faults
from flam_store.errors import StoreBusy, StoreError, StoreFull
from flam_store.names import new_id
from flam_store.outcome import Result
from flam_store.output import Logs
from flam_store.worker import Orders, Registration, Role, Stop, Turn
from flam_worker import executor, footprint
from flam_worker.capture import Capture
from flam_worker.decide import decide, told
from flam_worker.end import CalledOff, Cancelled, End, Hindered, NotStarted
from flam_worker.environment import inherited, job_environment
from flam_worker.identity import this_process
from flam_worker.orders import Inbox
from flam_worker.recovery import Stoppages
from flam_worker.settings import Settings
from flam_worker.spawn import Command

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.5, 10.0


@attrs.define
class _Pause:
    """How long to wait for what is lacking: twice as long each time in a row."""

    _seconds: float = 0.0

    def next_seconds(self) -> float:
        longer = max(2 * self._seconds, _LEAST_PAUSE_SECONDS)
        self._seconds = min(longer, _MOST_PAUSE_SECONDS)
        return self._seconds

    def reset(self) -> None:
        self._seconds = 0.0


class Worker:
    """One worker. ``run`` returns when it has to stop, or when a drain has nothing left."""

    def __init__(self, settings: Settings, config: Config, store: Store, inbox: Inbox) -> None:
        self.id = new_id()
        self._settings = settings
        self._config = config
        self._store = store
        self._inbox = inbox
        self._logs = Logs(settings.home.logs_path)
        self._environ = inherited({**os.environ, "FLAM_HOME": str(settings.home.path)})
        self._stoppages = Stoppages()
        self._orders = Orders(known=True)
        self._renewed = time.monotonic()
        self._hindered = False
        self._without_store, self._without_means = _Pause(), _Pause()

    def register(self) -> None:
        """Make the worker known, with a fresh lease. Its signals must be handled by now."""
        registration = Registration(
            id=self.id,
            role=Role.WORKER,
            process=this_process(),
            lease=timedelta(seconds=self._config.lease_seconds),
            supervisor=self._settings.supervisor,
            queues=self._settings.queues,
        )
        self._store.register(registration)
        self._renewed = time.monotonic()
        self._footprint = footprint.Footprint(self._settings.run_folder, self.id)

    def run(self) -> None:
        results: Sequence[Result] = ()
        while True:
            turn = self._turn(results)
            results = [self._work(claim) for claim in turn.claims]
            if self._hindered:
                self._turn(results, want=0)
                self._rest(self._without_means)
                self._hindered, results = False, ()
                continue
            if results:
                continue
            if self._stop() or (self._settings.drain and turn.drained):
                return
            self._idle(turn)

    def leave(self) -> None:
        """Take the worker out of the register."""
        self._store.forget(self.id)
        self._footprint.close()
        footprint.erase(self._settings.run_folder, self.id)
        self._logs.nameless(self.id).unlink(missing_ok=True)

    def _turn(self, results: Sequence[Result], want: int = 1) -> Turn:
        """Record results and claim. While the store is busy or full, keep them and try again."""
        while True:
            try:
                self._attend()
                turn = self._store.finish(
                    results,
                    worker_id=self.id,
                    want=0 if self._stop() else want,
                    queues=self._settings.queues,
                )
            except (StoreBusy, StoreFull) as error:
                if self._stop() is Stop.NOW:
                    raise
                log.warning("%s", error)
                self._stoppages.look(self._store)
                self._rest(self._without_store if isinstance(error, StoreFull) else _Pause())
                continue
            self._without_store.reset()
            for result in turn.refused:
                log.warning("attempt %s of job %s was no longer held", result.attempt, result.seq)
            return turn

    def _rest(self, pause: _Pause) -> None:
        """Wait for what is lacking, or until there are other orders."""
        stop, end = self._stop(), time.monotonic() + pause.next_seconds()
        while self._stop() is stop and (left := end - time.monotonic()) > 0:
            self._store.wait(timedelta(seconds=left), watch=self._inbox.fds)
            self._attend()

    def _work(self, claim: Claim) -> Result:
        job = claim.job
        log.info("job %s: attempt %s started", job.id, claim.attempt)
        faults.reach("claimed")
        end, output_bytes = self._run(claim)
        faults.reach("exited")
        outcome = decide(end, job, random.uniform(-1, 1))
        log.info("job %s: attempt %s %s", job.id, claim.attempt, told(outcome))
        return Result(
            seq=job.seq, attempt=claim.attempt, outcome=outcome, output_bytes=output_bytes
        )

    def _run(self, claim: Claim) -> tuple[End, int | None]:
        job = claim.job
        command = Command(
            shell=job.command,
            args=job.args,
            environment=job_environment(claim, self._environ),
            directory=job.cwd,
            stdin=job.stdin,
            timeout=job.timeout,
        )
        attention = executor.Attention(
            fds=self._inbox.fds,
            look=lambda: self._look(claim),
            renew=self._attend,
            started=lambda pid: self._started(claim, pid),
        )
        try:
            capture = Capture(
                self._logs, job.seq, claim.attempt, self._config.log_max_bytes, worker=self.id
            )
        except OSError as error:
            problem = f"its output cannot be kept: {error}"
            self._hindered = executor.is_shortage(error)
            return Hindered(problem) if self._hindered else NotStarted(problem), None
        try:
            end = executor.run(command, capture, attention)
        finally:
            output_bytes = capture.finish(self._attend)
        self._hindered = isinstance(end, Hindered)
        return end, output_bytes

    def _started(self, claim: Claim, pid: int) -> None:
        faults.reach("spawned")
        self._footprint.note(claim.job.seq, claim.attempt, pid)
        self._without_means.reset()

    def _look(self, claim: Claim) -> executor.Look:
        """Attend to orders and to the lease while a command runs."""
        self._footprint.see()
        self._attend()
        third = self._config.lease_seconds / 3
        now = time.monotonic()
        if self._stop() is Stop.NOW:
            return executor.Look(wanted=CalledOff("the worker had to stop"))
        if (claim.job.seq, claim.attempt) in self._orders.cancelled:
            return executor.Look(wanted=Cancelled())
        if not self._orders.known or now > self._renewed + 2 * third:
            return executor.Look(wanted=CalledOff("the worker lost its lease"))
        return executor.Look(again_at=max(self._renewed + third, now + _LOOK_SECONDS))

    def _idle(self, turn: Turn) -> None:
        until_renewal = self._renewed + self._config.lease_seconds / 3 - time.monotonic()
        timeout = timedelta(seconds=max(0.0, until_renewal))
        if turn.next_due_in is not None:
            timeout = min(timeout, turn.next_due_in)
        self._store.wait(timeout, watch=self._inbox.fds)
        self._attend()
        if not self._orders.known:
            self.register()
            self._orders = Orders(known=True)

    def _stop(self) -> Stop | None:
        asked = (self._inbox.stop(), self._orders.stop)
        return Stop.NOW if Stop.NOW in asked else asked[0] or asked[1]

    def _attend(self) -> None:
        self._inbox.read()
        if time.monotonic() >= self._renewed + self._config.lease_seconds / 3:
            self._renew()
        elif self._inbox.nudged():
            self._orders = self._store.orders(self.id)

    def _renew(self) -> None:
        try:
            self._orders = self._store.renew(self.id)
        except (StoreBusy, StoreFull):
            self._stoppages.look(self._store)
            # Nobody else can write either, so nobody takes the lease away meanwhile.
            self._renewed = time.monotonic() - self._config.lease_seconds / 3 + 1.0
        except StoreError as error:
            log.warning("the lease cannot be renewed: %s", error)
        else:
            self._renewed = time.monotonic()
