"""Output without its attempt, and attempts without their output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from flam_store import JobFilter, Store, open_store
from flam_store.finding import Level
from flam_store.outcome import Completed
from flam_store.output import Logs
from flam_store.strays import examine_output, find_strays, mend_output
from flam_store.testing.given import WORKER, claimed, result, spec


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{path}") as store:
        yield store


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


def write(logs: Logs, seq: int, attempt: int = 1) -> Path:
    fd = logs.create(seq, attempt)
    os.write(fd, b"text")
    os.close(fd)
    return logs.path_of(seq, attempt)


def completed(store: Store, logs: Logs, job_id: str) -> Path:
    store.enqueue(spec(job_id))
    claim = claimed(store)
    path = write(logs, claim.job.seq, claim.attempt)
    ended = attrs.evolve(result(claim, Completed()), output_bytes=4)
    store.finish([ended], worker_id=WORKER)
    return path


def levels(logs: Logs, store: Store) -> list[Level]:
    return [finding.level for finding in examine_output(logs, store)]


def test_an_empty_queue_without_logs_is_sound(store: Store, logs: Logs) -> None:
    assert levels(logs, store) == [Level.PASS]
    assert mend_output(logs, store) == ()
    assert not logs.folder.exists()


def test_outputs_and_attempts_that_belong_together_are_sound(store: Store, logs: Logs) -> None:
    completed(store, logs, "a")
    store.enqueue_many(spec(f"j{n}") for n in range(1_500))
    completed(store, logs, "b")
    store.enqueue(spec("running"))
    write(logs, claimed(store).job.seq)
    (logs.folder / "flam-worker.log").touch()
    (logs.folder / "000" / "1-1.log.short").touch()
    (logs.folder / "000" / "notes").touch()
    assert levels(logs, store) == [Level.PASS]


def test_output_of_a_purged_job_is_found_and_deleted(store: Store, logs: Logs) -> None:
    gone, kept = completed(store, logs, "a"), completed(store, logs, "b")
    store.retry("b")
    store.purge(JobFilter())
    assert levels(logs, store) == [Level.WARN]
    assert find_strays(logs, store).purged == [gone]
    (repair,) = mend_output(logs, store)
    assert "1 file" in repair.text
    assert (gone.exists(), kept.exists()) == (False, True)
    assert levels(logs, store) == [Level.PASS]


def test_output_of_another_queue_is_told_and_left_alone(store: Store, logs: Logs) -> None:
    completed(store, logs, "a")
    beyond, unknown = write(logs, 7_003), write(logs, 1, 9)
    assert levels(logs, store) == [Level.WARN]
    assert set(find_strays(logs, store).unknown) == {beyond, unknown}
    assert mend_output(logs, store) == ()
    assert beyond.exists()
    assert unknown.exists()


def test_output_that_is_gone_is_told(store: Store, logs: Logs) -> None:
    completed(store, logs, "a").unlink()
    (finding,) = examine_output(logs, store)
    assert (finding.level, "1-1" in finding.text) == (Level.WARN, True)
    assert mend_output(logs, store) == ()
