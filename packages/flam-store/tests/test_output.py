from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from flam_store import output
from flam_store.output import Logs, cut_mark, last_lines, pieces, read_from

MIB = 1 << 20


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield fd
    os.close(fd)


def test_an_output_is_named_by_numbers_only(logs: Logs) -> None:
    assert logs.path_of(7, 1) == logs.folder / "000" / "7-1.log"
    assert logs.path_of(1_234_567, 12) == logs.folder / "1234" / "1234567-12.log"


def test_a_folder_holds_the_outputs_of_a_thousand_jobs(logs: Logs) -> None:
    folders = {logs.path_of(seq, 1).parent for seq in range(3_000)}
    assert len(folders) == 3


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777], ids=oct)
def test_what_is_written_is_appended_and_private(logs: Logs, umask: int) -> None:
    before = os.umask(umask)
    try:
        fd = logs.create(1, 2)
    finally:
        os.umask(before)
    os.write(fd, b"one")
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"two")
    os.close(fd)
    path = logs.path_of(1, 2)
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(logs.folder.stat().st_mode) == 0o700


def test_a_file_in_place_of_the_folder_is_an_error(logs: Logs) -> None:
    logs.folder.touch()
    with pytest.raises(NotADirectoryError):
        logs.create(1, 1)


def test_an_output_is_never_overwritten(logs: Logs) -> None:
    os.close(logs.create(1, 1))
    with pytest.raises(FileExistsError):
        logs.create(1, 1)
    os.close(logs.create(1, 2))


def test_a_link_is_not_followed(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"secret")
    path = logs.path_of(1, 1)
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        logs.open(1, 1)
    with pytest.raises(FileExistsError):
        logs.create(1, 1)


def test_where_nothing_was_written_there_is_no_file(logs: Logs) -> None:
    with pytest.raises(FileNotFoundError):
        logs.open(1, 1)


def test_all_outputs_of_a_job_are_removed_and_no_other(logs: Logs) -> None:
    kept = [(1, 1), (12, 1), (2, 1), (1_001, 1)]
    for seq, attempt in [*kept, (11, 1), (11, 2), (1_011, 1)]:
        os.close(logs.create(seq, attempt))
    (logs.folder / "000" / "notes.txt").touch()
    logs.remove((11, 1_011, 5, 99_999))
    there = {path.name for path in logs.folder.rglob("*") if path.is_file()}
    assert there == {f"{seq}-{attempt}.log" for seq, attempt in kept} | {"notes.txt"}
    logs.remove(())


def test_output_is_read_piece_by_piece(fd: int) -> None:
    content = os.urandom(200_000)
    os.write(fd, content)
    assert b"".join(pieces(fd)) == content
    assert b"".join(pieces(fd, 150_000)) == content[150_000:]
    assert read_from(fd, 10, 5) == (content[10:15], 15)


def test_the_end_is_no_bytes_until_more_is_written(fd: int) -> None:
    assert read_from(fd, 0) == (b"", 0)
    os.write(fd, b"abc")
    assert read_from(fd, 0) == (b"abc", 3)
    assert read_from(fd, 3) == (b"", 3)
    assert read_from(fd, 100) == (b"", 100)
    os.write(fd, b"d")
    assert read_from(fd, 3) == (b"d", 4)


@pytest.fixture
def holed(fd: int, tmp_path: Path) -> int:
    """A MiB, a hole of a MiB, a MiB."""
    os.pwrite(fd, b"h" * MIB, 0)
    os.pwrite(fd, b"t" * MIB, 2 * MIB)
    if os.lseek(fd, 0, os.SEEK_HOLE) != MIB:
        pytest.skip("this file system keeps no holes")
    return fd


def test_a_line_stands_for_a_hole(holed: int) -> None:
    whole = b"".join(pieces(holed))
    assert whole == b"h" * MIB + cut_mark(MIB) + b"t" * MIB
    assert b"1,048,576 bytes left out" in cut_mark(MIB)


def test_offsets_stay_true_over_a_hole(holed: int) -> None:
    piece, offset = read_from(holed, MIB - 10)
    assert (piece, offset) == (b"h" * 10, MIB)
    piece, offset = read_from(holed, offset)
    assert (piece, offset) == (cut_mark(MIB), 2 * MIB)
    assert read_from(holed, offset, 3) == (b"ttt", 2 * MIB + 3)


def test_a_hole_that_is_begun_in_the_middle_tells_what_is_left_of_it(holed: int) -> None:
    assert read_from(holed, MIB + 4_096) == (cut_mark(MIB - 4_096), 2 * MIB)


def expected(content: bytes, lines: int) -> bytes:
    return b"".join(content.splitlines(keepends=True)[-lines:]) if lines else b""


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a", b"a\n", b"\n\n", b"a\nb", b"a\nb\n", b"\na", b"a\n\nb\n\n", b"\n\n\n"],
    ids=repr,
)
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 100])
def test_the_last_lines_begin_where_they_begin(fd: int, content: bytes, lines: int) -> None:
    os.write(fd, content)
    assert content[last_lines(fd, lines) :] == expected(content, lines)


@pytest.mark.parametrize("lines", [1, 2, 10, 999, 1_000, 1_001])
@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_the_last_lines_of_a_file_of_many_chunks(fd: int, lines: int, ending: bytes) -> None:
    content = b"\n".join(b"%d %s" % (n, b"x" * (n % 700)) for n in range(1_000)) + ending
    assert len(content) > 4 * output._CHUNK
    os.write(fd, content)
    assert content[last_lines(fd, lines) :] == expected(content, lines)


def test_a_line_may_be_longer_than_a_chunk(fd: int) -> None:
    content = b"first\n" + b"x" * (3 * output._CHUNK) + b"\nlast\n"
    os.write(fd, content)
    assert content[last_lines(fd, 1) :] == b"last\n"
    assert last_lines(fd, 2) == 6
    assert last_lines(fd, 3) == 0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], int]:
    path = tmp_path_factory.mktemp("output") / "file"

    def write(content: bytes) -> int:
        path.write_bytes(content)
        return os.open(path, os.O_RDONLY)

    return write


@given(
    content=st.lists(st.sampled_from([b"a", b"\n", b"bb"]), max_size=40).map(b"".join),
    lines=st.integers(0, 12),
    chunk=st.integers(1, 5),
)
@settings(database=None, deadline=None)
def test_the_last_lines_are_found_wherever_the_chunks_end(
    written: Callable[[bytes], int], content: bytes, lines: int, chunk: int
) -> None:
    before, output._CHUNK = output._CHUNK, chunk
    fd = written(content)
    try:
        assert content[last_lines(fd, lines) :] == expected(content, lines)
    finally:
        output._CHUNK = before
        os.close(fd)
