"""The database's files: their modes, whose they are, and what is left as it was found."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from forking import Children

from flam_store import JobFilter, State, open_store
from flam_store.errors import (
    FlamError,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreLost,
    StoreNewer,
    StoreUrlError,
    UnsafeError,
)
from flam_store.sqlite import session
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.schema import KNOWN
from flam_store.testing.given import OUTCOMES, everything, run, spec


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def filled(path: Path, jobs: int = 3) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 2000) for n in range(jobs))


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_every_file_is_private_whatever_the_umask(
    umask: int, path: Path, children: Children
) -> None:
    def modes() -> dict[str, int]:
        os.umask(umask)
        with open_store(url(path)) as store:
            store.enqueue(spec("j"))
            store.wait(timedelta(0))
            names = ("", "-wal", "-shm", "-gate", "-bells")
            found = {name: mode(f"{path}{name}") for name in names}
            (bell,) = Path(f"{path}-bells").iterdir()
            return found | {"bell": mode(bell)}

    assert children.start(modes).answer() == {
        "": 0o600, "-wal": 0o600, "-shm": 0o600, "-gate": 0o600, "-bells": 0o700, "bell": 0o600
    }  # fmt: skip


def test_a_reader_makes_nothing_and_sees_an_empty_queue(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "queue.db"
    with open_store(url(path), create=False) as store:
        assert everything(store) == ((), ())
        assert store.overview().counts == dict.fromkeys(State, 0)
        assert store.workers() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_queue_that_is_kept_nowhere_rings_no_bell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory-bells").mkdir()
    file = tmp_path / "memory-bells" / "file"
    file.write_bytes(b"")
    with open_store(url(tmp_path / "missing.db"), create=False) as store:
        store.enqueue(spec("j"))
    assert file.read_bytes() == b""


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")
        db.commit()


def with_another_id(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 7")


def foreign_with_a_wal(path: Path) -> None:
    """A database whose program died: what it committed is in its -wal only."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE theirs (x)")
        db.commit()
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM theirs").fetchall()
        db.executemany("INSERT INTO theirs VALUES (?)", [("x" * 500,)] * 100)
        db.commit()
        wal = Path(f"{path}-wal").read_bytes()
        main = path.read_bytes()
        reader.close()
    path.write_bytes(main)
    Path(f"{path}-wal").write_bytes(wal)


def newer(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {KNOWN + 1}")


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def truncated(path: Path) -> None:
    filled(path, jobs=50)
    os.truncate(path, path.stat().st_size // 2)


def truncated_within_the_header(path: Path) -> None:
    filled(path)
    os.truncate(path, 60)


REFUSED: dict[Callable[[Path], None], type[FlamError]] = {
    foreign: StoreForeign,
    with_another_id: StoreForeign,
    foreign_with_a_wal: StoreForeign,
    newer: StoreNewer,
    garbage: StoreDamaged,
    truncated: StoreDamaged,
    truncated_within_the_header: StoreDamaged,
}


def hashes(path: Path) -> dict[str, str]:
    """Of what holds data: an empty -wal, and the index beside it, come and go with a look."""
    names = (path, Path(f"{path}-wal"), Path(f"{path}-journal"))
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest()
            for each in names if each.exists() and each.stat().st_size}  # fmt: skip


@pytest.mark.parametrize("make", REFUSED)
@pytest.mark.parametrize("create", [True, False])
def test_what_is_no_sound_database_of_ours_is_left_bit_for_bit(
    make: Callable[[Path], None], create: bool, path: Path
) -> None:
    make(path)
    path.chmod(0o600)
    beside = {each.name for each in path.parent.iterdir()} | {
        f"{path.name}-shm", f"{path.name}-wal"
    }  # fmt: skip
    before = hashes(path)
    for _ in range(2):
        with pytest.raises(REFUSED[make]) as caught:
            open_store(url(path), create=create)
        assert str(path) in str(caught.value)
        assert hashes(path) == before
    assert {each.name for each in path.parent.iterdir()} <= beside


def test_damage_found_later_is_an_error_and_changes_nothing(path: Path) -> None:
    filled(path, jobs=200)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 40_000] = os.urandom(40_000)
    path.write_bytes(whole)
    store = open_store(url(path))
    with pytest.raises(StoreError):
        store.jobs(limit=0)
    store.close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("create", [True, False])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, create: bool) -> None:
    target, link = tmp_path / "target.db", tmp_path / "queue.db"
    filled(target)
    link.symlink_to(target)
    before = hashes(target)
    with pytest.raises(UnsafeError):
        open_store(url(link), create=create)
    assert hashes(target) == before
    target.unlink()
    with pytest.raises(UnsafeError):
        open_store(url(link), create=create)
    assert not target.exists()


def test_a_link_in_place_of_the_gate_is_not_followed(tmp_path: Path, path: Path) -> None:
    filled(path)
    target = tmp_path / "target"
    os.unlink(f"{path}-gate")
    os.symlink(target, f"{path}-gate")
    with pytest.raises(UnsafeError, match="gate"):
        open_store(url(path))
    with pytest.raises(StoreError, match="gate"):
        Gate(str(path))
    assert not target.exists()


BESIDE = ["-wal", "-shm", "-journal", "-gate", "-bells"]


@pytest.mark.parametrize("ending", BESIDE)
def test_a_link_beside_the_database_is_refused(ending: str, tmp_path: Path, path: Path) -> None:
    filled(path)
    (tmp_path / "target").touch(mode=0o600)
    beside = Path(f"{path}{ending}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(tmp_path / "target")
    with pytest.raises(UnsafeError, match=f"{ending} is a symbolic link"):
        open_store(url(path))
    assert (tmp_path / "target").read_bytes() == b""


@pytest.mark.parametrize("ending", BESIDE)
def test_what_others_can_write_beside_the_database_is_refused(ending: str, path: Path) -> None:
    filled(path)
    beside = Path(f"{path}{ending}")
    beside.unlink(missing_ok=True)
    if ending == "-bells":
        beside.mkdir()
    else:
        beside.touch()
    beside.chmod(0o720)
    with pytest.raises(UnsafeError, match=f"{ending} can be written by others"):
        open_store(url(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("ending", BESIDE)
def test_what_belongs_to_another_user_beside_the_database_is_refused(
    ending: str, path: Path
) -> None:
    filled(path)
    beside = Path(f"{path}{ending}")
    beside.touch(mode=0o600)
    os.chown(beside, 12345, -1)
    with pytest.raises(UnsafeError, match=f"{ending} belongs to another user"):
        open_store(url(path))


@pytest.mark.parametrize("ending", BESIDE[:-1])
def test_what_is_no_file_beside_the_database_is_refused(ending: str, path: Path) -> None:
    filled(path)
    beside = Path(f"{path}{ending}")
    beside.unlink(missing_ok=True)
    os.mkfifo(beside, 0o600)
    with pytest.raises(UnsafeError, match=f"{ending} is no regular file"):
        open_store(url(path))


@pytest.mark.parametrize("loose", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_can_write_is_refused_and_nothing_made_in_it(
    loose: int, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(loose)
    with pytest.raises(UnsafeError, match="can be written by everybody"):
        open_store(url(folder / "queue.db"))
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)
    filled(folder / "queue.db")
    folder.chmod(loose)
    with pytest.raises(UnsafeError, match="can be written by everybody"):
        open_store(url(folder / "queue.db"), create=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    with pytest.raises(UnsafeError, match="belongs to another user"):
        open_store(url(folder / "queue.db"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("usual", [0o700, 0o755, 0o775])
def test_a_name_without_a_folder_is_a_queue_in_the_usual_working_directory(
    usual: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(usual)
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///queue.db") as store:
        assert store.enqueue(spec("j")).id == "j"


@pytest.mark.parametrize("loose", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(path: Path, loose: int) -> None:
    filled(path)
    path.chmod(loose)
    with pytest.raises(UnsafeError) as caught:
        open_store(url(path))
    assert f"chmod 600 {path}" in str(caught.value)
    assert mode(path) == loose


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("folder", "fifo"):
        with pytest.raises(UnsafeError):
            open_store(url(tmp_path / name))


def test_a_missing_folder_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(url(tmp_path / "missing" / "queue.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["sqlite:///", "sqlite:////", "sqlite:///a/", "sqlite:///:memory:",
                                  "sqlite:///a%00b", "sqlite:////dir/:memory:"])  # fmt: skip
def test_a_url_that_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(StoreUrlError):
        open_store(text)


@pytest.mark.parametrize("name", ["a b?c#d%e.db", "caf\u00e9.db", "100%.db", "a&mode=memory.db"])
def test_any_name_of_a_file_can_be_opened(tmp_path: Path, name: str) -> None:
    with open_store(f"sqlite:///{quote(str(tmp_path / name))}") as store:
        store.enqueue(spec("j"))
    assert (tmp_path / name).stat().st_size > 0
    with open_store(f"sqlite:///{quote(str(tmp_path / name))}") as store:
        assert store.job("j").id == "j"


def test_an_empty_file_becomes_a_queue(path: Path) -> None:
    path.touch(mode=0o600)
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_LOOK_SECONDS", -1.0)


@pytest.mark.usefixtures("looks_always")
def test_a_handle_notices_that_its_file_was_replaced(tmp_path: Path, path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        path.rename(tmp_path / "moved.db")
        filled(path)
        for _ in range(2):
            with pytest.raises(StoreLost):
                store.enqueue(spec("lost"))
        with pytest.raises(StoreLost):
            store.jobs()
    with open_store(url(path)) as store:
        assert [job.id for job in store.jobs().jobs] == ["j2", "j1", "j0"]


@pytest.mark.usefixtures("looks_always")
def test_a_handle_notices_that_its_file_was_deleted(path: Path) -> None:
    with open_store(url(path)) as store:
        path.unlink()
        with pytest.raises(StoreLost):
            store.enqueue(spec("lost"))
    assert not path.exists()


@pytest.mark.usefixtures("looks_always")
def test_a_handle_notices_that_its_wal_was_taken_away_and_saves_what_is_in_it(path: Path) -> None:
    store = open_store(url(path))
    store.enqueue(spec("j"))
    os.unlink(f"{path}-wal")
    with pytest.raises(StoreLost):
        store.enqueue(spec("lost"))
    store.close()
    with open_store(url(path)) as store:
        assert [job.id for job in store.jobs().jobs] == ["j"]


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_an_open_that_fails_leaves_no_descriptor(path: Path, gate: Gate) -> None:
    path.touch(mode=0o600)
    with gate.held(0):
        before = descriptors()
        for _ in range(3):
            with pytest.raises(StoreBusy):
                open_store(url(path), patience=timedelta(0))
        assert descriptors() == before


@pytest.fixture
def gate(path: Path) -> Iterator[Gate]:
    gate = Gate(str(path))
    yield gate
    gate.close()


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\xff" * 100, b"abc"])
def test_what_stands_in_the_gates_file_disturbs_no_commit(
    path: Path, gate: Gate, content: bytes
) -> None:
    filled(path)
    Path(f"{path}-gate").write_bytes(content)
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        assert store.job("j").id == "j"


def test_a_file_in_place_of_the_bells_disturbs_no_commit(path: Path) -> None:
    Path(f"{path}-bells").write_bytes(b"")
    with open_store(url(path)) as store:
        assert store.enqueue(spec("j")).id == "j"


def test_deleted_text_is_gone_from_every_file_after_tidying(path: Path) -> None:
    secret = "correct-horse-battery"
    with open_store(url(path)) as store:
        store.enqueue_many(
            spec(f"j{n}", command=f"echo {secret}", stdin=secret * 700, labels={"l": secret})
            for n in range(20)
        )
        for _ in range(20):
            run(store, OUTCOMES["dead"])
        store.purge(JobFilter())
        store.tidy()
        for each in (path, Path(f"{path}-wal")):
            os.stat(each)
    for each in path.parent.iterdir():
        if each.is_file():
            assert secret.encode() not in each.read_bytes(), each


def test_tidying_empties_the_wal_while_nobody_reads(path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        assert os.stat(f"{path}-wal").st_size > 0
        store.tidy()
        assert os.stat(f"{path}-wal").st_size == 0


def test_the_wal_does_not_grow_without_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CHANGES_A_CHECKPOINT", 100)
    with open_store(url(path)) as store, open_store(url(path)) as other:
        sizes = []
        for n in range(200):
            (store if n % 2 else other).enqueue(spec(f"j{n}"))
            sizes.append(os.stat(f"{path}-wal").st_size)
        assert max(sizes[100:]) <= max(sizes[:100])
