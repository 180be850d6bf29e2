from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.register_assert_rewrite("flam_store.testing", "forking", "shop")

from forking import Children  # noqa: E402
from shop import MADE  # noqa: E402

from flam_store import Store, open_store  # noqa: E402
from flam_store.testing.given import spec  # noqa: E402


@pytest.fixture
def children() -> Iterator[Children]:
    """Processes that are gone when the test is over."""
    with Children() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's database lies; it is not made yet."""
    return tmp_path / "queue.db"


@pytest.fixture
def queue(path: Path) -> Path:
    """A queue with a table of another program in the same file."""
    with open_store(f"sqlite:///{path}") as store:
        store.enqueue(spec("there", unique_key="k"))
    with closing(sqlite3.connect(path)) as db:
        db.execute(MADE)
    return path


@pytest.fixture
def db(queue: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(queue, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def store(queue: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{queue}") as opened:
        yield opened
