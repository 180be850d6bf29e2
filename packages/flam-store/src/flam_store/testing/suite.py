"""What an engine's tests provide, and the fixtures that every part of the suite stands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from flam_store.clock import Clock
from flam_store.config import Config
from flam_store.store import Store
from flam_store.testing.clock import FakeClock


class MakeStore(Protocol):
    """Open one more session of this test's queue, which is empty at first.

    Whoever provides it closes what it opened, and deletes the queue, when the test is over.
    """

    def __call__(self, *, clock: Clock, config: Config) -> Store: ...


class SetQueue(Protocol):
    """Pause a queue, and set its limit; None: no limit."""

    def __call__(self, queue: str, *, paused: bool = False, limit: int | None = None) -> None: ...


OpenBackup = Callable[[Path], Store]
"""Open the file that ``backup`` made as a queue of its own; closed when the test is over."""


class Suite:
    """A part of the conformance suite. Two sessions of one queue, and a clock set by hand."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def config(self) -> Config:
        return Config()

    @pytest.fixture
    def store(self, make_store: MakeStore, clock: FakeClock, config: Config) -> Store:
        return make_store(clock=clock, config=config)

    @pytest.fixture
    def other(self, make_store: MakeStore, clock: FakeClock, config: Config) -> Store:
        return make_store(clock=clock, config=config)

    @pytest.fixture
    def set_queue(self, store: Store) -> SetQueue:
        def set_(queue: str, *, paused: bool = False, limit: int | None = None) -> None:
            store.limit(queue, limit)
            if paused:
                store.pause(queue, by="a test")
            else:
                store.resume(queue)

        return set_
