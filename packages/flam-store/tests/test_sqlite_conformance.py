"""The conformance suite against SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from flam_store import Config, Store, open_store
from flam_store.clock import Clock
from flam_store.testing.clock import START
from flam_store.testing.conformance import Conformance, MakeStore, RequestCancel, SetQueue


def changed(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(sql, values).rowcount == 1


class TestSqlite(Conformance):
    @pytest.fixture
    def make_store(self, path: Path) -> Iterator[MakeStore]:
        with ExitStack() as opened:

            def make(*, clock: Clock, config: Config) -> Store:
                return opened.enter_context(
                    open_store(f"sqlite:///{path}", clock=clock, config=config)
                )

            yield make

    @pytest.fixture
    def set_queue(self, path: Path, store: Store) -> SetQueue:
        def set_(queue: str, *, paused: bool = False, limit: int | None = None) -> None:
            changed(
                path,
                "INSERT INTO queues (name, paused_at, concurrency) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE "
                "SET paused_at = excluded.paused_at, concurrency = excluded.concurrency",
                queue,
                START if paused else None,
                limit,
            )

        return set_

    @pytest.fixture
    def request_cancel(self, path: Path, store: Store) -> RequestCancel:
        def request(seq: int, attempt: int) -> None:
            changed(
                path,
                "UPDATE attempts SET cancel_requested_at = ? WHERE seq = ? AND attempt = ?",
                START,
                seq,
                attempt,
            )

        return request
