"""A data directory, queuectl in this process or another, and jobs in the states of a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from flam_cli.app import main
from flam_store import JobSpec, Store, open_store
from flam_store.home import Home
from flam_store.outcome import Completed, Dead, Failure, Outcome, Result, Retry
from flam_store.output import Logs
from flam_store.state import AttemptState
from flam_store.worker import ProcessId, Registration, Role

SOURCES = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)


@attrs.frozen
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def ids(self) -> list[str]:
        return self.out.split()


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The data directory that commands find; nothing is there yet."""
    for name in [name for name in os.environ if name.startswith(("FLAM_", "_QUEUECTL"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLAM_HOME", str(tmp_path / "data"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Home(path=tmp_path / "data")


@pytest.fixture
def queuectl(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """queuectl as a process of its own; ``words`` may be bytes."""

    def run(
        *words: str | bytes, stdin: bytes = b"", **settings: Any
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "PYTHONPATH": SOURCES, **settings.pop("env", {})}
        program = [sys.executable, "-m", "flam_cli", *words]
        return subprocess.run(
            program,
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
            **settings,
        )

    return run


class Workshop:
    """Brings jobs into states as a worker would."""

    def __init__(self, store: Store, logs: Logs) -> None:
        self.store = store
        self.logs = logs

    def running(self, job_id: str, output: bytes = b"", **fields: Any) -> Result:
        """A job that runs; what is given back completes it."""
        self.store.enqueue(JobSpec(id=job_id, **({"command": "true"} | fields)))
        return self.again(job_id, output)

    def again(self, job_id: str, output: bytes = b"") -> Result:
        """Start the job that is due, which must be this one."""
        me = ProcessId(host="elsewhere", boot="b", pid=4, born="1")
        self.store.register(
            Registration(id="w", role=Role.WORKER, process=me, lease=timedelta(minutes=1))
        )
        (claim,) = self.store.finish([], worker_id="w", want=1).claims
        assert claim.job.id == job_id
        fd = self.logs.create(claim.job.seq, claim.attempt)
        os.write(fd, output)
        os.close(fd)
        return Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())

    def end(self, result: Result, outcome: Outcome) -> None:
        self.store.finish([attrs.evolve(result, outcome=outcome)], worker_id="w")
        self.store.forget("w")

    def completed(self, job_id: str, output: bytes = b"", **fields: Any) -> None:
        self.end(self.running(job_id, output, **fields), Completed())

    def dead(self, job_id: str, output: bytes = b"", **fields: Any) -> None:
        self.end(self.running(job_id, output, **fields), Dead(failure=FAILURE))

    def failed(self, job_id: str, output: bytes = b"", **fields: Any) -> None:
        outcome = Retry(failure=FAILURE, delay=timedelta(0))
        self.end(self.running(job_id, output, **fields), outcome)


FAILURE = Failure(
    state=AttemptState.FAILED, cause="exit 1", error="exit code 1", exit_code=1, signal=None
)


@pytest.fixture
def workshop(home: Home) -> Iterator[Workshop]:
    home.ensure()
    with open_store(f"sqlite:///{home.database_path}") as store:
        yield Workshop(store, Logs(home.logs_path))
