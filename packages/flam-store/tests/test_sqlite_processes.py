"""One database, many processes and threads."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from forking import Children, Signpost, until

from flam_store import Config, JobSpec, State, Store, open_store
from flam_store.errors import IdTaken, StoreBusy, StoreLost, StoreMisused
from flam_store.sqlite.engine import SqliteStore
from flam_store.sqlite.gate import Gate
from flam_store.sqlite.place import make_file
from flam_store.sqlite.session import Session
from flam_store.testing.given import (
    OUTCOMES,
    WORKER,
    claimed,
    everything,
    registration,
    result,
    spec,
)
from flam_store.testing.waiting import VERBS


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_forked_child_is_refused(verb: str, path: Path, children: Children) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        before = everything(store)

        def use() -> str:
            with pytest.raises(StoreMisused) as caught:
                VERBS[verb](store)
            store.close()
            return str(caught.value)

        assert "forked" in children.start(use).answer()
        assert everything(store) == before
        store.enqueue(spec("after"))


def test_a_child_that_inherits_an_open_store_cannot_open_the_same_queue(
    path: Path, children: Children
) -> None:
    """SQLite would believe that the child holds the parent's locks: what it commits is lost."""

    def use(other: Path) -> str:
        with pytest.raises(StoreMisused) as caught:
            open_store(url(path))
        with open_store(url(other)) as own:
            return str(caught.value) + own.enqueue(spec("child")).id

    with open_store(url(path)) as store:
        store.enqueue(spec("parent"))
        answer = children.start(lambda: use(path.with_name("other.db"))).answer()
        assert "before the fork" in answer
        assert answer.endswith("child")
        store.enqueue(spec("after"))
    assert children.start(lambda: _enqueue(path)).answer() == "j"
    with open_store(url(path)) as store:
        assert {job.id for job in everything(store)[0]} == {"parent", "after", "j"}


def test_a_fork_in_the_middle_of_a_transaction_leaves_it_to_the_parent(
    path: Path, children: Children
) -> None:
    def child_tries(store: Store) -> str:
        with pytest.raises(StoreMisused):
            store.enqueue(spec("child"))
        store.close()
        return "refused"

    with open_store(url(path)) as store:
        store.enqueue(spec("old"))

        def specs() -> Iterator[JobSpec]:
            yield spec("a")
            assert children.start(lambda: child_tries(store)).answer() == "refused"
            yield spec("b")

        assert store.enqueue_many(specs()) == 2
        assert {job.id for job in everything(store)[0]} == {"old", "a", "b"}


def test_a_child_that_closes_leaves_the_parents_bell(path: Path, children: Children) -> None:
    with open_store(url(path)) as store:
        store.wait(timedelta(0))
        bells = os.listdir(f"{path}-bells")
        assert children.start(store.close).wait() == 0
        assert os.listdir(f"{path}-bells") == bells
        assert len(bells) == 1
    assert os.listdir(f"{path}-bells") == []


def test_threads_take_turns_on_one_handle(path: Path) -> None:
    errors: list[BaseException] = []

    def enqueue(store: Store, name: int) -> None:
        try:
            for n in range(50):
                store.enqueue(spec(f"{name}-{n}"))
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    with open_store(url(path)) as store:
        threads = [Thread(target=enqueue, args=(store, name)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        jobs = everything(store)[0]
        assert len(jobs) == 400
        for name in range(8):
            of_thread = [job.id for job in reversed(jobs) if job.id.startswith(f"{name}-")]
            assert of_thread == [f"{name}-{n}" for n in range(50)]


def test_threads_claim_each_job_once(path: Path) -> None:
    claimed_ids: list[str] = []

    def claim(store: Store, worker: str) -> None:
        store.register(registration(worker))
        while claims := store.finish((), worker_id=worker, want=1).claims:
            claimed_ids.append(claims[0].job.id)

    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}") for n in range(60))
        threads = [Thread(target=claim, args=(store, f"w{n}")) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(claimed_ids) == sorted(f"j{n}" for n in range(60))


def test_a_database_is_made_by_eight_processes_at_once(path: Path, children: Children) -> None:
    start = Signpost()

    def make() -> int:
        start.until_reached()
        with open_store(url(path)) as store:
            store.enqueue(JobSpec(command="true"))
            return 1

    started = [children.start(make) for _ in range(8)]
    for _ in started:
        start.reach()
    assert sum(child.answer() for child in started) == 8
    start.close()
    with open_store(url(path)) as store:
        assert len(everything(store)[0]) == 8


def test_of_fifty_processes_with_one_id_one_succeeds(path: Path, children: Children) -> None:
    open_store(url(path)).close()

    def enqueue() -> str:
        with open_store(url(path)) as store:
            try:
                return store.enqueue(spec("same", command=f"echo {os.getpid()}")).id
            except IdTaken as error:
                return f"taken {error.job_id}"

    answers = Counter(children.answers(*[enqueue] * 50))
    assert answers == {"same": 1, "taken same": 49}
    with open_store(url(path)) as store:
        assert len(everything(store)[0]) == 1


def test_processes_run_each_job_once_and_in_their_order(path: Path, children: Children) -> None:
    with open_store(url(path)) as store:
        store.enqueue_many(spec(f"j{n}", priority=n % 3) for n in range(120))

    def work(name: str) -> list[int]:
        mine = []
        with open_store(url(path)) as store:
            store.register(registration(name))
            turn = store.finish((), worker_id=name, want=1)
            while turn.claims:
                (claim,) = turn.claims
                mine.append(claim.job.seq)
                turn = store.finish([result(claim, OUTCOMES["completed"])], worker_id=name, want=1)
            assert turn.next_due_in is None
        return mine

    shares = children.answers(*[lambda name=name: work(name) for name in "abcd"])
    assert sorted(seq for share in shares for seq in share) == list(range(1, 121))
    for share in shares:
        # seq 1 has priority 0, 2 has 1, 3 has 2, and so on
        assert share == sorted(share, key=lambda seq: (-((seq - 1) % 3), seq))
    with open_store(url(path)) as store:
        assert store.overview().counts[State.COMPLETED] == 120
        everything(store)


def test_a_foreign_writer_makes_it_busy_and_then_it_goes_on(path: Path) -> None:
    with (
        closing(SqliteStore(Session(str(_made(path)), patience_seconds=0.05), Config())) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            store.enqueue(spec("j"))
        assert store.jobs().jobs == ()
        other.execute("ROLLBACK")
        assert store.enqueue(spec("j")).id == "j"


def test_a_verb_waits_for_a_foreign_writer(path: Path, children: Children) -> None:
    _made(path)
    locked = Signpost()

    def enqueue() -> str:
        locked.until_reached()
        return _enqueue(path)

    child = children.start(enqueue)
    with closing(Gate(str(path))) as gate:

        def is_inside() -> bool:
            try:
                with gate.held(0):
                    return False
            except StoreBusy:
                return True

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            locked.reach()
            until(lambda: is_inside() or child.is_gone(), "the verb")
            # Inside the gate, and kept out by the other's lock, for as long as that lasts.
            for _ in range(5):
                assert is_inside()
                assert not child.is_gone()
            other.execute("COMMIT")
    assert child.answer() == "j"
    locked.close()


def _enqueue(path: Path) -> str:
    with open_store(url(path)) as store:
        return store.enqueue(spec("j")).id


def _made(path: Path) -> Path:
    open_store(url(path)).close()
    return path


def test_an_interrupt_within_a_verb_leaves_nothing_of_it(path: Path) -> None:
    with open_store(url(path)) as store:

        def specs() -> Iterator[JobSpec]:
            yield spec("a")
            signal.raise_signal(signal.SIGINT)
            yield spec("b")

        with pytest.raises(KeyboardInterrupt):
            store.enqueue_many(specs())
        assert everything(store) == ((), ())
        store.enqueue(spec("a"))


def failing(session: Session, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """The disk fails once, at the statement that begins so."""
    real = session._db

    class Disk:
        def execute(self, sql: str, *rest: object) -> object:
            if sql.startswith(statement):
                monkeypatch.setattr(session, "_db", real)
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
                error.sqlite_errorname = "SQLITE_IOERR_READ"
                raise error
            return real.execute(sql, *rest)  # type: ignore[union-attr,arg-type]

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    monkeypatch.setattr(session, "_db", Disk())


def count(db: sqlite3.Connection) -> int:
    return len(db.execute("SELECT seq FROM jobs").fetchall())


STATEMENTS: dict[str, Callable[[Session], object]] = {
    "BEGIN": lambda session: session.read(count),
    "SELECT": lambda session: session.read(count),
    "BEGIN IMMEDIATE": lambda session: session.write(count),
    "PRAGMA data_version": Session.data_version,
    "PRAGMA wal_checkpoint": Session.truncate_log,
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_input_output_error_of_any_statement_makes_the_handle_lost(
    statement: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file(str(path))
    session = Session(str(path))
    failing(session, monkeypatch, statement)
    with pytest.raises(StoreLost, match="SQLITE_IOERR_READ"):
        STATEMENTS[statement](session)
    with pytest.raises(StoreLost, match="close it and open it anew"):
        session.read(count)
    session.close()


def test_the_loss_of_another_file_is_not_the_handles(path: Path) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise StoreLost("elsewhere", "is gone.")

    make_file(str(path))
    session = Session(str(path))
    with pytest.raises(StoreLost):
        session.read(fail)
    assert session.read(count) == 0
    session.close()


def test_a_handle_whose_disk_failed_refuses_further_use(path: Path) -> None:
    with open_store(url(path)) as store:
        store.enqueue(spec("j"))
        claim = claimed(store)
        store._session._lost = True  # type: ignore[attr-defined]
        with pytest.raises(StoreLost):
            store.finish([result(claim, OUTCOMES["completed"])], worker_id=WORKER)
    with open_store(url(path)) as store:
        assert store.job("j").state is State.PROCESSING
