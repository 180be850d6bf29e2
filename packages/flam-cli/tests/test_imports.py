"""What a command loads is most of the time it takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import SOURCES, Run

HEAVY = {
    "asyncio", "cattrs", "cronsim", "email", "flam_worker", "hypothesis", "importlib.metadata",
    "logging", "multiprocessing", "pickle", "platformdirs", "psutil", "pygments", "rich",
    "socket", "ssl", "tempfile", "unittest", "urllib.request", "uuid_utils", "zoneinfo",
}  # fmt: skip

TYPERS = {"difflib", "gettext", "importlib.util", "rich", "shellingham", "subprocess", "textwrap",
          "typer", "uuid"}  # fmt: skip
"""What Typer asks for, and Flam does not."""

OWN = {
    "flam_cli", "flam_cli.app", "flam_cli.plain", "flam_cli.declaring", "flam_cli.global_options",
    "flam_cli.commands", "flam_cli.commands.enqueue", "flam_cli.errors", "flam_cli.filling",
    "flam_cli.options", "flam_cli.place",
    "flam_cli.render", "flam_cli.render.human", "flam_cli.render.machine",
    "flam_store", "flam_store.bounds", "flam_store.clock", "flam_store.config",
    "flam_store.config_file", "flam_store.durations",
    "flam_store.errors", "flam_store.exits", "flam_store.faults", "flam_store.home",
    "flam_store.job", "flam_store.names", "flam_store.opening",
    "flam_store.rules", "flam_store.shapes", "flam_store.state", "flam_store.text",
    "flam_store.sqlite", "flam_store.sqlite.bells", "flam_store.sqlite.blocks",
    "flam_store.sqlite.connection",
    "flam_store.sqlite.engine", "flam_store.sqlite.enqueueing", "flam_store.sqlite.gate",
    "flam_store.sqlite.place", "flam_store.sqlite.queries", "flam_store.sqlite.reading",
    "flam_store.sqlite.rows", "flam_store.sqlite.schema", "flam_store.sqlite.session",
    "flam_store.sqlite.troubles",
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
        capture_output=True, text=True, env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
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
    loaded("enqueue", "--", "true")  # makes the database, and with it asks for its schema
    modules = {name for name in loaded("enqueue", "--", "true") if name.startswith("flam_")}
    assert modules == OWN


@pytest.mark.parametrize(
    "words",
    [["enqueue", "--", "true"], ["status"], ["list"], ["show", "a"], ["wait", "a"]],
    ids=" ".join,
)
def test_the_commands_of_hot_loops_do_without_typer(queuectl: Run, words: list[str]) -> None:
    queuectl("enqueue", "--id", "a", "--", "true")
    queuectl("cancel", "a")
    assert not TYPERS & loaded(*words)


def test_the_list_of_commands_is_told_without_any_of_them() -> None:
    modules = loaded("--help")
    assert "attrs" not in modules
    assert not any(name.startswith(("flam_cli.commands", "flam_store")) for name in modules)
