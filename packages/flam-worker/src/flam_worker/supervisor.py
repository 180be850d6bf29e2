"""The pool: starts workers, restarts those that die, recovers what they ran, and stops them."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

import attrs

from flam_store import Store
from flam_store.config_file import read_config
from flam_store.errors import FlamError, StoreBusy, StoreNewer
from flam_store.exits import exit_code
from flam_store.opening import load_engine
from flam_store.output import Logs
from flam_store.worker import ProcessId, Registration, Role, Stop
from flam_worker import journal, kernel, tree
from flam_worker.child import Child, fork_worker
from flam_worker.housekeeping import Housekeeping
from flam_worker.identity import process_of, this_process
from flam_worker.orders import GRACEFUL, NOW
from flam_worker.pool import log_path
from flam_worker.recovery import Recovery, Stoppages
from flam_worker.service import Service
from flam_worker.settings import Settings
from flam_worker.signals import Signals

log = logging.getLogger(__name__)

_LIVED_SECONDS = 10.0
_READY_FAILURES = 3
_MOST_RESTART_DELAY_SECONDS = 30.0
_OBEY_SECONDS = 20.0
"""How long a worker may take to end its command and leave when it has to stop at once."""

_READY_SECONDS = 1.0
"""How long the first sweep waits for the workers to be ready: it may take far longer itself."""

_MOST_TICK_WAIT_SECONDS = 30.0
"""The wall clock may be set while this process waits for a tick, which goes by that."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


@attrs.define
class _Slot:
    """One place in the pool: the worker that has it, and when to fill it again."""

    child: Child | None = None
    failures: int = 0
    restart_at: float = 0.0
    retired: bool = False
    ready_pid: int | None = None

    def hear(self) -> None:
        """Learn whether its worker has registered, also of one that has ended since."""
        if self.child:
            self.child.hear()
            if self.child.ready:
                self.ready_pid = self.child.pid

    def put_off(self, child: Child) -> None:
        """Have it filled again: at once, or after a pause that grows with failures in a row.

        A worker that had been ready did start; after those the pause stays below a second.
        """
        lived = time.monotonic() - child.started > _LIVED_SECONDS
        most = _READY_FAILURES if child.ready else self.failures + 1
        self._pause(0 if lived else min(self.failures + 1, most))

    def put_off_unstarted(self) -> None:
        """The same when no worker could be forked at all."""
        self._pause(self.failures + 1)

    def _pause(self, failures: int) -> None:
        self.failures = failures
        delay = 0.0 if self.failures <= 1 else 0.1 * 2.0 ** min(self.failures, 16)
        self.restart_at = time.monotonic() + min(delay, _MOST_RESTART_DELAY_SECONDS)


class Supervisor:
    """A pool of ``settings.count`` workers. ``run`` returns the exit code when all have left.

    The store is open only during ``_look_after``, never while a worker is forked.
    """

    def __init__(self, settings: Settings, on_ready: Callable[[tuple[int, ...]], None]) -> None:
        self._settings = settings
        self._on_ready: Callable[[tuple[int, ...]], None] | None = on_ready
        self._config = settings.config
        self._signals = Signals()
        self._service = Service({} if settings.background else os.environ)
        self._slots = [_Slot() for _ in range(settings.count)]
        self._recovery = Recovery(
            logs=Logs(settings.home.logs_path),
            run_folder=settings.run_folder,
            orphans=self._orphans,
            reap=self._reap,
        )
        self._stoppages = Stoppages()
        self._housekeeping = Housekeeping(settings.home, settings.config)
        self._ended: dict[int, int] = {}
        self._stop: Stop | None = None
        self._escalate_at = float("inf")
        self._look_at = time.monotonic() + _READY_SECONDS
        self._exit_code = 0

    def run(self) -> int:
        kernel.adopt_orphans()
        self._register()
        load_engine(self._settings.store_url)
        gc.freeze()
        gc.enable()
        try:
            while not self._is_over():
                self._step()
            self._announce()
        finally:
            self._leave()
        return self._exit_code

    def _step(self) -> None:
        self._fill_slots()
        self._announce()
        if time.monotonic() >= self._look_at or self._signals.take(signal.SIGUSR1):
            self._look_after()
            self._note_the_dead()  # a sweep reaps, and what is reaped must not be signalled
        self._obey()
        if self._is_over():
            return
        self._service.beat()
        self._sleep()
        self._signals.drain()
        self._reap()
        self._note_the_dead()

    def _is_over(self) -> bool:
        return all(slot.child is None and (slot.retired or self._stop) for slot in self._slots)

    def _fill_slots(self) -> None:
        for slot in self._slots:
            vacant = slot.child is None and not slot.retired and self._stop is None
            if vacant and time.monotonic() >= slot.restart_at:
                self._fill(slot)

    def _fill(self, slot: _Slot) -> None:
        siblings = [each.child for each in self._slots if each.child]
        try:
            slot.child = fork_worker(self._settings, siblings)
        except OSError as error:
            log.error("no worker can be started now: %s", error)
            slot.put_off_unstarted()

    def _announce(self) -> None:
        for slot in self._slots:
            slot.hear()
        pids = tuple(slot.ready_pid for slot in self._slots if slot.ready_pid)
        if self._on_ready and len(pids) == len(self._slots):
            self._on_ready(pids)
            self._on_ready = None
            self._look_at = 0.0
            self._service.ready(f"workers: {len(pids)}")
            log.info("ready, workers: %s", len(pids))

    def _sleep(self) -> None:
        poller = select.poll()
        poller.register(self._signals.fd, select.POLLIN)
        for slot in self._slots:
            if slot.child and not slot.child.ready:
                poller.register(slot.child.ready_fd, select.POLLIN)
        vacant = [slot.restart_at for slot in self._slots
                  if slot.child is None and not slot.retired and self._stop is None]  # fmt: skip
        due = min([self._look_at, self._escalate_at, self._service.beat_at, *vacant])
        poller.poll(max(0.0, due - time.monotonic()) * 1000)

    def _reap(self) -> None:
        """Take away whatever child has ended, a worker's orphans too."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _orphans(self) -> tree.Processes:
        """What dead workers left: every descendant that is not a worker's of ours."""
        workers = {slot.child.pid for slot in self._slots if slot.child} - set(self._ended)
        return tree.descendants_except(os.getpid(), workers)

    def _note_the_dead(self) -> None:
        for slot in self._slots:
            if slot.child and slot.child.pid in self._ended:
                code = self._ended.pop(slot.child.pid)
                slot.hear()
                slot.child.close()
                self._vacate(slot, slot.child, code)
        self._ended.clear()

    def _vacate(self, slot: _Slot, child: Child, code: int) -> None:
        slot.child = None
        slot.retired = code == 0 and self._settings.drain and not child.is_replaced
        if not slot.retired:
            slot.ready_pid = None
        if code == 0:
            return
        log.warning("worker pid %s ended with %s", child.pid, _told(code))
        if self._on_ready and code > 0:
            self._exit_code = code
            self._ask(Stop.GRACEFUL)
        slot.put_off(child)
        self._look_at = 0.0

    def _obey(self) -> None:
        if self._service.is_there and self._signals.take(signal.SIGHUP) and self._stop is None:
            self._reload()
        asked = self._signals.seen(*_STOP_SIGNALS)
        if asked > 1:
            self._ask(Stop.NOW)
        elif asked:
            self._ask(Stop.GRACEFUL)
        if time.monotonic() < self._escalate_at:
            return
        if self._stop is Stop.GRACEFUL:
            self._ask(Stop.NOW)
        else:
            self._kill_the_deaf()

    def _ask(self, stop: Stop) -> None:
        """Pass the wish to stop on to every worker, once, and see that it is obeyed."""
        if self._stop is Stop.NOW or self._stop is stop:
            return
        log.info("stopping: %s", stop)
        self._stop = stop
        now = stop is Stop.NOW
        patience = _OBEY_SECONDS if now else self._config.shutdown_grace
        self._escalate_at = time.monotonic() + patience
        self._service.stopping(f"stopping: {stop}", patience + 2 * _OBEY_SECONDS)
        for slot in self._slots:
            if slot.child:
                slot.child.tell(NOW if now else GRACEFUL)

    def _reload(self) -> None:
        """Take the configuration anew: each worker finishes its job, and another one follows it.

        Without a service manager a SIGHUP is the terminal's end, and the pool's.
        """
        try:
            config = read_config(self._settings.home.config_path)
        except FlamError as error:
            log.error("not reloaded: %s", error)
            return
        self._service.reloading()
        log.info("reloading")
        self._config = config
        self._settings = attrs.evolve(self._settings, config=config)
        for slot in self._slots:
            if slot.child:
                slot.child.is_replaced = True
                slot.child.tell(GRACEFUL)
        self._service.ready(f"workers: {len(self._slots)}, reloaded")

    def _kill_the_deaf(self) -> None:
        self._escalate_at = time.monotonic() + _OBEY_SECONDS
        for slot in self._slots:
            if slot.child:
                log.error("worker pid %s did not stop and is killed", slot.child.pid)
                os.kill(slot.child.pid, signal.SIGKILL)

    def _register(self) -> None:
        with self._settings.open() as store:
            store.register(
                Registration(
                    id=self._settings.supervisor,
                    role=Role.SUPERVISOR,
                    process=this_process(),
                    lease=timedelta(seconds=self._config.lease_seconds),
                    queues=self._settings.queues,
                )
            )
            self._enqueue_due(store)

    def _look_after(self) -> None:
        """Renew the lease, read orders, enqueue what is due, recover what others left.

        Again in a third of a lease, or at the next tick of a schedule.
        """
        third = timedelta(seconds=self._config.lease_seconds / 3)
        self._look_at = time.monotonic() + third.total_seconds()
        try:
            with self._settings.renewed().open(patience=third) as store:
                try:
                    orders = store.renew(self._settings.supervisor)
                except StoreBusy:
                    self._look_at = 0.0  # the wait was the pause
                    self._stoppages.look(store, self._own_processes())
                    raise
                self._enqueue_due(store)  # first: a sweep may take long
                with self._service.beating():  # which waits for the ends of lost processes
                    self._recovery.sweep(store)
                self._housekeeping.look(store, third / 4)
            if not orders.known:
                self._register()
        except StoreNewer as error:
            self._make_way(error)
            return
        except (FlamError, OSError) as error:
            log.error("%s", error)
            return
        if orders.stop is not None:
            self._ask(orders.stop)
        journal.keep_short(log_path(self._settings.home))

    def _make_way(self, error: StoreNewer) -> None:
        """A later version has the queue now: end, as no order to do so could be read any more."""
        if self._stop is None:
            log.error("%s", error)
        self._exit_code = exit_code(error)
        self._ask(Stop.GRACEFUL)

    def _enqueue_due(self, store: Store) -> None:
        """Enqueue what schedules are due for, and look again when the next one is."""
        try:
            ticked = store.enqueue_due()
        except FlamError as error:  # which must keep nobody from recovering jobs
            log.error("%s", error)
            return
        for problem in ticked.problems:
            log.error("%s", problem)
        if ticked.next_in is not None:
            wait = min(ticked.next_in.total_seconds(), _MOST_TICK_WAIT_SECONDS)
            self._look_at = min(self._look_at, time.monotonic() + wait)

    def _own_processes(self) -> Mapping[ProcessId, timedelta]:
        """The workers, each with its lease, also one that is not yet registered."""
        lease = timedelta(seconds=self._config.lease_seconds)
        return {process_of(slot.child.pid): lease for slot in self._slots if slot.child}

    def _leave(self) -> None:
        try:
            with self._settings.open() as store:
                with self._service.beating():
                    self._recovery.sweep(store)
                store.forget(self._settings.supervisor)
        except (FlamError, OSError) as error:
            log.error("%s", error)


def _told(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
