from __future__ import annotations

from pathlib import Path

import pytest

import import_rule

REPOSITORY = Path(__file__).resolve().parents[2]


def violations(root: Path, module: str, source: str) -> list[str]:
    """What the rule has to say when ``module`` is the file ``module`` with this source."""
    file = root / module
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return list(import_rule.broken(import_rule.module_name(file, root), file))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("flam_store/opening.py", "import flam_worker"),
        ("flam_store/opening.py", "from flam_cli.app import main"),
        ("flam_worker/loop.py", "import flam_cli"),
        ("flam_store/opening.py", "import sqlite3"),
        ("flam_cli/commands/doctor.py", "import sqlite3"),
        ("flam_store/home.py", "import psutil"),
        ("flam_worker/supervisor.py", "import psutil"),
        ("flam_worker/__main__.py", "import typer"),
        ("flam_cli/app.py", "from rich.table import Table"),
        ("flam_cli/app.py", "import click"),
        ("flam_store/spec.py", "import os.path"),
        ("flam_worker/backoff.py", "from random import uniform"),
        ("flam_worker/decide.py", "import time"),
        ("flam_store/job.py", "from math import *"),
    ],
)
def test_a_forbidden_import_is_one_line(module: str, source: str, tmp_path: Path) -> None:
    assert len(violations(tmp_path, module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("flam_worker/loop.py", "from flam_store import JobSpec"),
        ("flam_cli/app.py", "import flam_store, flam_worker, typer"),
        ("flam_store/sqlite/connection.py", "import sqlite3, os, time"),
        ("flam_store/sqlite/__init__.py", "import sqlite3"),
        ("flam_store/testing/conformance.py", "import sqlite3"),
        ("flam_worker/identity.py", "import psutil"),
        ("flam_worker/tree.py", "import psutil"),
        ("flam_cli/render/human.py", "from rich.table import Table"),
        ("flam_store/job.py", "from datetime import datetime\nfrom pathlib import Path"),
        ("flam_store/home.py", "import os"),
        ("flam_store/job.py", "import oscillators, flam_store.sqlite_names"),
    ],
)
def test_an_import_that_no_rule_forbids_is_silent(module: str, source: str, tmp_path: Path) -> None:
    assert violations(tmp_path, module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "def read():\n    import os",
        "class Reader:\n    from os import environ",
        "if TYPE_CHECKING:\n    import os",
        "try:\n    import os\nexcept ImportError: ...",
        "import importlib\nos = importlib.import_module('os')",
        "from importlib import import_module\nos = import_module('os')",
        "#\nos = __import__('os')",
    ],
)
def test_an_import_counts_wherever_it_stands(source: str, tmp_path: Path) -> None:
    [line] = violations(tmp_path, "flam_store/state.py", source)

    assert line.startswith(f"{tmp_path}/flam_store/state.py:2: flam_store.state imports os")


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("flam_store/job.py", "from . import state", "flam_store.state"),
        ("flam_store/job.py", "from .state import State", "flam_store.state.State"),
        ("flam_store/sqlite/rows.py", "from .. import job", "flam_store.job"),
        ("flam_store/sqlite/rows.py", "from ..job import Job", "flam_store.job.Job"),
        ("flam_store/sqlite/__init__.py", "from .rows import row", "flam_store.sqlite.rows.row"),
        ("flam_store/opening.py", "import_module('.sqlite', __package__)", "flam_store.sqlite"),
    ],
)
def test_a_relative_import_is_read_in_full(
    module: str, source: str, imported: str, tmp_path: Path
) -> None:
    file = tmp_path / module
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)

    found = import_rule.imports(import_rule.module_name(file, tmp_path), file)

    assert [name for _, name in found] == [imported]


def test_the_check_fails_with_path_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    violations(tmp_path / "src", "flam_store/opening.py", "\n\nimport flam_cli")

    assert import_rule.main([str(tmp_path / "src")]) == 1
    assert capsys.readouterr().out == (
        "src/flam_store/opening.py:3: flam_store.opening imports flam_cli: "
        "the store knows nothing above it\n"
    )


def test_the_check_passes_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    violations(tmp_path, "flam_worker/loop.py", "import flam_store")

    assert import_rule.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_every_module_that_a_rule_names_exists() -> None:
    existing = {
        import_rule.module_name(file, root)
        for root in REPOSITORY.glob("packages/*/src")
        for file in root.rglob("*.py")
    }
    named = {name for rule in import_rule.RULES for name in (*rule.inside, *rule.spared)}

    assert named - existing == set()
