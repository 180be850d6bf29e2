"""Faults that a test asks for happen in a test only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

REACH = "from flam_store import faults; faults.reach('claimed'); print('went on')"


def reached(faults: str | None) -> int:
    """What becomes of a process that reaches the point; its exit code."""
    environ = {name: value for name, value in os.environ.items() if name != "FLAM_FAULTS"}
    given = {} if faults is None else {"FLAM_FAULTS": faults}
    return subprocess.run(
        [sys.executable, "-c", REACH], check=False, env=environ | given, stdout=subprocess.DEVNULL
    ).returncode


def test_a_test_that_says_so_gets_its_fault() -> None:
    assert reached("this process may fail: claimed=kill") == -signal.SIGKILL
    assert reached("this process may fail: exited=kill") == 0


@pytest.mark.parametrize("faults", [None, "", "claimed=kill", "1", "this process may fail"])
def test_nothing_else_makes_a_process_fail(faults: str | None) -> None:
    assert reached(faults) == 0
