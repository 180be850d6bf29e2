"""What a command loads is most of the time it takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import SOURCES

HEAVY = {
    "asyncio", "cattrs", "cronsim", "email", "flam_worker", "hypothesis", "importlib.metadata",
    "logging", "multiprocessing", "pickle", "platformdirs", "psutil", "pygments", "rich",
    "socket", "ssl", "tempfile", "unittest", "urllib.request", "uuid_utils", "zoneinfo",
}  # fmt: skip

OWN = {
    "flam_cli", "flam_cli.app", "flam_cli.errors", "flam_cli.options", "flam_cli.place",
    "flam_cli.commands", "flam_cli.commands.enqueue", "flam_cli.root", "flam_cli.filling",
    "flam_cli.render", "flam_cli.render.human", "flam_cli.render.machine",
    "flam_store", "flam_store.bounds", "flam_store.clock", "flam_store.config",
    "flam_store.config_file", "flam_store.durations",
    "flam_store.errors", "flam_store.exits", "flam_store.faults", "flam_store.home",
    "flam_store.job",
    "flam_store.migrations", "flam_store.names", "flam_store.opening", "flam_store.outcome",
    "flam_store.output", "flam_store.overview", "flam_store.rules", "flam_store.shapes",
    "flam_store.state", "flam_store.store", "flam_store.text", "flam_store.worker",
}  # fmt: skip


def loaded(*words: str) -> set[str]:
    script = (
        "import sys; from flam_cli.app import main\n"
        "code = main(sys.argv[1:])\n"
        "print('\\n'.join(['', *sys.modules]), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True, text=True, env=environment, timeout=60, check=True,
    )  # fmt: skip
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [["enqueue", "--", "true"], ["--help"], ["--version"], ["status"], ["list"]],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(words: list[str]) -> None:
    modules = loaded(*words)
    assert not HEAVY & modules


def test_a_spec_in_json_needs_cattrs_and_nothing_else_that_is_heavy() -> None:
    assert HEAVY & loaded("enqueue", '{"command": "true"}') == {"cattrs"}


def test_enqueue_loads_these_modules_of_flam() -> None:
    modules = {name for name in loaded("enqueue", "--", "true") if name.startswith("flam_")}
    assert {name for name in modules if not name.startswith("flam_store.sqlite")} == OWN
