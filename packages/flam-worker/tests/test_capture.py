from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flam_store.output import Logs, cut_mark, pieces
from flam_worker import capture as capturing
from flam_worker.capture import Capture, compact
from flam_worker.kernel import punch_hole

CAP = 1 << 20


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


@pytest.fixture
def holes(tmp_path: Path) -> None:
    """Skips where the file system gives no blocks back."""
    path = tmp_path / "trial"
    path.write_bytes(b"x" * 65536)
    with path.open("r+b") as file:
        if not punch_hole(file.fileno(), 0, 65536):
            pytest.skip("no holes here")
    path.unlink()


def capture(logs: Logs, max_bytes: int) -> Capture:
    return Capture(logs, 1, 1, max_bytes)


def kept(logs: Logs) -> bytes:
    return logs.path_of(1, 1).read_bytes()


def pattern(size: int) -> bytes:
    """Bytes of which no two stretches are alike."""
    return b"".join(b"%011d\n" % n for n in range(size // 12 + 1))[:size]


def write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# Under the cap


@pytest.mark.parametrize("size", [0, 1, 4096, 9999, 10_000])
def test_output_up_to_the_cap_is_kept_byte_for_byte(logs: Logs, size: int) -> None:
    output = capture(logs, 10_000)
    write(output.fd, pattern(size))
    output.look()
    assert output.finish() == size
    assert kept(logs) == pattern(size)


def test_what_is_written_can_be_read_at_once(logs: Logs) -> None:
    output = capture(logs, CAP)
    os.write(output.fd, b"\x00\xff so far")
    assert kept(logs) == b"\x00\xff so far"
    assert output.finish() == 9


# Over the cap


@pytest.mark.parametrize(
    ("cap", "size"), [(512, 513), (513, 5000), (10_000, 10_001), (CAP, 3 * CAP)]
)
@pytest.mark.parametrize("looks", [False, True])
def test_beyond_the_cap_head_and_tail_are_kept_with_a_line_between(
    logs: Logs, cap: int, size: int, looks: bool
) -> None:
    output = capture(logs, cap)
    whole = pattern(size)
    for start in range(0, size, 65536):
        write(output.fd, whole[start : start + 65536])
        if looks:
            output.look()
    assert output.finish() == size
    head, tail = cap // 2, cap - cap // 2
    assert kept(logs) == whole[:head] + cut_mark(size - cap) + whole[-tail:]


@given(cap=st.integers(512, 40_000), parts=st.lists(st.integers(0, 20_000), max_size=8))
def test_any_output_is_kept_whole_or_as_head_and_tail(
    tmp_path_factory: pytest.TempPathFactory, cap: int, parts: list[int]
) -> None:
    logs = Logs(tmp_path_factory.mktemp("any"))
    output = capture(logs, cap)
    whole = pattern(sum(parts))
    start = 0
    for part in parts:
        write(output.fd, whole[start : start + part])
        start += part
        output.look()
    size = len(whole)
    assert output.finish() == size
    wanted = whole
    if size > cap:
        wanted = whole[: cap // 2] + cut_mark(size - cap) + whole[size - (cap - cap // 2) :]
    assert kept(logs) == wanted


def test_millions_of_short_lines_are_bounded_like_any_output(logs: Logs) -> None:
    output = capture(logs, 100_000)
    lines = b"y\n" * 32_768
    for _ in range(64):
        write(output.fd, lines)
        output.look()
    size = 64 * len(lines)
    assert output.finish() == size
    assert kept(logs) == b"y\n" * 25_000 + cut_mark(size - 100_000) + b"y\n" * 25_000


def test_a_writer_of_single_bytes_is_kept_up_with(logs: Logs) -> None:
    output = capture(logs, 4096)
    program = "import os\nfor n in range(100000): os.write(1, b'%d' % (n % 10))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=output.fd) as writer:
        while writer.poll() is None:
            output.look()
            time.sleep(0.001)
    assert output.finish() == 100_000
    digits = b"0123456789" * 10_000
    assert kept(logs) == digits[:2048] + cut_mark(100_000 - 4096) + digits[-2048:]


# While it is written


def test_the_disk_holds_little_more_than_the_cap_while_the_command_writes(
    logs: Logs, holes: None
) -> None:
    output = capture(logs, CAP)
    most = 0
    for _ in range(256):
        write(output.fd, b"z" * 65536)
        output.look()
        most = max(most, os.fstat(output.fd).st_blocks * 512)
    assert os.fstat(output.fd).st_size == 16 * CAP
    # One piece between two looks, and what the file system rounds up.
    assert most <= CAP + 65536 + 262_144
    output.finish()


def test_a_reader_sees_head_mark_and_tail_while_the_command_writes(logs: Logs, holes: None) -> None:
    output = capture(logs, CAP)
    whole = pattern(8 * CAP)
    for start in range(0, len(whole), 65536):
        write(output.fd, whole[start : start + 65536])
        output.look()
    fd = logs.open(1, 1)
    read = list(pieces(fd))
    os.close(fd)
    (at,) = (n for n, piece in enumerate(read) if piece.startswith(b"\n[flam: "))
    head, tail = b"".join(read[:at]), b"".join(read[at + 1 :])
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) >= CAP // 2
    assert len(tail) >= CAP // 2
    assert read[at] == cut_mark(len(whole) - len(head) - len(tail))
    output.finish()


def test_looks_come_often_while_output_grows_and_seldom_while_it_does_not(logs: Logs) -> None:
    output = capture(logs, CAP)

    def pause() -> float:
        before = time.monotonic()
        output.look()
        return output.look_at - before

    assert [pause() for _ in range(12)][-1] > 0.2
    os.write(output.fd, b"x")
    before = time.monotonic()
    output.look()
    assert output.look_at - time.monotonic() <= 0.011
    assert output.look_at >= before
    output.finish()


def test_where_there_are_no_holes_the_output_is_cut_at_the_end_all_the_same(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "punch_hole", lambda *_: False)
    output = capture(logs, 10_000)
    whole = pattern(100_000)
    for start in range(0, len(whole), 10_000):
        write(output.fd, whole[start : start + 10_000])
        output.look()
    assert output.finish() == 100_000
    assert kept(logs) == whole[:5000] + cut_mark(90_000) + whole[-5000:]


# Files


@pytest.fixture
def any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("size", [10, 5000])
def test_the_output_is_for_its_owner_only_whatever_the_umask(
    logs: Logs, any_umask: None, size: int
) -> None:
    output = capture(logs, 1000)
    write(output.fd, pattern(size))
    path = logs.path_of(1, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    output.finish()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_output_left_by_a_database_that_is_no_more_is_replaced(logs: Logs) -> None:
    path = logs.path_of(1, 1)
    path.parent.mkdir(parents=True)
    path.write_text("old")
    output = capture(logs, CAP)
    os.write(output.fd, b"new")
    output.finish()
    assert kept(logs) == b"new"


def test_a_link_in_place_of_the_output_is_not_followed(logs: Logs, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    path = logs.path_of(1, 1)
    path.parent.mkdir(parents=True)
    path.symlink_to(other)
    output = capture(logs, 512)
    write(output.fd, pattern(5000))
    output.finish()
    assert other.read_text() == "precious"
    assert not path.is_symlink()


def test_compaction_puts_the_whole_new_file_in_place_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "output"
    whole = pattern(50_000)
    path.write_bytes(whole)
    seen: list[tuple[bytes, bytes]] = []
    rename = os.rename

    def watched(old: str, new: str) -> None:
        seen.append((Path(old).read_bytes(), Path(new).read_bytes()))
        rename(old, new)

    monkeypatch.setattr(os, "rename", watched)
    compact(str(path), len(whole), 300, 200)
    wanted = whole[:300] + cut_mark(49_500) + whole[-200:]
    assert seen == [(wanted, whole)]
    assert path.read_bytes() == wanted


def test_compaction_lets_others_be_attended_to_after_every_piece(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "_PIECE", 100)
    output, calls = capture(logs, 1000), list[int]()
    write(output.fd, pattern(5000))
    output.finish(lambda: calls.append(1))
    assert len(calls) == 10


def test_attention_that_fails_leaves_no_copy_behind(logs: Logs) -> None:
    output = capture(logs, 1000)
    whole = pattern(5000)
    write(output.fd, whole)

    def failing() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        output.finish(failing)
    assert kept(logs) == whole
    assert [each.name for each in logs.path_of(1, 1).parent.iterdir()] == ["1-1.log"]


def test_a_reader_that_was_there_first_reads_on_in_the_long_file(logs: Logs) -> None:
    output = capture(logs, 1000)
    whole = pattern(5000)
    write(output.fd, whole)
    fd = logs.open(1, 1)
    output.finish()
    assert b"".join(pieces(fd)) == whole
    os.close(fd)
    assert len(kept(logs)) < 1200


# Trouble


def test_a_disk_that_is_full_at_the_end_leaves_the_output_as_it_is(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = capture(logs, 1000)
    whole = pattern(5000)
    write(output.fd, whole)
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    assert output.finish() == 5000
    assert kept(logs) == whole
    assert [each.name for each in logs.path_of(1, 1).parent.iterdir()] == ["1-1.log"]


def test_a_write_that_is_cut_short_is_gone_on_with(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = capture(logs, 1000)
    whole = pattern(5000)
    write(output.fd, whole)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    assert output.finish() == 5000
    assert kept(logs) == whole[:500] + cut_mark(4000) + whole[-500:]


@pytest.mark.parametrize("in_its_place", ["nothing", "a link"])
def test_a_job_that_takes_its_own_output_away_ends_no_worker(
    logs: Logs, tmp_path: Path, in_its_place: str
) -> None:
    output = capture(logs, 1000)
    write(output.fd, pattern(5000))
    path = logs.path_of(1, 1)
    path.unlink()
    if in_its_place == "a link":
        (tmp_path / "other").write_bytes(pattern(9000))
        path.symlink_to(tmp_path / "other")
    assert output.finish() == 5000
    if in_its_place == "a link":
        assert (tmp_path / "other").read_bytes() == pattern(9000)


def test_a_job_that_empties_its_own_output_loses_it_and_nothing_else(logs: Logs) -> None:
    output = capture(logs, 10_000)
    write(output.fd, pattern(50_000))
    output.look()
    os.truncate(logs.path_of(1, 1), 0)
    write(output.fd, b"rest")
    output.look()
    assert output.finish() == 4
    assert kept(logs) == b"rest"


def test_trouble_with_holes_ends_no_worker(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(capturing, "punch_hole", failing)
    output = capture(logs, 10_000)
    write(output.fd, pattern(50_000))
    output.look()
    assert output.finish() == 50_000


# The nameless file of a worker


def silent(logs: Logs, seq: int) -> Capture:
    return Capture(logs, seq, 1, CAP, worker="w")


def written_by_next(logs: Logs) -> bytes:
    """What the output of the next job has when that writes one line."""
    following = silent(logs, 2)
    os.write(following.fd, b"following\n")
    assert following.finish() == len(b"following\n")
    assert stat.S_IMODE(logs.path_of(2, 1).stat().st_mode) == 0o600
    return logs.path_of(2, 1).read_bytes()


def test_rights_that_a_silent_job_gave_to_its_output_are_not_the_next_ones(logs: Logs) -> None:
    first = silent(logs, 1)
    os.fchmod(first.fd, 0o666)
    first.finish()
    assert written_by_next(logs) == b"following\n"


def test_a_silent_job_that_kept_a_link_to_its_output_does_not_see_the_next_ones(
    logs: Logs, tmp_path: Path
) -> None:
    first = silent(logs, 1)
    os.link(logs.nameless("w"), tmp_path / "mine")
    first.finish()
    assert written_by_next(logs) == b"following\n"
    assert (tmp_path / "mine").read_bytes() == b""


def test_a_link_in_place_of_the_nameless_file_is_neither_followed_nor_in_the_way(
    logs: Logs, tmp_path: Path
) -> None:
    silent(logs, 1).finish()
    logs.nameless("w").unlink()
    logs.nameless("w").symlink_to(tmp_path / "elsewhere")
    assert written_by_next(logs) == b"following\n"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_in_place_of_the_nameless_file_is_not_in_the_way(logs: Logs) -> None:
    silent(logs, 1).finish()
    logs.nameless("w").unlink()
    logs.nameless("w").mkdir()
    assert written_by_next(logs) == b"following\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="nobody takes rights from root")
def test_a_silent_job_that_took_all_rights_from_its_output_harms_no_other(logs: Logs) -> None:
    first = silent(logs, 1)
    os.fchmod(first.fd, 0)
    first.finish()
    assert written_by_next(logs) == b"following\n"


def test_output_that_cannot_be_named_is_told_once(
    logs: Logs, caplog: pytest.LogCaptureFixture
) -> None:
    made = silent(logs, 1)
    logs.nameless("w").unlink()
    for _ in range(3):
        made.look()
    os.write(made.fd, b"lost")
    made.finish()
    assert len(caplog.records) == 1
    assert written_by_next(logs) == b"following\n"
