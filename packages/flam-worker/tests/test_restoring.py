from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from children import Children
from pools import Pools

from flam_store import JobSpec, State, open_store
from flam_store.errors import StoreInUse
from flam_store.worker import ProcessId, Registration, Role
from flam_worker import tree
from flam_worker.identity import boot, host, this_process
from flam_worker.restoring import restore

LEASE = timedelta(seconds=30)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A queue with "old" and "new"; the file ``backup`` beside it has only "old"."""
    url = f"sqlite:///{tmp_path}/queue.db"
    with open_store(url) as store:
        store.enqueue(JobSpec(command="true", id="old"))
        store.backup(tmp_path / "backup")
        store.enqueue(JobSpec(command="true", id="new"))
    return url


def ids(url: str) -> list[str]:
    with open_store(url) as store:
        return [job.id for job in store.jobs().jobs]


def register(url: str, process: ProcessId, lease: timedelta = LEASE) -> None:
    with open_store(url) as store:
        store.register(Registration(id="w", role=Role.WORKER, process=process, lease=lease))


DEAD = ProcessId(host=host(), boot=boot(), pid=2**22 + 9, born="1")
ELSEWHERE = ProcessId(host="elsewhere", boot="b", pid=7, born="1")


@pytest.mark.parametrize("process", [this_process(), ELSEWHERE], ids=["here", "elsewhere"])
def test_it_is_refused_while_somebody_is_at_work(
    url: str, tmp_path: Path, process: ProcessId
) -> None:
    register(url, process)
    with pytest.raises(StoreInUse) as caught:
        restore(url, tmp_path / "backup")
    assert f"pid {process.pid} on {process.host}" in str(caught.value)
    assert ids(url) == ["new", "old"]
    assert not list(tmp_path.glob("before-restore-*"))


@pytest.mark.parametrize(
    ("process", "lease"), [(DEAD, LEASE), (ELSEWHERE, timedelta(0, 0, 1000))], ids=["dead", "far"]
)
def test_the_dead_and_the_long_silent_do_not_stand_in_its_way(
    url: str, tmp_path: Path, process: ProcessId, lease: timedelta
) -> None:
    register(url, process, lease)
    os.stat(tmp_path)
    assert restore(url, tmp_path / "backup").jobs == 1
    assert ids(url) == ["old"]


def test_of_a_damaged_queue_any_process_that_has_it_open_stands_in_its_way(
    url: str, tmp_path: Path, children: Children
) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"no database " * 999)
    script = "import sys; file = open(sys.argv[1], 'rb'); print(flush=True); sys.stdin.read()"
    process = children.program(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert list(tree.users_of(str(path))) == [process.pid]
    with pytest.raises(StoreInUse, match=f"pid {process.pid}"):
        restore(url, tmp_path / "backup")
    process.kill()
    process.wait()
    assert tree.users_of(str(path)) == {}
    assert restore(url, tmp_path / "backup").jobs == 1
    assert ids(url) == ["old"]


def test_nobody_uses_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert tree.users_of(str(tmp_path / "missing")) == {}


def test_a_job_that_was_processing_is_recovered_by_the_next_pool_at_once(
    pools: Pools, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = pools.enqueue(f"[ $FLAM_ATTEMPT = 2 ] || until [ -e {gate} ]; do sleep 0.02; done")
    pools.start()
    pools.worker_of(job)
    with pools.store() as store:
        store.backup(tmp_path / "backup")
    gate.touch()
    pools.wait_for(job)
    pools.stop()
    answer = restore(pools.url, tmp_path / "backup")
    assert (answer.jobs, answer.processing) == (1, 1)
    assert pools.job(job).state is State.PROCESSING
    pools.start()
    pools.wait_for(job)
    assert pools.history(job) == ["crashed", "completed"]
