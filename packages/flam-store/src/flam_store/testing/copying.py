"""Conformance: a backup is the queue as it was at one moment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flam_store.errors import FileTaken
from flam_store.finding import Level
from flam_store.state import State
from flam_store.store import Store
from flam_store.testing.given import OUTCOMES, everything, run, spec, state_of, stored_in
from flam_store.testing.suite import OpenBackup, Suite


class Copying(Suite):
    """``backup``."""

    @pytest.fixture
    def target(self, tmp_path: Path) -> Path:
        folder = tmp_path / "backups"
        folder.mkdir()
        return folder / "backup"

    def test_a_backup_has_everything_and_is_a_queue_of_its_own(
        self, store: Store, target: Path, open_backup: OpenBackup
    ) -> None:
        for state in State:
            stored_in(store, state, state.value, queue=state.value, labels={"a": "b"})
        before = everything(store)
        made = store.backup(target)
        assert (made.jobs, made.size_bytes) == (len(before[0]), target.stat().st_size)
        copy = open_backup(target)
        assert everything(copy) == before
        assert copy.workers() == store.workers()
        assert Level.FAIL not in {finding.level for finding in copy.examine()}
        run(store, OUTCOMES["completed"], queues=["pending"])
        assert state_of(copy, "pending") is State.PENDING

    def test_it_is_one_private_file_whatever_the_umask(self, store: Store, target: Path) -> None:
        store.enqueue(spec("j"))
        before = os.umask(0o777)
        try:
            store.backup(target)
        finally:
            os.umask(before)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert os.listdir(target.parent) == [target.name]

    def test_a_file_is_overwritten_only_when_that_is_asked_for(
        self, store: Store, target: Path, open_backup: OpenBackup
    ) -> None:
        target.write_bytes(b"precious")
        store.enqueue(spec("j"))
        with pytest.raises(FileTaken):
            store.backup(target)
        assert target.read_bytes() == b"precious"
        assert os.listdir(target.parent) == [target.name]
        store.backup(target, replace=True)
        assert state_of(open_backup(target)) is State.PENDING

    def test_its_progress_ends_at_the_whole(self, store: Store, target: Path) -> None:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 10_000) for n in range(1_000))
        told: list[tuple[int, int]] = []
        store.backup(target, progress=lambda done, pages: told.append((done, pages)))
        assert len(told) > 1
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]

    def test_one_that_is_broken_off_leaves_nothing(self, store: Store, target: Path) -> None:
        store.enqueue_many(spec(f"j{n}", stdin="x" * 10_000) for n in range(1_000))

        def break_off(_done: int, _pages: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.backup(target, progress=break_off)
        assert os.listdir(target.parent) == []
        assert store.backup(target).jobs == 1_000
