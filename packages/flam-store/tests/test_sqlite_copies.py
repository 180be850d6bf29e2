"""Backups and restores: what they refuse, and what they leave when something is in the way."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from forking import Children, Signpost

from flam_store import JobFilter, State, open_store
from flam_store.copies import Restored
from flam_store.errors import (
    FileTaken,
    FlamError,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreInUse,
    StoreNewer,
    UnsafeError,
)
from flam_store.opening import restore_store
from flam_store.outcome import Completed
from flam_store.sqlite import restoring
from flam_store.sqlite.copying import place_new
from flam_store.sqlite.schema import KNOWN
from flam_store.testing.given import (
    OUTCOMES,
    claimed,
    everything,
    registration,
    result,
    run,
    spec,
    state_of,
)
from flam_store.worker import WorkerRecord


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def nobody(_workers: tuple[WorkerRecord, ...] | None) -> None:
    pass


def restored(path: Path, backup: Path) -> Restored:
    return restore_store(url(path), backup, refuse=nobody)


def ids(path: Path) -> list[str]:
    with open_store(url(path)) as store:
        return [job.id for job in store.jobs(limit=0).jobs]


def contents(folder: Path) -> dict[str, str]:
    """Of what holds data, by name."""
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest()
            for each in sorted(folder.rglob("*"))
            if each.is_file() and not each.name.endswith(("-shm", "-gate"))}  # fmt: skip


@pytest.fixture
def backup(path: Path, tmp_path: Path) -> Path:
    """A backup with the job "old"; the queue has "new" and "newer" as well."""
    target = tmp_path / "backup"
    with open_store(url(path)) as store:
        store.enqueue(spec("old"))
        store.backup(target)
        store.enqueue_many([spec("new"), spec("newer")])
    return target


def test_a_backup_is_whole_while_another_process_commits_all_the_time(
    path: Path, tmp_path: Path, children: Children
) -> None:
    going = Signpost()

    def commit() -> None:
        with open_store(url(path)) as store:
            for n in range(100_000):
                store.enqueue_many([spec(f"a{n}"), spec(f"b{n}")])
                if n == 20:
                    going.reach()

    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 1_000) for n in range(5_000))
    child = children.start(commit)
    going.until_reached()
    with open_store(url(path)) as store:
        copies = [tmp_path / f"copy{n}" for n in range(5)]
        for copy in copies:
            store.backup(copy)
    child.kill()
    going.close()
    sizes = []
    for copy in copies:
        with open_store(url(copy)) as store:
            jobs, _ = everything(store)
        pairs = {job.id[1:] for job in jobs if job.id[0] == "a"}
        assert pairs == {job.id[1:] for job in jobs if job.id[0] == "b"}
        sizes.append(len(jobs))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_a_backup_has_nothing_of_deleted_text(path: Path, tmp_path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="correct-horse" * 500) for n in range(20))
        for _ in range(20):
            run(store, OUTCOMES["dead"])
        store.purge(JobFilter())
        store.backup(tmp_path / "backup")
    assert b"correct-horse" not in (tmp_path / "backup").read_bytes()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-gate", "-bells"])
@pytest.mark.parametrize("replace", [True, False])
def test_a_backup_never_takes_the_place_of_the_queue(
    path: Path, ending: str, replace: bool
) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        before = os.stat(path).st_ino
        with pytest.raises(FileTaken, match="the queue itself"):
            store.backup(Path(f"{path.parent}/./{path.name}{ending}"), replace=replace)
        assert os.stat(path).st_ino == before
        assert state_of(store) is State.PENDING


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_backup_is_not_put_beside_what_sqlite_would_read_with_it(
    path: Path, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"b{ending}").write_bytes(b"")
    with open_store(url(path)) as store, pytest.raises(FileTaken, match=ending):
        store.backup(tmp_path / "b", replace=True)
    assert not (tmp_path / "b").exists()


def test_a_backup_that_cannot_be_written_is_an_error_and_leaves_nothing(
    path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        with pytest.raises(StoreError, match="cannot be written"):
            store.backup(tmp_path / "missing" / "b")
        with pytest.raises(StoreError, match="cannot be written"):
            store.backup(folder, replace=True)
        assert os.listdir(folder) == []
        assert sorted(each for each in os.listdir(tmp_path) if "part" in each) == []
        assert store.enqueue(spec("k")).id == "k"


def test_a_full_disk_is_told_of_the_backup_and_not_of_the_queue(
    path: Path, tmp_path: Path, children: Children
) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 10_000) for n in range(100))

    def fill() -> tuple[str, list[str]]:
        import resource

        with open_store(url(path)) as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            try:
                store.backup(tmp_path / "b")
            except StoreError as error:
                return error.place, os.listdir(tmp_path)
        return "", []

    place, names = children.start(fill).answer()
    assert place == str(tmp_path / "b")
    assert not any(name.startswith((".b", "b")) for name in names)


def test_a_backup_of_a_damaged_queue_is_refused(path: Path, tmp_path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 1_000) for n in range(500))
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 20_000] = os.urandom(20_000)
    path.write_bytes(whole)
    with open_store(url(path)) as store, pytest.raises(StoreDamaged) as caught:
        store.backup(tmp_path / "b")
    assert caught.value.place == str(path)
    assert not (tmp_path / "b").exists()


def test_a_file_gets_its_name_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", none)
    part, target = tmp_path / "part", tmp_path / "target"
    part.write_text("new")
    target.write_text("old")
    with pytest.raises(FileExistsError):
        place_new(str(part), str(target))
    assert target.read_text() == "old"
    target.unlink()
    place_new(str(part), str(target))
    assert target.read_text() == "new"


def test_a_restore_is_the_queue_as_it_was_and_keeps_what_it_replaced(
    path: Path, backup: Path
) -> None:
    answer = restored(path, backup)
    assert (answer.jobs, answer.processing) == (1, 0)
    assert ids(path) == ["old"]
    assert answer.kept is not None
    kept = Path(answer.kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / path.name).stat().st_mode) == 0o600
    assert restored(path, kept / path.name).jobs == 3
    assert ids(path) == ["newer", "new", "old"]
    assert ids(kept / path.name) == ["newer", "new", "old"]


def test_nobody_is_registered_after_a_restore_and_a_late_worker_changes_nothing(
    path: Path, tmp_path: Path
) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store.backup(tmp_path / "b")
        restored(path, tmp_path / "b")
        assert store.workers() == ()
        assert [(each.job.id, each.worker) for each in store.running()] == [("j", claim.worker)]
        assert store.orders(claim.worker).known is False
        assert store.finish((), worker_id=claim.worker, want=1).claims == ()
        store.register(registration(claim.worker))
        ended = result(claim, Completed())
        assert store.finish([ended], worker_id=claim.worker).refused == ()
        assert state_of(store) is State.COMPLETED


def test_whoever_has_the_queue_open_sees_the_restore_as_a_commit(path: Path, backup: Path) -> None:
    with open_store(url(path)) as store:
        assert len(store.jobs().jobs) == 3
        restored(path, backup)
        assert [job.id for job in store.jobs().jobs] == ["old"]
        store.enqueue(spec("after"))
    assert ids(path) == ["after", "old"]


def leave_a_wal(path: Path, children: Children) -> None:
    def leave() -> None:
        open_store(url(path)).enqueue_many(spec(f"left{n}", stdin="x" * 3_000) for n in range(50))
        os._exit(0)

    assert children.start(leave).wait() == 0
    assert os.stat(f"{path}-wal").st_size > 100_000


def healthy(path: Path) -> None:
    pass


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def truncated(path: Path) -> None:
    os.truncate(path, 5_000)


def missing(path: Path) -> None:
    path.unlink()


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute(f"PRAGMA user_version = {KNOWN + 1}")


def torn(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[20_000:60_000] = os.urandom(40_000)
    path.write_bytes(whole)


@pytest.mark.parametrize("happen", [healthy, garbage, truncated, missing, newer, torn])
def test_a_wal_that_was_left_never_gets_into_what_is_restored(
    path: Path, backup: Path, children: Children, happen: Callable[[Path], None]
) -> None:
    leave_a_wal(path, children)
    happen(path)
    answer = restored(path, backup)
    assert ids(path) == ["old"]
    with open_store(url(path)) as store:
        everything(store)
        assert all(each.level != "fail" for each in store.examine())
    assert answer.kept is not None
    assert any(os.listdir(answer.kept))


def test_a_queue_that_was_lost_is_restored_without_anything_to_keep(
    path: Path, backup: Path
) -> None:
    path.unlink()
    assert restored(path, backup) == Restored(jobs=1, processing=0, kept=None)
    assert ids(path) == ["old"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def foreign(backup: Path) -> None:
    backup.unlink()
    with closing(sqlite3.connect(backup)) as db:
        db.execute("CREATE TABLE theirs (x)")
    backup.chmod(0o600)


def changed(statement: str) -> Callable[[Path], None]:
    def change(backup: Path) -> None:
        with closing(sqlite3.connect(backup, isolation_level=None)) as db:
            db.execute(statement)

    change.__name__ = statement
    return change


def empty(backup: Path) -> None:
    backup.write_bytes(b"")


def writable(backup: Path) -> None:
    backup.chmod(0o620)


def folder(backup: Path) -> None:
    backup.unlink()
    backup.mkdir()


REFUSED: list[tuple[Callable[[Path], None], type[FlamError]]] = [
    (missing, StoreError), (folder, StoreError), (empty, StoreForeign), (garbage, StoreDamaged),
    (foreign, StoreForeign), (truncated, StoreDamaged), (newer, StoreNewer), (torn, StoreDamaged),
    (changed("PRAGMA application_id = 7"), StoreForeign), (writable, UnsafeError),
    (changed("CREATE TRIGGER t AFTER INSERT ON jobs BEGIN DELETE FROM jobs; END"), StoreForeign),
    (changed("DROP INDEX jobs_unique_key"), StoreForeign),
    (changed("INSERT INTO labels VALUES (99, 'a', 'b')"), StoreDamaged),
]  # fmt: skip


@pytest.mark.parametrize(("happen", "error"), REFUSED, ids=lambda each: each.__name__)
def test_what_is_no_sound_backup_is_refused_and_nothing_is_changed(
    path: Path, backup: Path, happen: Callable[[Path], None], error: type[FlamError]
) -> None:
    happen(backup)
    before = contents(path.parent)
    with pytest.raises(error) as caught:
        restored(path, backup)
    assert str(backup) in str(caught.value)
    assert contents(path.parent) == before
    assert ids(path) == ["newer", "new", "old"]


def test_a_queue_is_no_backup_of_itself(path: Path, backup: Path) -> None:
    with pytest.raises(FileTaken):
        restored(path, path.parent / "." / path.name)
    (path.parent / "link").symlink_to(path)
    with pytest.raises(FileTaken):
        restored(path, path.parent / "link")


def test_another_programs_database_is_not_replaced(path: Path, backup: Path) -> None:
    path.unlink()
    foreign_at = path
    with closing(sqlite3.connect(foreign_at)) as db:
        db.execute("CREATE TABLE theirs (x)")
    path.chmod(0o600)
    before = contents(path.parent)
    with pytest.raises(StoreForeign):
        restored(path, backup)
    assert contents(path.parent) == before


@pytest.mark.parametrize("happen", [healthy, garbage])
def test_one_who_refuses_is_told_who_is_there_and_ends_it_with_nothing_changed(
    path: Path, backup: Path, happen: Callable[[Path], None]
) -> None:
    with open_store(url(path)) as store:
        store.register(registration("w"))
    happen(path)
    told: list[object] = []

    def refuse(workers: tuple[WorkerRecord, ...] | None) -> None:
        told.append(None if workers is None else [each.id for each in workers])
        raise StoreInUse(str(path), ("pid 1",))

    before = contents(path.parent)
    with pytest.raises(StoreInUse):
        restore_store(url(path), backup, refuse=refuse)
    assert told == [["w"] if happen is healthy else None]
    assert contents(path.parent) == before


def test_no_writer_of_flam_comes_in_between(path: Path, backup: Path, children: Children) -> None:
    ready, go_on = Signpost(), Signpost()

    def enqueue() -> int:
        with open_store(url(path)) as store:
            go_on.until_reached()
            ready.reach()
            return store.enqueue(spec("meanwhile")).seq

    child = children.start(enqueue)

    def refuse(_workers: tuple[WorkerRecord, ...] | None) -> None:
        go_on.reach()
        ready.until_reached()

    restore_store(url(path), backup, refuse=refuse)
    assert child.answer() == 2
    assert ids(path) == ["meanwhile", "old"]
    ready.close()
    go_on.close()


def test_another_programs_lock_is_waited_for_and_not_for_ever(
    path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "PATIENCE_SECONDS", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            restored(path, backup)
        db.execute("ROLLBACK")
    assert ids(path) == ["newer", "new", "old"]
    assert not list(path.parent.glob("before-restore-*"))


def test_a_backup_with_other_pages_is_restored(path: Path, backup: Path) -> None:
    with closing(sqlite3.connect(backup, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 8192")
        db.execute("VACUUM")
    restored(path, backup)
    assert ids(path) == ["old"]


def test_the_backup_itself_is_left_as_it_was(path: Path, backup: Path) -> None:
    before = backup.read_bytes()
    restored(path, backup)
    assert backup.read_bytes() == before


def test_a_backup_may_lie_where_nothing_can_be_written(path: Path, backup: Path) -> None:
    place = backup.parent / "shelf"
    place.mkdir()
    shelved = place / "backup"
    backup.rename(shelved)
    shelved.chmod(0o400)
    place.chmod(0o500)
    try:
        restored(path, shelved)
    finally:
        place.chmod(0o700)
    assert os.listdir(place) == ["backup"]
    assert ids(path) == ["old"]


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_source_with_a_log_beside_it_is_no_backup(ending: str, path: Path, backup: Path) -> None:
    beside = Path(f"{backup}{ending}")
    beside.write_bytes(b"")
    before = ids(path)
    with pytest.raises(StoreError, match=f"a backup is one file, and beside it lies its {ending}"):
        restored(path, backup)
    assert ids(path) == before
    beside.unlink()
    beside.symlink_to("nowhere")
    with pytest.raises(StoreError, match="a backup is one file"):
        restored(path, backup)


def test_a_running_queue_is_no_backup(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with open_store(url(other / "queue.db")) as store:
        store.enqueue(spec("theirs"))
        with pytest.raises(StoreError, match="a backup is one file"):
            restored(path, other / "queue.db")
    assert not path.exists()


def test_nothing_is_restored_into_a_folder_that_everybody_can_write(
    backup: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    with pytest.raises(UnsafeError, match="can be written by everybody"):
        restored(folder / "queue.db", backup)
    assert list(folder.iterdir()) == []
