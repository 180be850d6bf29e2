from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from children import Children, until

from flam_worker.footprint import Footprint, Step, Success, Trail, erase, read
from flam_worker.identity import born, instant
from flam_worker.pace import MOST


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def footprint(folder: Path) -> Iterator[Footprint]:
    made = Footprint(folder, "worker-1")
    yield made
    made.close()


def step_in(folder: Path, name: str) -> Step | None:
    trail = read(folder, name)
    assert trail is not None
    return trail.step


def test_the_last_step_is_read_as_it_was_noted(
    folder: Path, footprint: Footprint, children: Children
) -> None:
    pid = children.sleeping().pid
    footprint.note(12, 3, pid)
    step = step_in(folder, "worker-1")
    assert step is not None
    assert step == Step(seq=12, attempt=3, pid=pid, seen=step.seen, began=step.began)
    assert float(str(born(pid))) <= step.seen <= float(instant())


def test_a_process_that_is_seen_again_is_the_same_at_a_later_time(
    folder: Path, footprint: Footprint
) -> None:
    footprint.note(1, 1, os.getpid())
    before = step_in(folder, "worker-1")

    def seen_later() -> bool:
        footprint.see()
        return step_in(folder, "worker-1") != before

    until(seen_later)
    after = step_in(folder, "worker-1")
    assert before is not None
    assert after is not None
    assert attrs.evolve(after, seen=before.seen) == before
    assert after.seen > before.seen


def test_a_later_step_takes_the_place_of_an_earlier_longer_one(
    folder: Path, footprint: Footprint
) -> None:
    footprint.note(10**15, 10**9, os.getpid())
    footprint.note(1, 1, os.getpid())
    step = step_in(folder, "worker-1")
    assert step is not None
    assert (step.seq, step.attempt, step.pid) == (1, 1, os.getpid())


def test_a_worker_that_has_started_nothing_left_nothing(folder: Path, footprint: Footprint) -> None:
    assert read(folder, "worker-1") == Trail(step=None, successes={})
    assert read(folder, "worker-2") is None
    assert read(folder / "nowhere", "worker-1") is None


@pytest.mark.parametrize(
    "content", [b"junk", b"1 2 three 4 5", b"1 2 3 4 five", b"1 2 3", b"1 2 3 4 5 6", b"\xff\x00 1"]
)
def test_what_cannot_be_read_is_nothing(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "worker-1").write_bytes(content)
    assert read(folder, "worker-1") is None


def success(seq: int, **fields: Any) -> Success:
    given: dict[str, Any] = {"exit_code": 0, "output_bytes": 7, "began": 0.1, "ended": 2e6 / 3}
    return Success(seq=seq, attempt=1, **given | fields)


def test_successes_are_read_as_they_were_kept_in_the_place_of_older_ones(
    folder: Path, footprint: Footprint
) -> None:
    footprint.begin(1, 1)
    footprint.keep(0, success(10**15, exit_code=255, output_bytes=10**15))
    footprint.keep(1, success(2))
    footprint.begin(3, 1)
    footprint.keep(0, success(3))
    footprint.begin(4, 1)
    trail = read(folder, "worker-1")
    assert trail is not None
    assert trail.successes == {(2, 1): success(2), (3, 1): success(3)}
    assert [trail.has_begun((seq, 1)) for seq in range(2, 6)] == [True, True, True, False]
    assert not trail.has_begun((4, 2))


def test_what_is_about_to_be_started_has_begun_and_has_no_process(
    folder: Path, footprint: Footprint
) -> None:
    footprint.begin(5, 2)
    step = step_in(folder, "worker-1")
    assert step is not None
    assert (step.seq, step.attempt, step.pid) == (5, 2, 0)


def test_where_there_is_no_room_there_is_no_footprint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        Footprint(folder, "worker-1")


def test_where_there_is_room_for_a_part_there_is_no_footprint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:4096], at))
    with pytest.raises(OSError, match="No space"):
        Footprint(folder, "worker-1")


def test_a_whole_group_finds_room(folder: Path, footprint: Footprint) -> None:
    for place in range(MOST):
        footprint.keep(place, success(place + 1))
    trail = read(folder, "worker-1")
    assert trail is not None
    assert len(trail.successes) == MOST


def test_who_begins_anew_has_left_nothing(folder: Path, footprint: Footprint) -> None:
    footprint.begin(1, 1)
    footprint.keep(0, success(1))
    Footprint(folder, "worker-1").close()
    assert read(folder, "worker-1") == Trail(step=None, successes={})


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
    steps = [step_in(folder, name) for name in ("worker-1", "worker-2")]
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
