"""What a worker that went away was running: ended, recorded, and put back.

A worker is gone when its process provably is: another boot, or no process that was born
then. It is lost when it has not renewed its lease although this process has watched its
heartbeat for that long, on its own steady clock: a jump of the wall clock makes nobody
lost, and neither does a time in which this process itself was stopped or waited for the
store. A lost worker of this host is killed first, as it might wake and start a command.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

import attrs

from flam_store import Claim, Store
from flam_store.outcome import Result
from flam_store.output import Logs
from flam_store.worker import ProcessId, Role, WorkerRecord
from flam_worker import footprint, tree
from flam_worker.decide import decide
from flam_worker.end import Crashed
from flam_worker.environment import cookie
from flam_worker.identity import Presence, host, is_of_this_boot, is_stopped, presence, send

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

HEIR = ".heir"
"""The ending of the file in ``run/`` of the one who succeeds a dead supervisor."""

_GRACE_SECONDS = 2.0
_KILL_SECONDS = 5.0


class Watch(Generic[K]):
    """For how long each of many has stayed the same, as far as that has been watched.

    A long time between two looks counts for half a lease: this process cannot know whether
    it was itself that was stopped, or held up, or the whole machine.
    """

    def __init__(self) -> None:
        self._same: dict[K, tuple[object, timedelta]] = {}
        self._looked = time.monotonic()

    def look(self, seen: Mapping[K, tuple[object, timedelta]]) -> set[K]:
        """Of these, each with a lease, the ones that have stayed the same for longer than that."""
        now = time.monotonic()
        passed, self._looked = timedelta(seconds=now - self._looked), now
        before, self._same = self._same, {}
        for key, (what, lease) in seen.items():
            same, duration = before.get(key, (None, timedelta(0)))
            duration = duration + min(passed, lease / 2) if same == what else timedelta(0)
            self._same[key] = (what, duration)
        return {key for key, (_, lease) in seen.items() if self._same[key][1] > lease}


class Stoppages:
    """Watches for processes that were stopped inside the store's gate.

    Such a one keeps all others from writing, and so from renewing their leases and from
    recovering what it has. Whoever finds the store busy can find it, by reading alone.
    """

    def __init__(self) -> None:
        self._stopped = Watch[ProcessId]()

    def look(self, store: Store, own: Mapping[ProcessId, timedelta] | None = None) -> int:
        """Kill those seen stopped for their lease, also of ``own``; return how many.

        To be called whenever the store has been busy for long.
        """
        leases = {record.process: record.lease for record in store.workers()} | dict(own or {})
        stopped = {process: lease for process, lease in leases.items() if is_stopped(process)}
        overdue = self._stopped.look(
            {process: ("stopped", lease) for process, lease in stopped.items()}
        )
        return sum(_kill(process, "it was stopped, and the store busy") for process in overdue)


@attrs.frozen
class _Lost:
    """A claim whose worker went away: how, and what its processes can be known by."""

    claim: Claim
    how: str
    traces: tree.Traces


@attrs.define(kw_only=True)
class Recovery:
    """Watches the other workers of a store and recovers those that went away.

    ``orphans`` finds processes that were left to this one by dead workers of its own, and
    ``reap`` takes those away that have ended.
    """

    logs: Logs
    run_folder: Path
    orphans: Callable[[], tree.Processes]
    reap: Callable[[], None]
    _heartbeats: Watch[str] = attrs.field(factory=Watch, init=False)

    def sweep(self, store: Store) -> int:
        """Recover every worker that went away; return how many jobs were put back."""
        running = store.running()  # first: whoever claims a job is registered by then
        records = store.workers()
        known = {record.id: record for record in records}
        overdue = self._heartbeats.look(
            {each.id: (each.heartbeat_at, each.lease) for each in records}
        )
        left = {each.id: how for each in records if (how := _left(each, overdue))}
        put_back = self._recover(
            store,
            [
                _Lost(claim, how, self._traces(claim, known.get(claim.worker)))
                for claim in running
                if (how := left.get(claim.worker) or _unknown(claim, known))
            ],
        )
        if left:
            self._forget(store, left)
        return put_back

    def _forget(self, store: Store, gone: Iterable[str]) -> None:
        """Whoever still holds a job, as its processes could not be ended, is kept for later."""
        holding = {claim.worker for claim in store.running()}
        for worker_id in gone:
            if worker_id not in holding:
                store.forget(worker_id)
                footprint.erase(self.run_folder, worker_id)
            footprint.erase(self.run_folder, f"{worker_id}{HEIR}")

    def _recover(self, store: Store, lost: Collection[_Lost]) -> int:
        """Record each as crashed whose processes are gone; return how many were put back."""
        return sum(self._put_back(store, each) for each in self._ended(lost))

    def _ended(self, lost: Collection[_Lost]) -> Collection[_Lost]:
        """End the processes of all in one time of grace; return those of which none is left."""
        everyone = [each.traces for each in lost]
        if not lost or tree.end_all(lambda: self._found(everyone), _GRACE_SECONDS, self.reap):
            return lost
        gone = []
        for each in lost:
            # Twice, as one look may miss what is just being started.
            if any(self._found([each.traces]) for _ in range(2)):
                log.error("job %s: processes of attempt %s cannot be ended",
                          each.claim.job.id, each.claim.attempt)  # fmt: skip
            else:
                gone.append(each)
        return gone

    def _found(self, everyone: Iterable[tree.Traces]) -> tree.Processes:
        """What is left of these, and orphans, which may be of any of them."""
        found = self.orphans()
        for traces in everyone:
            found = found | tree.found_by(traces)
        return found

    def _put_back(self, store: Store, lost: _Lost) -> int:
        claim = lost.claim
        outcome = decide(Crashed(lost.how), claim.job, 0.0)
        result = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=outcome)
        if store.finish([result], worker_id=claim.worker).refused:
            return 0
        log.warning("job %s: attempt %s crashed: %s", claim.job.id, claim.attempt, lost.how)
        return 1

    def _traces(self, claim: Claim, worker: WorkerRecord | None) -> tree.Traces:
        step = footprint.last_step(self.run_folder, claim.worker)
        ours = step is not None and (step.seq, step.attempt) == (claim.job.seq, claim.attempt)
        # After a reboot the same pid, born as long after it, may be anybody's.
        means_the_same = worker is not None and is_of_this_boot(worker.process)
        return tree.Traces(
            cookie=cookie(claim),
            log=os.path.realpath(self.logs.path_of(claim.job.seq, claim.attempt)),
            leader=step if ours and means_the_same else None,
        )


def _unknown(claim: Claim, known: Collection[str]) -> str | None:
    return None if claim.worker in known else "its worker is not known"


def _left(record: WorkerRecord, overdue: Collection[str]) -> str | None:
    """How the worker went away, or None while it has not."""
    found = presence(record.process)
    if found is Presence.GONE:
        return "its worker died"
    if record.id not in overdue:
        return None
    if record.role is Role.SUPERVISOR:
        # It holds no job, so that its silence is of no consequence while it may live.
        return None if found is Presence.ALIVE else "it did not renew its lease"
    if found is Presence.ALIVE and not _kill(record.process, "its lease ran out"):
        return None
    return "its worker did not renew its lease"


def _kill(process: ProcessId, why: str) -> bool:
    """SIGKILL, which also ends a stopped process; whether it is gone."""
    if process.host != host() or not send(process, signal.SIGKILL):
        return False
    log.warning("pid %s killed: %s", process.pid, why)
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        if presence(process) is Presence.GONE:
            return True
        time.sleep(0.01)
    return False
