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
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

import attrs

from flam_store import Claim, Store
from flam_store.outcome import Completed, Released, Result, When
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
    """A claim whose worker went away: how, and what it left, if that can be relied on."""

    claim: Claim
    how: str
    trail: footprint.Trail | None

    @property
    def fence(self) -> footprint.Fence:
        return self.claim.job.seq, self.claim.attempt

    @property
    def has_begun(self) -> bool:
        """Whether its command may have been started."""
        return self.trail is None or self.trail.has_begun(self.fence)

    @property
    def step(self) -> footprint.Step | None:
        """What it began last, if that is this attempt."""
        step = self.trail.step if self.trail else None
        return step if step and (step.seq, step.attempt) == self.fence else None

    @property
    def success(self) -> footprint.Success | None:
        return None if self.trail is None else self.trail.successes.get(self.fence)


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
        lost = [
            _Lost(claim, how, self._trail(known.get(claim.worker)))
            for claim in running
            if (how := left.get(claim.worker) or _unknown(claim, known))
        ]
        put_back = self._recover(store, lost)
        if lost or left:
            self._forget(store, {*left, *(each.claim.worker for each in lost)})
        return put_back

    def _forget(self, store: Store, gone: Iterable[str]) -> None:
        """Whoever still holds a job, as its processes could not be ended, is kept for later."""
        holding = {claim.worker for claim in store.running()}
        for worker_id in gone:
            if worker_id not in holding:
                store.forget(worker_id)
                footprint.erase(self.run_folder, worker_id)
                with suppress(OSError):
                    self.logs.nameless(worker_id).unlink()
            footprint.erase(self.run_folder, f"{worker_id}{HEIR}")

    def _recover(self, store: Store, lost: Collection[_Lost]) -> int:
        """Record what became of each whose processes are gone; return how many were put back.

        What had ended, and what was never begun, has none.
        """
        running = [each for each in lost if each.has_begun and each.success is None]
        settled = [each for each in lost if not each.has_begun or each.success is not None]
        return sum(self._record(store, each) for each in (*settled, *self._ended(running)))

    def _ended(self, lost: Collection[_Lost]) -> Collection[_Lost]:
        """End the processes of all in one time of grace; return those of which none is left."""
        everyone = [self._traces(each) for each in lost]
        if not lost or tree.end_all(lambda: self._found(everyone), _GRACE_SECONDS, self.reap):
            return lost
        gone = []
        for each in lost:
            # Twice, as one look may miss what is just being started.
            if any(self._found([self._traces(each)]) for _ in range(2)):
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

    def _record(self, store: Store, lost: _Lost) -> int:
        """Record what became of it; 1 if it was put back."""
        claim, success = lost.claim, lost.success
        if success is not None:
            result, what = _completed(success), "had completed"
        elif lost.has_begun:
            self._name_output(lost)
            result, what = _crashed(lost), "crashed"
        else:
            result, what = _not_begun(lost), "was not begun"
        if store.finish([result], worker_id=claim.worker).refused:
            return 0
        log.warning("job %s: attempt %s %s: %s", claim.job.id, claim.attempt, what, lost.how)
        return int(success is None)

    def _name_output(self, lost: _Lost) -> None:
        """Keep what it had written while it was too young to have a file of its own."""
        if lost.step is None:
            return
        with suppress(OSError):
            if not os.path.lexists(self.logs.path_of(*lost.fence)):
                self.logs.name(lost.claim.worker, *lost.fence)

    def _trail(self, worker: WorkerRecord | None) -> footprint.Trail | None:
        """What it left, unless that is of another boot: then it may never have reached the disk.

        Then, too, a pid that is the same, and born as long after the boot, may be anybody's.
        """
        if worker is None or not is_of_this_boot(worker.process):
            return None
        return footprint.read(self.run_folder, worker.id)

    def _traces(self, lost: _Lost) -> tree.Traces:
        claim = lost.claim
        step = lost.step
        named = self.logs.path_of(*lost.fence)
        return tree.Traces(
            cookie=cookie(claim),
            logs=frozenset(map(os.path.realpath, (named, self.logs.nameless(claim.worker)))),
            leader=step if step and step.pid else None,
        )


def _completed(success: footprint.Success) -> Result:
    now = time.monotonic()
    return Result(
        seq=success.seq,
        attempt=success.attempt,
        outcome=Completed(exit_code=success.exit_code),
        output_bytes=success.output_bytes,
        when=_when(now - success.began, now - success.ended),
    )


def _crashed(lost: _Lost) -> Result:
    seq, attempt = lost.fence
    outcome = decide(Crashed(lost.how), lost.claim.job, 0.0)
    step = lost.step
    when = None if step is None else _when(time.monotonic() - step.began, 0.0)
    return Result(seq=seq, attempt=attempt, outcome=outcome, when=when)


def _not_begun(lost: _Lost) -> Result:
    seq, attempt = lost.fence
    return Result(
        seq=seq, attempt=attempt, outcome=Released(reason=f"{lost.how} before it was begun")
    )


def _when(began_ago: float, ended_ago: float) -> When:
    return When(began_ago=timedelta(seconds=began_ago), ended_ago=timedelta(seconds=ended_ago))


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
