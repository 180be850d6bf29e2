"""The conformance suite against SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flam_store import Config, Store, open_store
from flam_store.clock import Clock
from flam_store.testing.conformance import Conformance, MakeStore, OpenBackup


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
    def open_backup(self) -> Iterator[OpenBackup]:
        with ExitStack() as opened:
            yield lambda copy: opened.enter_context(open_store(f"sqlite:///{copy}"))
