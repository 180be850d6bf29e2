"""How SQLite finds what a statement asks for: pinned, so that no verb slows down as rows grow."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from flam_store import JobFilter, State, Store, open_store
from flam_store.sqlite.connection import memory_database
from flam_store.sqlite.queries import SQL
from flam_store.testing.clock import FakeClock
from flam_store.testing.given import OUTCOMES, WORKER, registration, result, run, spec


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(memory_database()) as db:
        yield db


def plan(db: sqlite3.Connection, name: str) -> list[str]:
    sql = SQL[name]
    named = dict.fromkeys(re.findall(r":(\w+)", sql))
    values = named or (None,) * sql.count("?")
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def test_a_claim_walks_its_index_and_sorts_only_the_heads(db: sqlite3.Connection) -> None:
    steps = plan(db, "choose")
    of_jobs = [step for step in steps if re.match(r"(SCAN|SEARCH) jobs", step)]
    assert of_jobs == [
        "SCAN jobs USING INDEX jobs_ready",  # its first row
        "SEARCH jobs USING INDEX jobs_ready (queue>?)",
        "SEARCH jobs USING INDEX jobs_ready (queue=?)",
    ]
    assert [step for step in steps if "head" in step] == [
        "SEARCH head USING INTEGER PRIMARY KEY (rowid=?)"
    ]
    assert sum("TEMP B-TREE" in step for step in steps) == 1
    assert steps[-1] == "USE TEMP B-TREE FOR ORDER BY"


@pytest.mark.parametrize("name", ["promote_due", "next_due", "oldest_due"])
def test_what_is_due_is_found_by_its_index(db: sqlite3.Connection, name: str) -> None:
    steps = plan(db, name)
    assert "jobs_due (ready=?" in steps[-1]
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("seq_of", "sqlite_autoindex_jobs_1 (id=?)"),
        ("job_by_seq", "INTEGER PRIMARY KEY (rowid=?)"),
        ("state_of", "sqlite_autoindex_jobs_1 (id=?)"),
        ("newest", "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("oldest", "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ("newest_in_state", "COVERING INDEX jobs_by_state (state=? AND seq>? AND seq<?)"),
        ("oldest_in_state", "COVERING INDEX jobs_by_state (state=? AND seq>? AND seq<?)"),
        ("newest_in_queue", "COVERING INDEX jobs_by_queue (queue=? AND seq>? AND seq<?)"),
        ("oldest_in_queue", "COVERING INDEX jobs_by_queue (queue=? AND seq>? AND seq<?)"),
        ("newest_labelled", "INDEX labels_by_value (key=? AND value=? AND seq>? AND seq<?)"),
        ("oldest_labelled", "INDEX labels_by_value (key=? AND value=? AND seq>? AND seq<?)"),
        ("first_stored_from", "INTEGER PRIMARY KEY (rowid>?)"),
        ("widths_of", "INTEGER PRIMARY KEY (rowid=?)"),
        ("jobs_of", "INTEGER PRIMARY KEY (rowid=?)"),
        ("jobs_matching", "INTEGER PRIMARY KEY (rowid=?)"),
        ("last_ended", "INDEX attempts_by_end (finished_at>?)"),
        ("totals", "PRIMARY KEY (span_ms=?)"),
        ("past_of", "PRIMARY KEY (seq=?)"),
        ("gone_of", "PRIMARY KEY (child=?)"),
        ("stored_ids", "sqlite_autoindex_jobs_1 (id=?)"),
        ("purgeable", "INTEGER PRIMARY KEY (rowid=?)"),
        ("ended_after", "jobs_by_state (state=? AND seq>?)"),
        ("attempt_of", "PRIMARY KEY (seq=? AND attempt=?)"),
        ("old_minutes", "PRIMARY KEY (span_ms=? AND start_at<?)"),
        ("key_holder", "jobs_unique_key (unique_key=?)"),
        ("settle_job", "INTEGER PRIMARY KEY (rowid=?)"),
        ("running", "attempts_running"),
        ("latest_attempt", "PRIMARY KEY (seq=? AND attempt=?)"),
        ("running_in_queue", "attempts_running"),
        ("parents_of", "dependencies USING PRIMARY KEY (child=?)"),
        ("children_of", "dependencies_by_parent (parent=?)"),
        ("counts_of", "PRIMARY KEY (queue=?)"),
        ("queue_settings", "PRIMARY KEY (name=?)"),
        ("update_waiting", "INTEGER PRIMARY KEY (rowid=?)"),
        ("at_or_after", "INTEGER PRIMARY KEY (rowid>?)"),
        ("states_of", "INTEGER PRIMARY KEY (rowid=?)"),
        ("cancelled_of", "attempts_running (worker=?)"),
        ("next_tick", "schedules_due"),
        ("due_schedules", "schedules_due (next_at<?)"),
        ("ticks_of", "PRIMARY KEY (schedule=?)"),
        ("unfinished_of_schedule", "PRIMARY KEY (schedule=?)"),
    ],
)
def test_a_job_is_found_by_an_index(db: sqlite3.Connection, name: str, index: str) -> None:
    assert index in plan(db, name)[0]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("walk", ["", "_in_state", "_in_queue", "_labelled"])
def test_a_page_is_a_stretch_of_an_index_and_nothing_is_sorted(
    db: sqlite3.Connection, order: str, walk: str
) -> None:
    assert len(plan(db, f"{order}{walk}")) == 1


def test_what_ended_is_read_from_the_end_of_its_index(db: sqlite3.Connection) -> None:
    assert not any("TEMP B-TREE" in step for step in plan(db, "last_ended"))
    steps = plan(db, "ended_since")
    assert "SEARCH attempts USING INDEX attempts_by_end (finished_at>?)" in steps
    assert steps[-1] == "SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)"
    assert not any("TEMP B-TREE" in step for step in steps)


def test_jobs_ahead_are_counted_along_the_index_of_claims(db: sqlite3.Connection) -> None:
    steps = plan(db, "ahead")
    assert [step for step in steps if "jobs" in step] == [
        "SEARCH jobs USING INDEX jobs_ready (queue=? AND priority>?)",
        "SEARCH jobs USING INDEX jobs_ready (queue=? AND priority=? AND seq<?)",
    ]
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize("name", ["unblock_children", "block_children", "satisfy_children"])
def test_who_waits_for_a_job_is_found_by_its_dependencies(
    db: sqlite3.Connection, name: str
) -> None:
    found = [step for step in plan(db, name) if "SEARCH dependencies" in step]
    assert "INDEX dependencies_by_parent (parent=?)" in found[0]


@pytest.mark.parametrize("name", ["purgeable", "ended_after", "still_old"])
def test_who_needs_a_job_is_found_by_its_dependencies(db: sqlite3.Connection, name: str) -> None:
    steps = plan(db, name)
    assert "SEARCH dependencies USING INDEX dependencies_by_parent (parent=?)" in steps
    assert [step for step in steps if "SEARCH child" in step and "seq=?" in step]


def test_a_claim_of_named_queues_looks_at_these_alone(db: sqlite3.Connection) -> None:
    steps = plan(db, "choose_of")
    assert [step for step in steps if re.match(r"(SCAN|SEARCH) jobs", step)] == [
        "SEARCH jobs USING INDEX jobs_ready (queue=?)"
    ]
    assert [step for step in steps if "head" in step] == [
        "SEARCH head USING INTEGER PRIMARY KEY (rowid=?)"
    ]
    assert sum("TEMP B-TREE" in step for step in steps) == 1


def test_a_claim_by_age_leaps_from_head_to_head_and_sorts_only_those(
    db: sqlite3.Connection,
) -> None:
    steps = plan(db, "choose_aged")
    assert [step for step in steps if re.match(r"(SCAN|SEARCH) jobs", step)] == [
        "SCAN jobs USING INDEX jobs_ready",  # its first row
        "SEARCH jobs USING INDEX jobs_ready (queue=? AND priority<?)",
        "SEARCH jobs USING INDEX jobs_ready (queue>?)",
    ]
    assert [step for step in steps if "head" in step and "heads" not in step] == [
        "SEARCH head USING INTEGER PRIMARY KEY (rowid=?)"
    ] * 2
    assert sum("TEMP B-TREE" in step for step in steps) == 1
    assert steps[-1] == "USE TEMP B-TREE FOR ORDER BY"


SMALL = {"heads", "counters", "counted", "queues", "workers", "open", "waits", "want", "json_each",
         "holding", "sqlite_sequence", "sqlite_schema", "temp.sqlite_schema", "made", "reference",
         "schedules", "imports", "ended", "served", "CONSTANT"}  # fmt: skip
BY_A_PARTIAL_INDEX = {
    "SCAN jobs USING INDEX jobs_ready",
    "SCAN attempts USING INDEX attempts_running",
}


EXAMINING = {
    "count_jobs", "miscounted", "recount", "misflagged_jobs", "flag_again", "latest_times",
    "jobs_beyond_the_calendar", "jobs_with_options", "schema_objects", "clear_counts",
}  # fmt: skip
"""Only ``examine``, ``mend``, ``backup`` and a restore look at every row."""


@pytest.mark.parametrize("name", sorted(set(SQL) - {"newest_started"} - EXAMINING))
def test_no_statement_reads_all_jobs_or_all_attempts(db: sqlite3.Connection, name: str) -> None:
    for step in plan(db, name):
        if step.startswith("SCAN ") and step not in BY_A_PARTIAL_INDEX:
            assert step.split()[1] in SMALL, step


def steps_of(store: Store, verb: object) -> int:
    """How many steps SQLite's machine takes for a verb."""
    db = store._session._db  # type: ignore[attr-defined]
    steps = 0

    def counted() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(counted, 1)
    verb()  # type: ignore[operator]
    db.set_progress_handler(None, 0)
    return steps


def costs(path: Path, jobs: int) -> dict[str, int]:
    clock = FakeClock()
    with open_store(f"sqlite:///{path}", clock=clock) as store:
        store.register(registration())
        for n in range(2):
            store.enqueue(spec(f"ended{n}", labels={"rare": "1"}))
            run(store, OUTCOMES["completed"])
        store.enqueue_many(spec(f"due{n}", queue=f"q{n % 3}") for n in range(jobs))
        store.enqueue_many(
            spec(f"later{n}", priority=9, delay=timedelta(days=1)) for n in range(jobs)
        )
        store.enqueue(spec("last"))
        (claim,) = store.finish((), worker_id=WORKER, want=1).claims
        given = [result(claim, OUTCOMES["completed"])]
        verbs = {
            "finish": lambda: store.finish(given, worker_id=WORKER, want=1),
            "overview": store.overview,
            "job": lambda: store.job("last"),
            "jobs": lambda: store.jobs(limit=1),
            "jobs of a small queue": lambda: store.jobs(JobFilter(queue="default"), limit=2),
            "jobs with a label": lambda: store.jobs(JobFilter(labels={"rare": "1"}), limit=2),
            "jobs that failed so": lambda: store.jobs(JobFilter(failed_with=1), limit=2),
            "last_ended": lambda: store.last_ended(limit=2),
            "totals": store.totals,
            "jobs_in_state": lambda: store.jobs(JobFilter(states=(State.COMPLETED,)), limit=2),
            "running": store.running,
            "workers": store.workers,
            "enqueue": lambda: store.enqueue(spec("one-more")),
            "standing": lambda: store.standing("last"),
            "relatives": lambda: store.relatives("last"),
            "purge": lambda: store.purge(JobFilter(states=(State.COMPLETED,)), limit=1),
            "expire": lambda: store.expire(State.COMPLETED, older_than=timedelta(days=1)),
            "forget_minutes": store.forget_minutes,
        }
        return {name: steps_of(store, verb) for name, verb in verbs.items()}


def test_no_verb_costs_more_when_there_are_more_jobs(tmp_path: Path) -> None:
    few, many = costs(tmp_path / "few.db", 10), costs(tmp_path / "many.db", 2_000)
    for verb, steps in few.items():
        assert many[verb] <= steps * 1.2 + 10, verb


def test_every_statement_is_used() -> None:
    import flam_store.sqlite

    folder = Path(str(flam_store.sqlite.__file__)).parent
    code = "".join(file.read_text() for file in folder.glob("*.py"))
    assert [name for name in SQL if f'SQL["{name}"]' not in code] == []


def test_the_newest_start_is_the_end_of_an_index_and_nothing_is_sorted(
    db: sqlite3.Connection,
) -> None:
    assert plan(db, "newest_started") == ["SCAN attempts USING COVERING INDEX attempts_by_start"]
