"""A worker's life: claim, run, decide, finish; in between, wait for work or for the end."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import deque
from contextlib import suppress
from datetime import timedelta

import attrs

from flam_store import Claim, Config, Store, faults
from flam_store.errors import StoreBusy, StoreError, StoreFull
from flam_store.names import new_id
from flam_store.outcome import Completed, Result
from flam_store.output import Logs
from flam_store.worker import Orders, Registration, Role, Stop, Turn
from flam_worker import executor, footprint
from flam_worker.capture import Capture
from flam_worker.decide import decide, told
from flam_worker.end import CalledOff, Cancelled, End, Hindered, NotStarted
from flam_worker.environment import inherited, job_environment
from flam_worker.group import Ended, Group
from flam_worker.identity import this_process
from flam_worker.orders import Inbox
from flam_worker.pace import GROUP_SECONDS, PATIENCE_SECONDS, Pace
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
        self._group, self._pace = Group(), Pace()
        self._began, self._lasts = 0.0, False
        self._without_store, self._without_means = _Pause(), _Pause()

    def register(self) -> None:
        """Make the worker known, with a fresh lease. Its signals must be handled by now.

        StoreError, also when it can leave no footprint.
        """
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
        folder = self._settings.run_folder
        try:
            self._footprint = footprint.Footprint(folder, self.id)
        except OSError as error:
            problem = f"cannot take a worker's record: {error.strerror}. Mend that and try again."
            raise StoreError(str(folder), problem) from error

    def run(self) -> None:
        while True:
            turn = self._turn(want=self._pace.size)
            if len(turn.claims) < self._pace.size:
                self._pace.begin_anew()
            self._group = Group(waiting=deque(turn.claims))
            self._run_group()
            if self._hindered:
                self._turn(want=0)
                self._rest(self._without_means)
                self._hindered = False
            elif turn.claims:
                continue
            elif self._stop() or (self._settings.drain and turn.drained):
                return
            else:
                self._idle(turn)

    def leave(self) -> None:
        """Take the worker out of the register."""
        self._store.forget(self.id)
        self._footprint.close()
        footprint.erase(self._settings.run_folder, self.id)
        with suppress(OSError):
            self._logs.nameless(self.id).unlink()

    def _turn(self, want: int) -> Turn:
        """Report and claim. While the store is busy or full, keep what has ended and try again."""
        while True:
            try:
                self._attend()
                turn = self._report(0 if self._stop() else want)
            except (StoreBusy, StoreFull) as error:
                if self._stop() is Stop.NOW:
                    raise
                log.warning("%s", error)
                self._stoppages.look(self._store)
                self._rest(self._without_store if isinstance(error, StoreFull) else _Pause())
                continue
            self._without_store.reset()
            return turn

    def _report(self, want: int) -> Turn:
        """Report what has ended of the group, and claim."""
        turn = self._store.finish(
            self._group.results(time.monotonic()),
            worker_id=self.id,
            want=want,
            queues=self._settings.queues,
        )
        self._group.reported()
        for result in turn.refused:
            log.warning("attempt %s of job %s was no longer held", result.attempt, result.seq)
        return turn

    def _rest(self, pause: _Pause) -> None:
        """Wait for what is lacking, or until there are other orders."""
        stop, end = self._stop(), time.monotonic() + pause.next_seconds()
        while self._stop() is stop and (left := end - time.monotonic()) > 0:
            self._store.wait(timedelta(seconds=left), watch=self._inbox.fds)
            self._attend()

    def _run_group(self) -> None:
        """Run what was claimed together, one after the other; put the rest back."""
        group, until = self._group, time.monotonic() + GROUP_SECONDS
        if group.waiting:
            self._work(group.waiting.popleft())
        while group.waiting and time.monotonic() < until and self._may_begin():
            claim = group.waiting.popleft()
            if (claim.job.seq, claim.attempt) in self._orders.cancelled:
                group.put_back(claim)
            else:
                self._work(claim)
        group.put_all_back()

    def _may_begin(self) -> bool:
        """Whether nothing has come up that is to be seen to before another job."""
        return self._orders.known and not self._hindered and not self._stop()

    def _work(self, claim: Claim) -> None:
        job = claim.job
        self._began, self._lasts = time.monotonic(), False
        self._footprint.begin(job.seq, claim.attempt)
        faults.reach("claimed")
        end, output_bytes = self._run(claim)
        faults.reach("exited")
        ended = time.monotonic()
        outcome = decide(end, job, random.uniform(-1, 1))
        seconds = ended - self._began
        _log(claim, f"{told(outcome)} (took {seconds:.3f} s)")
        self._pace.saw(seconds)
        result = Result(
            seq=job.seq, attempt=claim.attempt, outcome=outcome, output_bytes=output_bytes
        )
        self._keep(Ended(result=result, began=self._began, ended=ended))

    def _keep(self, ended: Ended) -> None:
        """A success may wait for the group's end, as it is recorded for whoever comes after."""
        group, result = self._group, ended.result
        if isinstance(result.outcome, Completed):
            self._footprint.keep(
                len(group.ended),
                footprint.Success(
                    seq=result.seq,
                    attempt=result.attempt,
                    exit_code=result.outcome.exit_code,
                    output_bytes=result.output_bytes or 0,
                    began=ended.began,
                    ended=ended.ended,
                ),
            )
            faults.reach("kept")
        group.ended.append(ended)
        if group.waiting and not isinstance(result.outcome, Completed):
            self._turn(want=0)

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
        if now >= self._began + PATIENCE_SECONDS:
            self._take_time(claim)
        if self._stop() is Stop.NOW:
            return executor.Look(wanted=CalledOff("the worker had to stop"))
        if (claim.job.seq, claim.attempt) in self._orders.cancelled:
            return executor.Look(wanted=Cancelled())
        if not self._orders.known or now > self._renewed + 2 * third:
            return executor.Look(wanted=CalledOff("the worker lost its lease"))
        return executor.Look(again_at=self._look_again_at(now, self._renewed + third))

    def _look_again_at(self, now: float, renewal_at: float) -> float:
        if not self._lasts:
            return self._began + PATIENCE_SECONDS
        return now + _LOOK_SECONDS if self._group.ended else max(renewal_at, now + _LOOK_SECONDS)

    def _take_time(self, claim: Claim) -> None:
        """Say that this one lasts. What was claimed with it does not wait for its end."""
        if not self._lasts:
            _log(claim, "is running")
        self._lasts = True
        self._group.put_all_back()
        if self._group.ended:
            try:
                self._report(want=0)
            except StoreError as error:
                log.warning("%s", error)  # tried again at the next look

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


def _log(claim: Claim, what: str) -> None:
    fields = {"job": claim.job.id, "attempt": claim.attempt}
    log.info("job %s: attempt %s %s", claim.job.id, claim.attempt, what, extra=fields)
