"""Pools from outside: start one in the background, see its workers, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import attrs

from flam_store import Store
from flam_store.errors import FlamError, StoreError
from flam_store.exits import NO, TIMED_OUT
from flam_store.home import Home
from flam_store.output import Logs
from flam_store.worker import Role, Stop, WorkerRecord
from flam_worker.identity import Presence, host, presence, send, usage
from flam_worker.program import program
from flam_worker.recovery import Recovery

_STEP_SECONDS = 0.02
_TELL_SECONDS = 1.0


class PoolTimeout(FlamError):
    """Workers were still there when the time ran out."""

    exit_code = TIMED_OUT

    def __init__(self, left: int, seconds: float) -> None:
        self.left = left
        self.seconds = seconds
        workers = "1 worker is" if left == 1 else f"{left} workers are"
        super().__init__(f"{workers} still running after {seconds:g} s.")


class PoolNotStarted(FlamError):
    """A pool ended before its workers were ready. ``code`` is its exit code."""

    def __init__(self, code: int, log: Path) -> None:
        self.exit_code = code
        super().__init__(f"The workers could not be started (exit code {code}). See {log}.")


@attrs.frozen(kw_only=True)
class PoolOptions:
    """A pool to be started. ``store_url`` None: as the environment and the config have it."""

    home: Path
    store_url: str | None
    count: int
    queues: tuple[str, ...] | None
    drain: bool


@attrs.frozen(kw_only=True)
class Sighting:
    """A registered worker as it is seen from this host.

    ``state`` is ``idle``, ``running``, ``stopping`` or, when its process is gone, ``lost``.
    CPU is the mean since its start in percent of a core; both uses are None where the
    process cannot be seen.
    """

    record: WorkerRecord
    state: str
    cpu_percent: float | None
    rss_bytes: int | None


def log_path(home: Home) -> Path:
    """Where pools in the background write their log."""
    return home.logs_path / "flam-worker.log"


def foreground_arguments(options: PoolOptions) -> list[str]:
    """The program and its arguments that run the pool in the foreground."""
    arguments = [*program(), "--home", str(options.home), "--count", str(options.count)]
    for queue in options.queues or ():
        arguments += ["--queue", queue]
    return [*arguments, "--drain"] if options.drain else arguments


def environment(options: PoolOptions) -> dict[str, str]:
    """The environment for those arguments; a store's URL may hold a secret, so it goes here."""
    given = {"FLAM_STORE_URL": options.store_url} if options.store_url else {}
    return {**os.environ, **given}


def start_pool(options: PoolOptions) -> tuple[int, ...]:
    """Start a pool in the background; return its workers' process ids when all are registered.

    PoolNotStarted when it ends before; StoreError when its log cannot be written.
    """
    home = Home(path=options.home)
    home.ensure()
    log_fd = _open_log(log_path(home))
    read_fd, write_fd = os.pipe()
    try:
        started = subprocess.run(
            [*foreground_arguments(options), "--ready-fd", str(write_fd)],
            stdin=subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            env=environment(options),
            pass_fds=(write_fd,),
            start_new_session=True,
            check=False,
        )
    finally:
        os.close(log_fd)
        os.close(write_fd)
        ready = open(read_fd, "rb")  # noqa: SIM115 - to be closed in any case
    with ready:
        answer = json.loads(ready.readline() or b"null")
    if isinstance(answer, list):
        return tuple(answer)
    raise PoolNotStarted(answer or max(started.returncode, 0) or NO, log_path(home))


def _open_log(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(str(path), f"cannot be written: {error.strerror}.") from error


def stop_pools(store: Store, *, now: bool, timeout_seconds: float | None) -> int:
    """Stop every pool of this store on this host, and wait until its processes are gone.

    Returns how many workers there were. They finish their jobs, or with ``now`` end them and
    put them back. PoolTimeout.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    stopped: set[str] = set()
    while records := [record for record in store.workers() if record.process.host == host()]:
        present = [record for record in records if presence(record.process) is Presence.ALIVE]
        if not present:
            break
        # The dead are told too: nobody shall succeed a supervisor that was to stop.
        store.request_stop([record.id for record in records], Stop.NOW if now else Stop.GRACEFUL)
        for record in present:
            send(record.process, signal.SIGUSR1)
        _wait_until_gone(present, deadline, timeout_seconds)
        stopped |= {record.id for record in present if record.role is Role.WORKER}
    return len(stopped)


class Holder:
    """Whoever holds a job, for one who waits until it is let go of.

    There is one for the whole wait: that a worker which cannot be seen from here has fallen
    silent shows only to who has watched it for its lease.
    """

    def __init__(self, home: Home, job_id: str) -> None:
        self._job_id = job_id
        self._recovery = recovery(home)
        self._met: tuple[str, Presence] | None = None
        self._again_at = 0.0

    def tell(self, store: Store) -> None:
        """See to it that it looks at its orders: at once when it is another, or now and then.

        If it went away, and nobody else has seen to it, its job is recovered here.
        """
        for claim in store.running():
            if claim.job.id == self._job_id:
                self._tell(store, claim.worker)

    def _tell(self, store: Store, worker_id: str) -> None:
        process = {record.id: record.process for record in store.workers()}.get(worker_id)
        met = worker_id, Presence.GONE if process is None else presence(process)
        if met == self._met and time.monotonic() < self._again_at:
            return
        self._met, self._again_at = met, time.monotonic() + _TELL_SECONDS
        if process is None or not send(process, signal.SIGUSR1):
            self._recovery.sweep(store)


def recovery(home: Home) -> Recovery:
    """Recovery from outside of any pool."""
    return Recovery(
        logs=Logs(home.logs_path),
        run_folder=home.run_path,
        orphans=dict,
        reap=lambda: None,
    )


def sightings(records: Iterable[WorkerRecord]) -> list[Sighting]:
    """What can be seen of these workers; supervisors are left out."""
    return [_sighting(record) for record in records if record.role is Role.WORKER]


def _sighting(record: WorkerRecord) -> Sighting:
    used = usage(record.process)
    cpu, rss = used or (None, None)
    return Sighting(record=record, state=_state(record), cpu_percent=cpu, rss_bytes=rss)


def _state(record: WorkerRecord) -> str:
    if presence(record.process) is Presence.GONE:
        return "lost"
    if record.stop is not None:
        return "stopping"
    return "idle" if record.job is None else "running"


def _wait_until_gone(
    records: list[WorkerRecord], deadline: float | None, timeout_seconds: float | None
) -> None:
    while left := [each for each in records if presence(each.process) is Presence.ALIVE]:
        if deadline is not None and time.monotonic() > deadline:
            workers = sum(record.role is Role.WORKER for record in left)
            raise PoolTimeout(workers, timeout_seconds or 0.0)
        time.sleep(_STEP_SECONDS)
