"""A disk without room, a disk that may not be written."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from chaos.databases import is_sound, refused
from chaos.disks import Disk
from chaos.harness import Chaos, until
from chaos.namespaces import mount, with_own_mounts
from chaos.pools import foreground
from flam_store import JobSpec, open_store
from flam_store.errors import StoreFull


def database(chaos: Chaos) -> Path:
    return chaos.flam.home / "queue.db"


def url(chaos: Chaos) -> str:
    return f"sqlite:///{database(chaos)}"


def small_disk(chaos: Chaos, size: str = "8m", files: int = 1000) -> Disk:
    disk = Disk.at(chaos.flam.home, size=size, files=files)
    chaos.configure(max_retries=0)
    return disk


def enqueue_by_itself(chaos: Chaos, id: str) -> None:
    """Without the file in which ``enqueue --file`` first looks at all of them."""
    chaos.asked.add(id)
    chaos.flam.ok("enqueue", json.dumps({"id": id, "args": chaos.witness()}))
    chaos.acknowledged.add(id)


@with_own_mounts
def test_on_a_full_disk_enqueue_says_so_and_loses_nothing(chaos: Chaos) -> None:
    disk = small_disk(chaos)
    chaos.enqueue("first")
    for leave_kib in (0, 4, 16, 36, 48, 64, 80):
        disk.fill(leave_kib * 1024)
        code = chaos.try_enqueue(f"job-{leave_kib}")
        assert code in (0, 5)
        disk.make_room()
        assert chaos.states().keys() == chaos.acknowledged
    assert len(chaos.acknowledged) < len(chaos.asked), "the disk was never full"
    disk.fill()
    refused(chaos.flam.ctl("enqueue", "--", "true"), "full")
    refused(chaos.flam.ctl("worker", "start"))
    refused(chaos.flam.ctl("worker", "start", "--foreground"), "full")
    disk.make_room()
    chaos.start(1)
    chaos.conclude()
    assert is_sound(database(chaos))


@pytest.mark.chaos
@with_own_mounts
def test_a_pool_on_a_full_disk_keeps_its_results_and_goes_on_when_there_is_room(
    chaos: Chaos,
) -> None:
    disk = small_disk(chaos)
    go = chaos.folder / "go"
    chaos.enqueue("a", "b", does=[f"until={go}"])
    chaos.enqueue("c", "d")
    with foreground(chaos, 2) as pool:
        until(lambda: len(chaos.journal("start")) == 2, "both have started")
        disk.fill()
        go.touch()
        until(lambda: len(chaos.journal("stop")) == 2, "both have ended")
        said = pool.until_logged("WARNING", "disk is full", times=6)
        refused(chaos.flam.ctl("enqueue", "--", "true"), "full")
        disk.make_room()
        chaos.settle()
    chaos.check()
    assert [job.attempts for job in chaos.jobs()] == [1] * 4
    assert pool.process.returncode == 0
    assert pauses_grow(said)


def pauses_grow(said: list[str]) -> bool:
    """Whether the last lines of the log are further apart than the first ones."""
    times = [datetime.strptime(f"{line[:23]} +0000", "%Y-%m-%d %H:%M:%S,%f %z") for line in said]
    return times[-1] - times[-3] > 1.5 * (times[2] - times[0])


@with_own_mounts
def test_no_attempt_is_used_up_when_no_output_can_be_kept(chaos: Chaos) -> None:
    disk = small_disk(chaos, files=200)
    with foreground(chaos, 1) as pool:
        disk.fill_files()
        for id in ("a", "b"):
            enqueue_by_itself(chaos, id)
        pool.until_logged("put back", "No space left on device", times=2)
        assert not chaos.journal()
        assert set(chaos.states().values()) <= {"pending", "processing"}
        disk.make_room()
        chaos.settle()
    chaos.check()
    assert [job.attempts for job in chaos.jobs()] == [1, 1]


@with_own_mounts
def test_a_checkpoint_without_room_loses_no_commit(chaos: Chaos) -> None:
    disk = small_disk(chaos, size="16m")
    asked, acknowledged = set[str](), set[str]()

    def enqueue(number: int) -> None:
        id = f"job-{number}"
        asked.add(id)
        checkpoint_is_due(database(chaos))
        store.enqueue(JobSpec(id=id, command="true", stdin="x" * 50_000))
        acknowledged.add(id)

    with open_store(url(chaos)) as store:
        store.enqueue_many(
            JobSpec(id=f"early-{number}", command="true", stdin="x" * 50_000)
            for number in range(60)
        )
        enqueue(0)  # what follows overwrites the WAL, whose blocks it has
        disk.fill()
        with pytest.raises(StoreFull):
            until_refused(enqueue)
        assert len(acknowledged) > 20, "no commit was made while no checkpoint was possible"
        assert acknowledged <= {job.id for job in store.jobs(limit=0).jobs}
        disk.make_room()
        enqueue(1000)
    with open_store(url(chaos)) as store:
        stored = {job.id for job in store.jobs(limit=0).jobs}
    assert acknowledged == {id for id in stored if id.startswith("job")}
    assert len(stored) == len(acknowledged) + 60
    assert is_sound(database(chaos))


def until_refused(enqueue: Callable[[int], None]) -> None:
    for number in range(1, 1000):
        enqueue(number)


def checkpoint_is_due(database: Path) -> None:
    """The gate's file counts the changes since the last checkpoint."""
    Path(f"{database}-gate").write_bytes((1 << 20).to_bytes(8, "little"))


@with_own_mounts
def test_on_a_read_only_file_system_every_command_says_so(chaos: Chaos) -> None:
    small_disk(chaos)
    chaos.enqueue("a")
    mount("remount", chaos.flam.home, "ro")
    for words in (["enqueue", "--", "true"], ["worker", "start"], ["worker", "stop"],
                  ["worker", "start", "--foreground"], ["list"], ["status"]):  # fmt: skip
        refused(chaos.flam.ctl(*words))
    elsewhere = chaos.flam.home / "new"
    refused(chaos.flam.run("queuectl", "--home", elsewhere, "enqueue", "--", "true"), "Read-only")
    mount("remount", chaos.flam.home, "rw")
    chaos.start(1)
    chaos.conclude()


def test_no_attempt_is_used_up_when_the_worker_has_no_descriptor_left(chaos: Chaos) -> None:
    chaos.configure(max_retries=0)
    with foreground(chaos, 1) as pool:
        (worker,) = chaos.workers()
        in_use = [int(name) for name in os.listdir(f"/proc/{worker.pid}/fd")]
        before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (max(in_use) + 1, before[1]))
        chaos.enqueue("a", "b")
        pool.until_logged("put back", "Too many open files")
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)
        chaos.settle()
        assert worker.alive
    chaos.check()
    assert [job.attempts for job in chaos.jobs()] == [1, 1]
