"""Real pools in a data directory of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from children import lives, until

from flam_store import Job, JobSpec, State, Store, open_store
from flam_store.config_file import read_config
from flam_store.home import Home
from flam_store.job import Attempt
from flam_store.output import Logs
from flam_store.worker import ProcessId, Role, WorkerRecord
from flam_worker.identity import send
from flam_worker.pool import PoolOptions, start_pool, stop_pools

ALL_GONE_SECONDS = 60.0


class Pools:
    """Starts pools, looks at their queue, and stops what is left of them in the end."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path=path)
        self.home.ensure()
        self.url = self.home.resolve_store_url(read_config(self.home.config_path), {})
        self._foreground: list[subprocess.Popen[bytes]] = []

    def configure(self, **values: Any) -> None:
        self.home.config_path.write_text(json.dumps(values))
        self.home.config_path.chmod(0o600)

    def start(self, count: int = 1, **fields: Any) -> tuple[int, ...]:
        """Start a pool in the background; its workers' process ids."""
        given = {"store_url": None, "queues": None, "drain": False, "home": self.home.path}
        return start_pool(PoolOptions(count=count, **given | fields))

    def foreground(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        """A pool as a child of this process, which logs to the file ``log``."""
        arguments = [sys.executable, "-P", "-m", "flam_worker", "--home", str(self.home.path)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*arguments, *words], stdin=subprocess.DEVNULL, stderr=log, **more
            )
        self._foreground.append(process)
        return process

    @property
    def log(self) -> Path:
        return self.home.path.parent / "foreground.log"

    def stop(self, *, now: bool = False, timeout: float | None = ALL_GONE_SECONDS) -> int:
        with self.store() as store:
            return stop_pools(store, now=now, timeout_seconds=timeout)

    @contextmanager
    def store(self) -> Iterator[Store]:
        with open_store(self.url, config=read_config(self.home.config_path)) as store:
            yield store

    def enqueue(self, command: str, **fields: Any) -> str:
        with self.store() as store:
            return store.enqueue(JobSpec(command=command, **fields)).id

    def job(self, job_id: str) -> Job:
        with self.store() as store:
            return store.job(job_id)

    def attempts(self, job_id: str) -> tuple[Attempt, ...]:
        with self.store() as store:
            return store.attempts(job_id)

    def history(self, job_id: str) -> list[str]:
        return [attempt.state.value for attempt in self.attempts(job_id)]

    def output(self, job_id: str) -> str:
        """What its latest attempt wrote."""
        job = self.job(job_id)
        return Logs(self.home.logs_path).path_of(job.seq, job.attempt).read_text()

    def wait_for(self, job_id: str, *states: State) -> Job:
        """The job, once it is in one of these states; completed when none is named."""
        wanted = states or (State.COMPLETED,)
        with self.store() as store:
            until(lambda: store.job(job_id).state in wanted, f"{job_id} to be {wanted}")
            return store.job(job_id)

    def records(self, role: Role | None = None) -> tuple[WorkerRecord, ...]:
        with self.store() as store:
            return tuple(each for each in store.workers() if role in (None, each.role))

    def supervisor(self) -> ProcessId:
        (record,) = self.records(Role.SUPERVISOR)
        return record.process

    def worker_of(self, job_id: str) -> ProcessId:
        """The process of the worker that holds the job, once one does."""
        found: list[ProcessId] = []

        def held() -> bool:
            found[:] = [each.process for each in self.records() if each.job == job_id]
            return bool(found)

        until(held, f"a worker of {job_id}")
        return found[0]

    def kill(self, *processes: ProcessId) -> None:
        """SIGKILL, by the register's proof."""
        for process in processes:
            assert send(process, signal.SIGKILL)
        until_gone([process.pid for process in processes])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.home.database_path.exists():
                self.stop(now=True)
        finally:
            for process in self._foreground:
                if process.poll() is None:
                    process.terminate()
                process.wait(ALL_GONE_SECONDS)


def until_gone(pids: Sequence[int]) -> None:
    until(lambda: not any(map(lives, pids)), f"the end of {pids}")
