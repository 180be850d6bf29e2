from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from children import Children, until

from flam_worker.footprint import Footprint, Step, erase, last_step
from flam_worker.identity import born, instant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def footprint(folder: Path) -> Iterator[Footprint]:
    made = Footprint(folder, "worker-1")
    yield made
    made.close()


def test_the_last_step_is_read_as_it_was_noted(
    folder: Path, footprint: Footprint, children: Children
) -> None:
    pid = children.sleeping().pid
    footprint.note(12, 3, pid)
    step = last_step(folder, "worker-1")
    assert step is not None
    then = str(born(pid))
    assert step == Step(seq=12, attempt=3, pid=pid, born=then, seen=step.seen)
    assert float(then) <= float(step.seen) <= float(instant())


def test_a_process_that_is_seen_again_is_the_same_at_a_later_time(
    folder: Path, footprint: Footprint
) -> None:
    footprint.note(1, 1, os.getpid())
    before = last_step(folder, "worker-1")

    def seen_later() -> bool:
        footprint.see()
        return last_step(folder, "worker-1") != before

    until(seen_later)
    after = last_step(folder, "worker-1")
    assert before is not None
    assert after is not None
    assert attrs.evolve(after, seen=before.seen) == before
    assert float(after.seen) > float(before.seen)


def test_a_later_step_takes_the_place_of_an_earlier_longer_one(
    folder: Path, footprint: Footprint
) -> None:
    footprint.note(10**15, 10**9, os.getpid())
    footprint.note(1, 1, os.getpid())
    step = last_step(folder, "worker-1")
    assert step is not None
    assert (step.seq, step.attempt, step.pid) == (1, 1, os.getpid())


def test_a_process_that_has_ended_has_no_birth(folder: Path, footprint: Footprint) -> None:
    footprint.note(1, 1, 2**22 + 9)
    step = last_step(folder, "worker-1")
    assert step is not None
    assert (step.pid, step.born) == (2**22 + 9, "-")


def test_a_worker_that_has_started_nothing_left_nothing(folder: Path, footprint: Footprint) -> None:
    assert last_step(folder, "worker-1") is None
    assert last_step(folder, "worker-2") is None
    assert last_step(folder / "nowhere", "worker-1") is None


@pytest.mark.parametrize(
    "content", [b"junk", b"1 2 three 4 5", b"1 2 3", b"1 2 3 4 5 6", b"\xff\x00 1"]
)
def test_what_cannot_be_read_is_nothing(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "worker-1").write_bytes(content)
    assert last_step(folder, "worker-1") is None


def test_what_is_erased_is_gone_and_may_be_erased_again(folder: Path, footprint: Footprint) -> None:
    footprint.note(1, 1, os.getpid())
    erase(folder, "worker-1")
    assert list(folder.iterdir()) == []
    erase(folder, "worker-1")


def test_workers_do_not_disturb_each_other(folder: Path, footprint: Footprint) -> None:
    second = Footprint(folder, "worker-2")
    footprint.note(1, 1, os.getpid())
    second.note(2, 2, os.getpid())
    second.close()
    steps = [last_step(folder, name) for name in ("worker-1", "worker-2")]
    assert [step and step.seq for step in steps] == [1, 2]


def test_a_footprint_is_for_its_owner_only_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        Footprint(folder, "worker-1").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "worker-1").stat().st_mode) == 0o600


def test_a_link_in_place_of_a_footprint_is_not_followed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    folder.mkdir()
    (folder / "worker-1").symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        Footprint(folder, "worker-1")
    assert other.read_text() == "precious"
