"""Jobs in a transaction that the caller has begun, on a connection of its own."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from shop import ids, orders, place_order

from flam_store import (
    Config,
    IdTaken,
    JobSpec,
    KeyTaken,
    SpecError,
    State,
    Store,
    StoreMisused,
    Woke,
    enqueue_in,
    open_store,
)
from flam_store.errors import StoreForeign
from flam_store.sqlite import joining
from flam_store.sqlite.gate import Gate
from flam_store.testing.given import spec

AT_ONCE = timedelta(0)


def orders_and_jobs(queue: Path) -> tuple[int, set[str]]:
    """What another connection sees."""
    with closing(sqlite3.connect(queue)) as db:
        ((orders,),) = db.execute("SELECT count(*) FROM orders").fetchall()
        return orders, {id_ for (id_,) in db.execute("SELECT id FROM jobs").fetchall()}


@pytest.mark.parametrize("first", ["job", "row"])
def test_a_job_in_a_transaction_of_sqlite3_s_own_is_stored_with_it_or_not(
    queue: Path, first: str
) -> None:
    with closing(sqlite3.connect(queue)) as db:

        def both(job_id: str) -> None:
            if first == "row":
                db.execute("INSERT INTO orders (job) VALUES (?)", (job_id,))
            assert enqueue_in(db, spec(job_id)).state is State.PENDING
            if first == "job":
                db.execute("INSERT INTO orders (job) VALUES (?)", (job_id,))

        both("undone")
        assert orders_and_jobs(queue) == (0, {"there"})
        db.rollback()
        assert orders_and_jobs(queue) == (0, {"there"})
        with db:
            both("kept")
        assert orders_and_jobs(queue) == (1, {"there", "kept"})


def test_a_job_in_a_transaction_that_the_caller_began_is_stored_with_it(
    queue: Path, db: sqlite3.Connection
) -> None:
    with pytest.raises(StoreMisused, match="BEGIN IMMEDIATE"):
        enqueue_in(db, spec("j"))
    db.execute("BEGIN IMMEDIATE")
    enqueue_in(db, spec("j"), config=Config(max_retries=7))
    with pytest.raises(IdTaken):
        enqueue_in(db, spec("j"))
    with pytest.raises(KeyTaken):
        enqueue_in(db, spec("other", unique_key="k"))
    with pytest.raises(SpecError, match="no job has the id"):
        enqueue_in(db, spec("child", after=("nobody",)))
    assert db.in_transaction
    db.execute("COMMIT")
    assert orders_and_jobs(queue) == (0, {"there", "j"})
    with open_store(f"sqlite:///{queue}") as store:
        assert store.job("j").max_retries == 7
        assert store.overview().counts[State.PENDING] == 2


def test_a_connection_that_does_not_sync_is_refused(queue: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreMisused, match="synchronous"):
        enqueue_in(db, spec("j"))


def test_a_worker_notices_what_was_committed_without_a_bell(queue: Path) -> None:
    with (
        open_store(f"sqlite:///{queue}") as store,
        closing(sqlite3.connect(queue)) as db,
    ):
        store.wait(AT_ONCE)
        with db:
            enqueue_in(db, spec("j"))
        assert store.wait(timedelta(seconds=60)) is Woke.CHANGED


def test_what_is_no_queue_takes_no_job(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE t (a)")
        os.chmod(tmp_path / "other.db", 0o600)
        with pytest.raises(StoreForeign):
            enqueue_in(db, spec("j"))
    with closing(sqlite3.connect(":memory:")) as db, pytest.raises(StoreMisused):
        enqueue_in(db, spec("j"))


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (JobSpec(command="x", id="there"), IdTaken),
        (JobSpec(command="x", unique_key="k"), KeyTaken),
        (JobSpec(command="x", after=("nobody",)), SpecError),
    ],
    ids=["id", "key", "parent"],
)
def test_a_refused_job_leaves_no_transaction_open_that_its_call_began(
    queue: Path, refused: JobSpec, error: type
) -> None:
    with closing(sqlite3.connect(queue)) as db:
        for began in (False, True):
            if began:
                place_order(db, "mine")
            with pytest.raises(error):
                enqueue_in(db, refused)
            assert db.in_transaction is began
        db.commit()
    assert orders(queue) == ["mine"]


@pytest.mark.parametrize("statement", ["synchronous = NORMAL", "user_version = 1"])
def test_a_refused_connection_is_left_in_no_transaction(queue: Path, statement: str) -> None:
    with closing(sqlite3.connect(queue)) as db:
        db.execute(f"PRAGMA {statement}")
        with pytest.raises(StoreMisused):
            enqueue_in(db, spec("j"))
        assert not db.in_transaction


def test_a_transaction_that_read_before_another_wrote_is_told_how_to_begin(
    db: sqlite3.Connection, store: Store
) -> None:
    db.execute("BEGIN")
    db.execute("SELECT * FROM orders").fetchall()
    store.enqueue(spec("meanwhile"))
    with pytest.raises(StoreMisused, match="BEGIN IMMEDIATE"):
        enqueue_in(db, spec("j"))
    db.execute("ROLLBACK")
    db.execute("BEGIN IMMEDIATE")
    enqueue_in(db, spec("j"))
    db.execute("COMMIT")
    assert ids(store) == ["there", "meanwhile", "j"]


@pytest.mark.parametrize("begins", ["Flam", "the caller"])
def test_what_is_enqueued_while_no_pool_runs_is_checkpointed_now_and_then(
    queue: Path, store: Store, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    monkeypatch.setattr(joining, "CHANGES_A_CHECKPOINT", 200)
    log = queue.with_name("queue.db-wal")
    sizes = []
    with closing(sqlite3.connect(queue)) as db:
        for n in range(200):
            if begins == "the caller" and n % 50:  # else there is never a moment for it
                db.execute("BEGIN IMMEDIATE")
            enqueue_in(db, spec(f"j{n}"))
            db.commit()
            sizes.append(log.stat().st_size)
    assert sizes[100] == sizes[-1]


def test_no_checkpoint_is_made_beside_one_who_holds_the_gate(
    queue: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "CHANGES_A_CHECKPOINT", 0)
    log = queue.with_name("queue.db-wal")
    with closing(sqlite3.connect(queue)) as db, closing(Gate(str(queue))) as gate:

        def grown(name: str) -> int:
            before = log.stat().st_size
            for n in range(50):
                enqueue_in(db, spec(f"{name}{n}"))
                db.commit()
            return log.stat().st_size - before

        with gate.held(0):
            assert grown("held") > 0
        assert grown("free") == 0
