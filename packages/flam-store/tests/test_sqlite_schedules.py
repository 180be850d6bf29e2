"""Schedules in SQLite: many processes on one tick, spoilt rows, and the way from schema 1."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from forking import Children, Signpost

from flam_store import JobSpec, State, Store, StoreError, StoreReader, open_store
from flam_store.errors import SpecError
from flam_store.finding import Level
from flam_store.job import JobFilter
from flam_store.measures import By
from flam_store.opening import looking_at
from flam_store.schedule import Overlap
from flam_store.sqlite.schema import APPLICATION_ID, KNOWN, migrations, statements
from flam_store.testing.clock import START, FakeClock
from flam_store.testing.given import OUTCOMES, everything, run, schedule_spec, spec

FIVE = timedelta(minutes=5)
RACERS = 6


def opened(path: Path, clock: FakeClock | None = None) -> Store:
    return open_store(f"sqlite:///{path}", clock=clock or FakeClock())


def later(by: timedelta = FIVE) -> FakeClock:
    clock = FakeClock()
    clock.advance(by)
    return clock


def edit(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        assert db.execute(statement, values).rowcount != 0


def test_of_many_processes_that_look_one_enqueues_the_tick(path: Path, children: Children) -> None:
    """The ids of ten ticks of three schedules, one of which may not overlap."""

    def look(start: Signpost) -> list[str]:
        found: list[str] = []
        start.until_reached()
        for number in range(1, 11):
            with opened(path, later(number * FIVE)) as store:
                found += store.enqueue_due().jobs
        return found

    with opened(path) as store:
        for name in ("a", "b"):
            store.add_schedule(schedule_spec(name))
        store.add_schedule(schedule_spec("c", overlap=Overlap.SKIP))
    start = Signpost()
    racers = [children.start(lambda: look(start)) for _ in range(RACERS)]
    for _ in racers:
        start.reach()
    found = [job for racer in racers for job in racer.answer()]
    start.close()
    with opened(path, later(10 * FIVE)) as store:
        assert sorted(found) == sorted(job.id for job in everything(store)[0])
        for name in ("a", "b", "c"):
            ticks = store.ticks(name, limit=100)
            told = Counter(tick.at for tick in ticks)
            assert set(told.values()) == {1}
            jobs = store.jobs(JobFilter(labels={"schedule": name})).jobs
            assert len(jobs) == (1 if name == "c" else len([each for each in ticks if each.job]))
        assert max(tick.at for tick in store.ticks("a")) == later(10 * FIVE).now


def test_a_tick_of_a_process_that_died_before_its_commit_is_still_due(
    path: Path, children: Children
) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("s"))

    def die(monkeypatch: pytest.MonkeyPatch) -> None:
        from flam_store import faults

        monkeypatch.setattr(faults, "_asked", "committing=kill")
        with opened(path, later()) as store:
            store.enqueue_due()

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert children.start(lambda: die(monkeypatch)).wait() == -9
    with opened(path, later()) as store:
        assert len(store.enqueue_due().jobs) == 1


SPOILT = {
    "a spec of another kind": ("spec", "[1]", "JSON object"),
    "a spec that breaks a rule": ("spec", '{"command": ""}', "command: is empty"),
    "a spec that can be enqueued once": ("spec", '{"command": "true", "id": "j"}', "given only"),
    "an unknown field": ("spec", '{"command": "true", "colour": 1}', "no field"),
    "no expression": ("cron", "often", "1 fields"),
    "no zone": ("timezone", "Nowhere/Land", "no time zone"),
    "no name": ("name", "a b", "no valid name"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_one_that_cannot_be_read_is_skipped_and_hinders_no_other(path: Path, what: str) -> None:
    column, value, told = SPOILT[what]
    with opened(path) as store:
        store.add_schedule(schedule_spec("a"))
        store.add_schedule(schedule_spec("bad"))
        store.add_schedule(schedule_spec("z"))
    edit(path, f"UPDATE schedules SET {column} = ? WHERE name = 'bad'", value)
    name = value if column == "name" else "bad"
    with opened(path, later()) as store:
        ticked = store.enqueue_due()
        assert len(ticked.jobs) == 2
        (problem,) = ticked.problems
        assert problem.startswith(f"schedule {name}: ")
        assert told in problem
        assert store.enqueue_due().problems == ()
        found = {each.name: each for each in store.schedules()}
        assert told in str(found[name].problem)
        assert [each for each in found.values() if each.problem is None] == [found["a"], found["z"]]
        assert found[name].upcoming(3) == ()
        (fault,) = [each for each in store.examine() if each.level is Level.FAIL]
        assert fault.subject == "schedules"
        assert fault.text.startswith(f"{name} cannot be read")
        assert told in str(store.ticks(name)[0].skipped)
        for verb in (store.run_schedule, store.resume_schedule):
            with pytest.raises(SpecError, match="cannot be read"):
                verb(name)
        store.pause_schedule(name, by="ann")
        store.remove_schedule(name)
        assert [each for each in store.examine() if each.level is Level.FAIL] == []


@pytest.mark.parametrize("column", ["name", "cron", "timezone", "spec", "overlap", "catch_up"])
def test_one_that_is_no_text_is_skipped_named_and_removed(path: Path, column: str) -> None:
    with opened(path) as store:
        for each in ("a", "bad", "z"):
            store.add_schedule(schedule_spec(each))
    spoil_text(path, column)
    name = "\udcff" if column == "name" else "bad"
    with opened(path, later()) as store:
        ticked = store.enqueue_due()
        expected = 3 if column in ("overlap", "catch_up") else 2  # which have a value to go by
        assert len(ticked.jobs) == expected
        assert len(ticked.problems) == 3 - expected
        assert {each.name for each in store.schedules()} == {"a", name, "z"}
        assert all(problem.isprintable() for problem in ticked.problems)
        for tick in store.ticks(name):
            assert tick.skipped is None or "\udcff" not in tick.skipped
        store.pause_schedule(name, by="ann")
        store.remove_schedule(name)
        assert {each.name for each in store.schedules()} == {"a", "z"}


def test_doctor_gives_a_name_that_is_no_text_as_a_shell_takes_it(path: Path) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("bad"))
    edit(path, "UPDATE schedules SET name = CAST(x'61202707ff' AS TEXT)")
    with opened(path) as store:
        (fault,) = [each for each in store.examine() if each.subject == "schedules"]
        assert r"schedule remove $'a\x20\x27\x07\xff', then" in str(fault.mend)
        store.remove_schedule(os.fsdecode(b"a '\x07\xff"))
        assert store.schedules() == ()


def test_who_paused_it_may_be_no_text(path: Path) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("s"))
        store.pause_schedule("s", by="ann")
    edit(path, "UPDATE schedules SET paused_by = CAST(x'ff' AS TEXT)")
    with opened(path) as store:
        assert store.schedule("s").problem is None
        assert store.schedule("s").paused_by == r"\udcff"


def spoil_text(path: Path, column: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(f"UPDATE schedules SET {column} = CAST(x'ff' AS TEXT) WHERE name = 'bad'")


@pytest.mark.parametrize("millis", [-(2**62), 2**62])
def test_times_beyond_the_calendar_are_looked_at_all_the_same(path: Path, millis: int) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("s"))
    for column in ("next_at", "created_at", "paused_at"):
        edit(path, f"UPDATE schedules SET {column} = ?", millis)
    with opened(path) as store:
        (found,) = store.schedules()
        assert found.paused_at is not None
        store.resume_schedule("s")
    edit(path, "UPDATE schedules SET next_at = ?", millis)
    with opened(path) as store:
        store.enqueue_due()
        store.mend()
        assert store.schedule("s").next_at == later().now


def test_ticks_of_no_schedule_are_damage(path: Path) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("s"))
        store.run_schedule("s")
    edit(path, "DELETE FROM schedules")
    with opened(path) as store:
        faults = [each for each in store.examine() if each.level is Level.FAIL]
        assert [each.subject for each in faults] == ["integrity"]


def schema_1(path: Path) -> None:
    """A database as the first version made it, with a job in some states, and a child."""
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        for statement in statements(migrations()[0].sql):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        for seq, (job_id, state, ready, attempts) in enumerate(
            [("due", "pending", 1, 0), ("later", "pending", 0, 0), ("child", "blocked", None, 0),
             ("failed", "failed", 0, 1), ("dead", "dead", None, 4), ("done", "completed", None, 1),
             ("off", "cancelled", None, 0)], 1,
        ):  # fmt: skip
            db.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, 'q', 3, ?, ?, ?, ?, ?, 3, 2.0, 60.0, 0.1,"
                " 5000, NULL, 'true', ?)",
                (seq, job_id, state, ready, attempts, attempts, START, START, START,
                 '{"env": {"A": "b"}}'),
            )  # fmt: skip
            db.execute("INSERT INTO labels VALUES (?, 'a', 'b')", (seq,))
            for number in range(1, attempts + 1):
                how = "completed" if state == "completed" else "failed"
                db.execute(
                    "INSERT INTO attempts (seq, attempt, state, worker, due_at, started_at,"
                    " finished_at, exit_code) VALUES (?, ?, ?, 'w', ?, ?, ?, 0)",
                    (seq, number, how, START, START, START),
                )
        db.execute("UPDATE jobs SET run_at = ? WHERE ready = 0", (START + 60_000,))
        db.execute("INSERT INTO dependencies VALUES (3, 1, 'due')")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def rows_of(path: Path) -> dict[str, list[Any]]:
    tables = ("jobs", "labels", "attempts", "counters")
    with closing(sqlite3.connect(path)) as db:
        rows = {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
                for name in tables}  # fmt: skip
        rows["dependencies"] = db.execute("SELECT child, parent, parent_id FROM dependencies"
                                          ).fetchall()  # fmt: skip
    return rows


def is_as_new(path: Path, before: dict[str, list[Any]]) -> None:
    assert rows_of(path) == before
    with opened(path) as store:
        assert len(everything(store)[0]) == 7
        faults = [each for each in store.examine() if each.level is Level.FAIL]
        assert faults == []
        job = store.job("dead")
        assert (job.attempts, job.env, job.after_policy) == (4, {"A": "b"}, "all")
        run(store, OUTCOMES["completed"])
        assert run(store, OUTCOMES["completed"]).job.id == "child"
        store.add_schedule(schedule_spec("s"))
        assert store.run_schedule("s").state == "pending"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchall() == [(KNOWN,)]


def test_a_database_of_schema_1_is_migrated_with_its_jobs_whole(path: Path) -> None:
    schema_1(path)
    before = rows_of(path)
    with looking_at(f"sqlite:///{path}", clock=FakeClock()) as look:
        assert look.schedules() == ()
        assert {each.level for each in look.examine()} == {Level.PASS}
    with opened(path):
        pass
    is_as_new(path, before)


def test_what_only_looks_says_what_an_older_schema_lacks(path: Path) -> None:
    schema_1(path)
    lacking: list[Callable[[StoreReader], object]] = [
        lambda look: look.schedule("s"),
        lambda look: look.ticks("s"),
        lambda look: look.relatives("child"),
        lambda look: look.standing("child"),
        lambda look: look.last_ended(limit=1),
        lambda look: look.statistics(by=By.QUEUE, since=FakeClock().now),
        lambda look: list(look.export(JobFilter(states=(State.BLOCKED,)))),
    ]
    with looking_at(f"sqlite:///{path}", clock=FakeClock()) as look:
        for verb in lacking:
            with pytest.raises(StoreError, match=r"is at schema 1, .* for writing once"):
                verb(look)
        assert look.workers() == ()
        assert look.job("child").state is State.BLOCKED
        assert look.overview().counts[State.DEAD] == 1


def test_eight_processes_migrate_a_database_at_once(path: Path, children: Children) -> None:
    schema_1(path)
    before = rows_of(path)

    def open_at_once(start: Signpost) -> int:
        start.until_reached()
        with opened(path) as store:
            return len(store.jobs(limit=0).jobs)

    start = Signpost()
    started = [children.start(lambda: open_at_once(start)) for _ in range(8)]
    for _ in started:
        start.reach()
    assert [child.answer() for child in started] == [7] * 8
    start.close()
    is_as_new(path, before)


def test_a_spec_as_large_as_a_spec_may_be_is_kept(path: Path) -> None:
    with opened(path) as store:
        store.add_schedule(schedule_spec("s", job=JobSpec(command="cat", stdin="x" * 1_000_000)))
        assert store.run_schedule("s").stdin == "x" * 1_000_000
        with pytest.raises(SpecError, match="1,048,576 bytes"):
            store.add_schedule(
                schedule_spec("t", job=JobSpec(command="cat", stdin="\u20ac" * 400_000))
            )
        assert [each.name for each in store.schedules()] == ["s"]
        store.enqueue(spec("after"))
