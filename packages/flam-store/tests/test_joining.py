# ruff: noqa: PT012, SIM117 - the blocks are what is tested
"""Jobs and a program's own rows, in one transaction of the program's own connection."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from forking import Children, until
from shop import MADE, ids, orders, place_order

from flam_store import (
    Config,
    IdTaken,
    JobSpec,
    KeyTaken,
    SpecError,
    State,
    Store,
    StoreBusy,
    StoreError,
    StoreMisused,
    Woke,
    enqueue_in,
    faults,
    open_store,
    transaction,
)
from flam_store.errors import StoreForeign, StoreNewer, UnsafeError
from flam_store.finding import Level
from flam_store.sqlite import joining
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import spec

AT_ONCE = timedelta(0)


def test_both_are_stored(queue: Path, db: sqlite3.Connection, store: Store) -> None:
    with transaction(db, config=Config(max_retries=7), clock=FakeClock()) as joined:
        job = joined.enqueue(spec("a", labels={"x": "y"}, after=("there",)))
        assert joined.enqueue_many(spec(id_) for id_ in "bc") == 2
        place_order(db, job.id)
    assert (ids(store), orders(queue)) == (["there", "a", "b", "c"], ["a"])
    assert store.job("a") == job
    assert (job.state, job.max_retries, job.created_at) == (State.BLOCKED, 7, FakeClock().now)
    assert store.overview().counts[State.PENDING] == 3
    assert not db.in_transaction


def test_an_error_that_leaves_the_block_undoes_both(
    queue: Path, db: sqlite3.Connection, store: Store
) -> None:
    with pytest.raises(ZeroDivisionError), transaction(db) as joined:
        place_order(db, joined.enqueue(spec("a")).id)
        raise ZeroDivisionError
    assert (ids(store), orders(queue)) == (["there"], [])


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        ({"job_id": "there"}, IdTaken),
        ({"job_id": "b", "unique_key": "k"}, KeyTaken),
        ({"job_id": "b", "after": ("nowhere",)}, SpecError),
    ],
    ids=["id", "key", "parent"],
)
def test_a_refused_job_leaves_the_transaction_as_it_was(
    queue: Path, db: sqlite3.Connection, store: Store, refused: dict[str, Any], error: type
) -> None:
    with transaction(db) as joined:
        place_order(db, joined.enqueue(spec("a", labels={"x": "y"})).id)
        with pytest.raises(error):
            joined.enqueue(spec(**refused))
        with pytest.raises(error):
            joined.enqueue_many([spec("c"), spec("d"), spec(**refused)])
        place_order(db, joined.enqueue(spec("e")).id)
    assert (ids(store), orders(queue)) == (["there", "a", "e"], ["a", "e"])


def test_an_iterable_that_fails_leaves_the_transaction_as_it_was(
    db: sqlite3.Connection, store: Store
) -> None:
    def specs() -> Iterator[JobSpec]:
        yield spec("a")
        raise ZeroDivisionError

    with transaction(db) as joined:
        with pytest.raises(ZeroDivisionError):
            joined.enqueue_many(specs())
        joined.enqueue(spec("b"))
    assert ids(store) == ["there", "b"]


@pytest.mark.parametrize("isolation", ["DEFERRED", "IMMEDIATE", "EXCLUSIVE", None])
def test_any_isolation_level_will_do(queue: Path, store: Store, isolation: Any) -> None:
    with closing(sqlite3.connect(queue, isolation_level=isolation)) as db:
        with transaction(db) as joined:
            place_order(db, joined.enqueue(spec("a")).id)
        assert not db.in_transaction
    assert (ids(store), orders(queue)) == (["there", "a"], ["a"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit came with Python 3.12")
def test_of_the_ways_of_autocommit_only_the_one_that_never_commits_is_refused(
    queue: Path, store: Store
) -> None:
    ways: Any = {"autocommit": True}
    with closing(sqlite3.connect(queue, **ways)) as db, transaction(db) as joined:
        joined.enqueue(spec("a"))
    assert ids(store) == ["there", "a"]
    with closing(sqlite3.connect(queue, **ways)) as db:
        with pytest.raises(StoreMisused, match="BEGIN IMMEDIATE"):
            enqueue_in(db, spec("b"))
    ways = {"autocommit": False}
    with (
        closing(sqlite3.connect(queue, **ways)) as db,
        pytest.raises(StoreMisused, match="autocommit=False"),
        transaction(db),
    ):
        pass


def test_the_callers_ways_to_read_are_kept(db: sqlite3.Connection) -> None:
    db.row_factory, db.text_factory = sqlite3.Row, bytes
    with transaction(db) as joined:
        assert joined.enqueue(spec("a", labels={"x": "y"})).labels == {"x": "y"}
        (row,) = db.execute("SELECT id FROM jobs WHERE id = 'a'").fetchall()
        assert row["id"] == b"a"
    assert (db.row_factory, db.text_factory) == (sqlite3.Row, bytes)


@pytest.mark.parametrize("foreign_keys", [0, 1])
def test_whether_the_caller_has_foreign_keys_is_its_own_affair(
    queue: Path, db: sqlite3.Connection, foreign_keys: int
) -> None:
    db.execute(f"PRAGMA foreign_keys = {foreign_keys}")
    with transaction(db) as joined:
        joined.enqueue(spec("a", labels={"x": "y"}, after=("there",)))
    assert db.execute("PRAGMA foreign_keys").fetchone() == (foreign_keys,)
    with open_store(f"sqlite:///{queue}") as store:
        assert Level.FAIL not in {each.level for each in store.examine()}


def test_a_broken_reference_of_the_callers_own_is_the_callers_error(
    queue: Path, db: sqlite3.Connection, store: Store
) -> None:
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("CREATE TABLE items (o INTEGER REFERENCES orders DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError), transaction(db) as joined:
        db.execute("INSERT INTO items VALUES (99)")
        joined.enqueue(spec("a"))
    assert ids(store) == ["there"]


@pytest.mark.parametrize("end", ["commit", "rollback", "executescript"])
def test_a_transaction_that_was_ended_inside_is_a_misuse(db: sqlite3.Connection, end: str) -> None:
    with pytest.raises(StoreMisused, match="lost its transaction"), transaction(db):
        getattr(db, end)(*[""] * (end == "executescript"))
        db.execute("COMMIT") if db.in_transaction else None
    with pytest.raises(StoreMisused, match="lost its transaction"), transaction(db) as joined:
        db.execute("ROLLBACK")
        joined.enqueue(spec("a"))
    with transaction(db) as joined:
        joined.enqueue(spec("b"))


def test_after_its_end_it_is_of_no_use(db: sqlite3.Connection) -> None:
    with transaction(db) as joined:
        pass
    with pytest.raises(StoreMisused, match="after the end"):
        joined.enqueue(spec("a"))


def test_a_transaction_that_has_begun_already_is_refused(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    with pytest.raises(StoreMisused, match="is in a transaction already"), transaction(db):
        pass
    db.execute("ROLLBACK")
    with transaction(db), pytest.raises(StoreMisused), transaction(db):
        pass


def test_what_is_no_queue_is_refused(tmp_path: Path, queue: Path) -> None:
    def refuses(error: type[Exception], where: Any, *statements: str) -> None:
        with closing(sqlite3.connect(where, isolation_level=None)) as db:
            for statement in statements:
                db.execute(statement)
            with pytest.raises(error), transaction(db):
                pass

    other = tmp_path / "other.db"
    refuses(StoreMisused, ":memory:")
    os.umask(os.umask(0o077) | 0o022)
    refuses(StoreForeign, other)
    refuses(StoreForeign, other, MADE)
    refuses(StoreForeign, other, f"ATTACH '{queue}' AS queue")
    refuses(StoreMisused, queue, "CREATE TEMP TABLE jobs (id)")
    refuses(StoreMisused, queue, "PRAGMA user_version = 1")
    refuses(StoreNewer, queue, "PRAGMA user_version = 99")


def test_a_file_that_others_can_write_is_refused(queue: Path, db: sqlite3.Connection) -> None:
    queue.chmod(0o666)
    with pytest.raises(UnsafeError), transaction(db):
        pass


def test_it_writes_under_the_gate_and_never_waits_for_ever(
    queue: Path, db: sqlite3.Connection, store: Store
) -> None:
    with transaction(db), open_store(f"sqlite:///{queue}", patience=AT_ONCE) as hasty:
        with pytest.raises(StoreBusy):
            hasty.enqueue(spec("a"))
        assert ids(hasty) == ["there"]
        with closing(sqlite3.connect(queue, isolation_level=None)) as second:
            with pytest.raises(StoreBusy), transaction(second, patience=AT_ONCE):
                pass


def test_it_is_durable_and_leaves_checkpoints_to_the_gate(
    queue: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "CHANGES_A_CHECKPOINT", 50)
    with transaction(db) as joined:
        joined.enqueue(spec("a"))
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    sizes = []
    for n in range(150):
        with transaction(db) as joined:
            joined.enqueue(spec(f"j{n}"))
        sizes.append(queue.with_name("queue.db-wal").stat().st_size)
    assert sizes[75] == sizes[-1]


def test_a_worker_that_waits_is_woken(db: sqlite3.Connection, store: Store) -> None:
    while store.wait(AT_ONCE) is Woke.CHANGED:
        pass
    woke: list[Woke] = []
    waiting = threading.Thread(target=lambda: woke.append(store.wait(timedelta(seconds=60))))
    waiting.start()
    with transaction(db) as joined:
        joined.enqueue(spec("a"))
    waiting.join(60)
    assert woke == [Woke.CHANGED]


def test_a_read_only_connection_is_refused_with_a_word(queue: Path) -> None:
    with closing(sqlite3.connect(f"file:{queue}?mode=ro", uri=True)) as db:
        with pytest.raises(StoreError, match="read-only"), transaction(db) as joined:
            joined.enqueue(spec("a"))


def test_in_a_child_of_a_process_with_an_open_store_it_is_refused(
    queue: Path, store: Store, children: Children
) -> None:
    def enqueue() -> bool:
        with closing(sqlite3.connect(queue)) as db:
            with pytest.raises(StoreMisused, match="forked"), transaction(db) as joined:
                joined.enqueue(spec("a"))
        return True

    assert children.start(enqueue).answer()


@contextmanager
def killed_at(point: str) -> Iterator[None]:
    faults._asked = f"{point}=kill"
    try:
        yield
    finally:
        faults._asked = ""


@pytest.mark.parametrize(("point", "stored"), [("committing", False), ("committed", True)])
def test_a_kill_around_the_commit_leaves_both_or_neither(
    queue: Path, children: Children, point: str, stored: bool
) -> None:
    def work() -> None:
        with closing(sqlite3.connect(queue)) as db, killed_at(point), transaction(db) as joined:
            place_order(db, joined.enqueue(spec("a")).id)

    assert children.start(work).wait() == -signal.SIGKILL
    with open_store(f"sqlite:///{queue}") as store:
        assert (ids(store)[1:], orders(queue)) == ((["a"], ["a"]) if stored else ([], []))


def test_a_kill_at_any_statement_leaves_both_or_neither(queue: Path, children: Children) -> None:
    seen = set()
    for left in range(1, 200):

        def work(left: int = left) -> None:
            steps = left

            def count(_statement: str) -> None:
                nonlocal steps
                steps -= 1
                if not steps:
                    os.kill(os.getpid(), signal.SIGKILL)

            with closing(sqlite3.connect(queue, isolation_level=None)) as db:
                db.set_trace_callback(count)
                with transaction(db) as joined:
                    place_order(db, f"a{left}")
                    joined.enqueue(spec(f"a{left}", labels={"x": "y"}, after=("there",)))
                    place_order(db, f"b{left}")
                db.set_trace_callback(None)

        code = children.start(work).wait()
        with open_store(f"sqlite:///{queue}") as store:
            jobs = [id_ for id_ in ids(store) if id_ == f"a{left}"]
            assert Level.FAIL not in {each.level for each in store.examine()}
        mine = [id_ for id_ in orders(queue) if id_ in (f"a{left}", f"b{left}")]
        assert (len(jobs), len(mine)) in ((0, 0), (1, 2))
        seen.add((code, len(jobs)))
        if code != -signal.SIGKILL:
            break
    assert seen >= {(-signal.SIGKILL, 0), (0, 1)}


def test_processes_that_enqueue_beside_each_other_lose_nothing(
    queue: Path, children: Children
) -> None:
    def work(name: str) -> None:
        with closing(sqlite3.connect(queue, isolation_level=None)) as db:
            for n in range(30):
                with transaction(db) as joined:
                    place_order(db, joined.enqueue(spec(f"{name}{n}")).id)

    started = [children.start(lambda name=name: work(name)) for name in "ab"]  # type: ignore[misc]
    until(lambda: all(child.is_gone() for child in started))
    with open_store(f"sqlite:///{queue}") as store:
        assert sorted(ids(store)[1:]) == sorted(orders(queue))
        assert len(orders(queue)) == 60


def test_a_backup_takes_the_callers_tables_along_and_a_restore_brings_them_back(
    queue: Path, db: sqlite3.Connection, store: Store, tmp_path: Path
) -> None:
    from flam_store.opening import restore_store

    place_order(db, "there")
    store.backup(tmp_path / "backup")
    place_order(db, "later")
    restore_store(f"sqlite:///{queue}", tmp_path / "backup", refuse=lambda _: None)
    assert orders(queue) == ["there"]


def test_the_doctor_names_the_callers_tables_and_finds_no_fault(
    db: sqlite3.Connection, store: Store
) -> None:
    db.execute("CREATE INDEX orders_by_job ON orders (job)")
    db.execute("CREATE VIEW latest AS SELECT max(id) FROM orders")
    db.execute("CREATE TABLE items (o INTEGER REFERENCES orders (id))")
    db.execute("INSERT INTO items VALUES (99)")
    found = {each.subject: each for each in store.examine()}
    assert found["schema"].text.endswith("beside it 2 tables of other programs: items, orders")
    assert {each.level for each in found.values()} == {Level.PASS}
