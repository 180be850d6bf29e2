"""Waiting handles and what wakes them: bells, and the look for those who ring none."""

from __future__ import annotations

import os
import select
import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from forking import Child, Children, until

from flam_store import JobFilter, State, open_store
from flam_store.change import JobChange
from flam_store.selection import Selection
from flam_store.sqlite import bells as ringing
from flam_store.sqlite import engine
from flam_store.testing.given import OUTCOMES, WORKER, claimed, ended, registration, spec, stored_in
from flam_store.testing.waiting import quiet
from flam_store.worker import Stop, Woke

LONG = timedelta(seconds=50)


def bells(path: Path) -> list[str]:
    return sorted(os.listdir(f"{path}-bells")) if os.path.exists(f"{path}-bells") else []


def waiting(children: Children, path: Path, marker: str = "waits") -> Child:
    """A process that waits for a bell and looks for nothing else."""

    def wait() -> Woke:
        engine._LOOK_SECONDS = 3600
        with open_store(f"sqlite:///{path}") as store:
            store.register(registration())
            quiet(store)
            (path.parent / marker).touch()
            return store.wait(LONG)

    child = children.start(wait)
    until((path.parent / marker).exists, "a process that waits")
    return child


def test_an_enqueue_wakes_every_process_that_waits(path: Path, children: Children) -> None:
    waiters = [waiting(children, path, f"waits{n}") for n in range(3)]
    assert len(bells(path)) == 3
    with open_store(f"sqlite:///{path}") as store:
        store.enqueue(spec("j"))
        assert [child.answer() for child in waiters] == [Woke.CHANGED] * 3
    assert bells(path) == []


def test_a_queue_that_is_kept_nowhere_rings_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        closing(ringing.Bell("memory-bells", "b")) as bell,
        open_store(f"sqlite:///{tmp_path}/none.db", create=False) as store,
    ):
        store.enqueue_many([spec("p"), spec("child", after=("p",))])
        ended(store, claimed(store), OUTCOMES["completed"])
        assert store.job("child").state is State.PENDING
        assert select.select([bell], [], [], 0) == ([], [], [])


@pytest.mark.parametrize("verb", ["enqueue_many", "request_stop", "retry", "update", "forget"])
def test_what_a_waiting_worker_should_know_wakes_it(
    verb: str, path: Path, children: Children
) -> None:
    with open_store(f"sqlite:///{path}") as store:
        stored_in(store, State.DEAD)
        store.enqueue(spec("later", delay=timedelta(days=1)))
    child = waiting(children, path)
    with open_store(f"sqlite:///{path}") as store:
        match verb:
            case "forget":
                store.register(registration("another"))
                store.forget("another")
            case "enqueue_many":
                store.enqueue_many([spec("k")])
            case "request_stop":
                store.request_stop([WORKER], Stop.GRACEFUL)
            case "retry":
                store.retry("j")
            case "update":
                store.update("later", JobChange(delay=timedelta(0)))
        assert child.answer() is Woke.CHANGED


@pytest.mark.parametrize(
    ("end", "effect"),
    [("cancel", "child"), ("cancel_selected", "child"), ("dead", "child"), ("dead", "hook")],
)
def test_what_an_end_makes_fit_to_be_claimed_wakes_who_waits(
    end: str, effect: str, path: Path, children: Children
) -> None:
    with open_store(f"sqlite:///{path}") as store:
        store.enqueue(spec("j", on_dead="x" if effect == "hook" else None))
        if effect == "child":
            store.enqueue(spec("child", after=("j",), after_policy="any"))
        claim = claimed(store) if end == "dead" else None
    waiter = waiting(children, path)
    with open_store(f"sqlite:///{path}") as store:
        if claim:
            ended(store, claim, OUTCOMES["dead"])
        elif end == "cancel":
            store.cancel("j", by="a test")
        else:
            first = Selection(which=JobFilter(states=(State.PENDING,)), below=100)
            store.cancel_selected(first, by="a test")
        assert waiter.answer() is Woke.CHANGED


def test_the_bell_of_a_dead_process_is_taken_away_by_the_next_ring(
    path: Path, children: Children
) -> None:
    waiting(children, path).kill()
    assert len(bells(path)) == 1
    with open_store(f"sqlite:///{path}") as store:
        store.wait(timedelta(0))
        assert len(bells(path)) == 2
        store.enqueue(spec("j"))
        assert len(bells(path)) == 1


def test_a_bell_that_is_full_holds_up_nobody(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as sleeper, open_store(f"sqlite:///{path}") as store:
        quiet(sleeper)
        (bell,) = bells(path)
        fd = os.open(f"{path}-bells/{bell}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while os.write(fd, bytes(4096)):
                pass
        os.close(fd)
        store.enqueue(spec("j"))
        assert sleeper.wait(LONG) is Woke.CHANGED


def test_a_ring_wakes_once(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as sleeper, open_store(f"sqlite:///{path}") as store:
        quiet(sleeper)
        store.enqueue(spec("j"))
        quiet(sleeper)
        assert sleeper.wait(timedelta(0)) is Woke.TIMEOUT


def test_a_writer_that_rings_no_bell_is_noticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOOK_SECONDS", 0.005)
    with open_store(f"sqlite:///{path}") as sleeper:
        quiet(sleeper)
        with closing(sqlite3.connect(path)) as db:
            db.execute("INSERT INTO queues (name) VALUES ('q')")
            db.commit()
        assert sleeper.wait(LONG) is Woke.CHANGED
        assert sleeper.wait(timedelta(0)) is Woke.TIMEOUT


def test_a_writer_that_rings_no_bell_is_noticed_while_waiting(
    path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOOK_SECONDS", 0.005)

    def wait() -> Woke:
        with open_store(f"sqlite:///{path}") as sleeper:
            quiet(sleeper)
            (path.parent / "waits").touch()
            return sleeper.wait(LONG)

    child = children.start(wait)
    until((path.parent / "waits").exists, "a process that waits")
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO queues (name) VALUES ('q')")
        db.commit()
    assert child.answer() is Woke.CHANGED


def test_a_place_without_room_for_a_bell_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LOOK_SECONDS", 0.005)
    Path(f"{path}-bells").write_bytes(b"")
    with open_store(f"sqlite:///{path}") as sleeper, open_store(f"sqlite:///{path}") as store:
        quiet(sleeper)
        store.enqueue(spec("j"))
        assert sleeper.wait(LONG) is Woke.CHANGED


def test_only_a_bell_is_written_to(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    (folder / "file").write_bytes(b"theirs")
    (tmp_path / "target").write_bytes(b"theirs")
    (folder / "link").symlink_to(tmp_path / "target")
    ringing.ring(str(folder))
    assert (folder / "file").read_bytes() == (tmp_path / "target").read_bytes() == b"theirs"


def ears(folder: Path) -> int:
    """A FIFO in the folder that could be rung."""
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "bell", 0o600)
    return os.open(folder / "bell", os.O_RDWR | os.O_NONBLOCK)


def test_a_link_in_place_of_the_bells_is_not_followed(tmp_path: Path) -> None:
    fd = ears(tmp_path / "elsewhere")
    link = tmp_path / "link"
    link.symlink_to("elsewhere")
    ringing.ring(str(link))
    with pytest.raises(BlockingIOError):
        os.read(fd, 1)
    os.close(fd)
    assert ringing.silent(str(link)) == ()
    with pytest.raises(OSError):
        ringing.Bell(str(link), "name")
    assert os.listdir(tmp_path / "elsewhere") == ["bell"]


@pytest.mark.parametrize(
    ("owner", "mode"), [(12345, 0o700), (os.geteuid(), 0o720), (os.geteuid(), 0o702)]
)
def test_a_folder_that_others_could_fill_has_no_bells(
    owner: int, mode: int, tmp_path: Path
) -> None:
    if owner != os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "theirs"
    fd = ears(folder)
    os.chown(folder, owner, -1)
    folder.chmod(mode)
    ringing.ring(str(folder))
    with pytest.raises(BlockingIOError):
        os.read(fd, 1)
    os.close(fd)
    assert ringing.silent(str(folder)) == ()
    with pytest.raises(PermissionError):
        ringing.Bell(str(folder), "name")
    assert os.listdir(folder) == ["bell"]


def test_a_bell_that_cannot_be_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chmod", refuse)
    (tmp_path / "bells").mkdir(mode=0o700)
    with pytest.raises(PermissionError):
        ringing.Bell(str(tmp_path / "bells"), "name")
    assert os.listdir(tmp_path / "bells") == []
