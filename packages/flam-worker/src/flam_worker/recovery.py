"""What a worker that went away was running: ended, recorded, and put back.

A worker is gone when its process provably is: another boot, or no process that was born
then. It is lost when it has not renewed its lease although this process has watched its
heartbeat for that long, on its own steady clock: a jump of the wall clock makes nobody
lost. A lost worker of this host is killed first, as it might wake and start a command.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import attrs

from flam_store import Claim, Store
from flam_store.outcome import Result
from flam_store.output import Logs
from flam_store.worker import Role, WorkerRecord
from flam_worker import footprint, tree
from flam_worker.decide import decide
from flam_worker.end import Crashed
from flam_worker.environment import cookie
from flam_worker.identity import Presence, host, presence, send

log = logging.getLogger(__name__)

HEIR = ".heir"
"""The ending of the file in ``run/`` of the one who succeeds a dead supervisor."""

_GRACE_SECONDS = 2.0
_KILL_SECONDS = 5.0


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
    _heartbeats: dict[str, tuple[datetime, float]] = attrs.field(factory=dict, init=False)

    def sweep(self, store: Store) -> int:
        """Recover every worker that went away; return how many jobs were put back."""
        running = store.running()  # first: whoever claims a job is registered by then
        records = store.workers()
        known = {record.id for record in records}
        self._heartbeats = {key: seen for key, seen in self._heartbeats.items() if key in known}
        left = {record.id: how for record in records if (how := self._left(record))}
        put_back = 0
        for claim in running:
            if claim.worker in left:
                put_back += self._recover(store, claim, left[claim.worker])
            elif claim.worker not in known:
                put_back += self._recover(store, claim, "its worker is not known")
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

    def _left(self, record: WorkerRecord) -> str | None:
        """How the worker went away, or None while it has not."""
        found = presence(record.process)
        if found is Presence.GONE:
            return "its worker died"
        if not self._is_overdue(record):
            return None
        if record.role is Role.SUPERVISOR:
            # It holds no job, so that its silence is of no consequence while it may live.
            return None if found is Presence.ALIVE else "it did not renew its lease"
        if found is Presence.ALIVE and not _kill(record):
            return None
        return "its worker did not renew its lease"

    def _is_overdue(self, record: WorkerRecord) -> bool:
        now = time.monotonic()
        beat, since = self._heartbeats.get(record.id, (None, now))
        if beat != record.heartbeat_at:
            self._heartbeats[record.id] = (record.heartbeat_at, now)
            return False
        return now - since > record.lease.total_seconds()

    def _recover(self, store: Store, claim: Claim, how: str) -> int:
        if not self._end_tree(claim):
            log.error(
                "job %s: processes of attempt %s cannot be ended", claim.job.id, claim.attempt
            )
            return 0
        outcome = decide(Crashed(how), claim.job, 0.0)
        result = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=outcome)
        turn = store.finish([result], worker_id=claim.worker)
        if turn.refused:
            return 0
        log.warning("job %s: attempt %s crashed: %s", claim.job.id, claim.attempt, how)
        return 1

    def _end_tree(self, claim: Claim) -> bool:
        step = footprint.last_step(self.run_folder, claim.worker)
        ours = step is not None and (step.seq, step.attempt) == (claim.job.seq, claim.attempt)
        traces = tree.Traces(
            cookie=cookie(claim),
            log=os.path.realpath(self.logs.path_of(claim.job.seq, claim.attempt)),
            leader=step if ours else None,
        )
        return tree.end_all(
            lambda: tree.found_by(traces) | self.orphans(), _GRACE_SECONDS, self.reap
        )


def _kill(record: WorkerRecord) -> bool:
    """SIGKILL, which also ends a stopped process; whether it is gone."""
    if record.process.host != host() or not send(record.process, signal.SIGKILL):
        return False
    log.warning("worker %s (pid %s) killed: its lease ran out", record.id, record.process.pid)
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        if presence(record.process) is Presence.GONE:
            return True
        time.sleep(0.01)
    return False
