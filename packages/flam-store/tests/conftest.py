from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("flam_store.testing", "forking")

from forking import Children  # noqa: E402


@pytest.fixture
def children() -> Iterator[Children]:
    """Processes that are gone when the test is over."""
    with Children() as started:
        yield started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's database lies; it is not made yet."""
    return tmp_path / "queue.db"
