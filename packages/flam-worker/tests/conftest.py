from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import flam_store
import flam_worker

pytest.register_assert_rewrite("children", "commands", "jobs", "pools")

from children import Children, end_descendants, living_descendants, reap  # noqa: E402
from pools import Pools  # noqa: E402

from flam_worker import kernel  # noqa: E402

_LEAVING_SECONDS = 10.0


@pytest.fixture(scope="session", autouse=True)
def orphans_are_ours() -> None:
    """Whatever a test starts stays a descendant of this process, whoever forked it."""
    kernel.adopt_orphans()


@pytest.fixture(autouse=True)
def nothing_is_left(orphans_are_ours: None) -> Iterator[None]:
    """No process, no environment and no working directory outlives its test."""
    before = dict(os.environ), os.getcwd()
    yield
    deadline = time.monotonic() + _LEAVING_SECONDS
    while (left := living_descendants()) and time.monotonic() < deadline:
        reap()
        time.sleep(0.005)
    reap()
    end_descendants()
    assert not left, f"left running: {left}"
    after = dict(os.environ), os.getcwd()
    for environment, _ in (before, after):
        environment.pop("PYTEST_CURRENT_TEST", None)
    assert after == before


@pytest.fixture(autouse=True)
def plain_environment(nothing_is_left: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test starts finds this code, and nothing of Flam in its environment."""
    for name in [name for name in os.environ if name.startswith(("FLAM_", "PG"))]:
        monkeypatch.delenv(name)
    sources = (Path(str(module.__file__)).parents[1] for module in (flam_store, flam_worker))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(dict.fromkeys(map(str, sources))))


@pytest.fixture
def children(nothing_is_left: None) -> Iterator[Children]:
    """Processes that are gone when the test is over."""
    with Children() as started:
        yield started


@pytest.fixture
def pools(plain_environment: None, tmp_path: Path) -> Iterator[Pools]:
    """A data directory, and the pools that a test starts in it."""
    with Pools(tmp_path / "home") as made:
        yield made
