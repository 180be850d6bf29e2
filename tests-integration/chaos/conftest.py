"""A trial for each test: a queue of its own, a journal, and a seed that is told on failure."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import pytest
from conftest import Flam

from chaos.harness import SEED, Chaos


@pytest.fixture
def chaos(flam: Flam) -> Iterator[Chaos]:
    if sys.platform != "linux":
        pytest.skip("the harness finds processes in /proc")
    print(f"FLAM_CHAOS_SEED={SEED}")  # noqa: T201 - shown when the test fails
    trial = Chaos(flam, random.Random(SEED))
    trial.folder.mkdir()
    trial.configure()
    yield trial
    for running in trial.launched:
        running.close()
    log = flam.home / "logs" / "flam-worker.log"
    if log.is_file():
        print(log.read_text(errors="backslashreplace")[-20_000:])  # noqa: T201 - the same
