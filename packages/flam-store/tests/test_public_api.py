from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import flam_store
from flam_store import Store, StoreReader, errors
from flam_store.opening import load_engine
from flam_store.sqlite.engine import SqliteStore

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(flam_store.__path__, "flam_store.")
    if not module.name.endswith("__main__")
)


def test_the_package_says_that_it_is_typed() -> None:
    assert (files("flam_store") / "py.typed").is_file()


def test_every_public_name_is_there() -> None:
    for name in flam_store.__all__:
        assert hasattr(flam_store, name)
    assert {*flam_store.__all__} <= {*dir(flam_store)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        flam_store.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_type_checker_finds_each_public_name_where_it_is() -> None:
    source = ast.parse(Path(flam_store.__file__).read_text())
    checked = next(each for each in source.body if isinstance(each, ast.If))
    told = {
        alias.name: each.module
        for each in checked.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert sorted(told) == sorted(flam_store.__all__)
    for name, module in told.items():
        assert getattr(flam_store, name) is getattr(importlib.import_module(str(module)), name)


def test_what_the_verbs_take_and_what_they_raise_is_public() -> None:
    names = {"By", "JobChange", "Order", "ScheduleNotFound", "ScheduleSpec", "ScheduleTaken",
             "Selection", "Sweep", "UnsafeError"}  # fmt: skip
    assert names <= {*flam_store.__all__}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_a_module_is_there_without_an_import_of_its_own() -> None:
    assert "flam_store.errors" in loaded_by("import flam_store; flam_store.errors.FlamError")


def test_the_package_alone_loads_none_of_its_modules() -> None:
    loaded = loaded_by("import flam_store; from flam_store import State")
    assert {name for name in loaded if name.startswith("flam_store")} == {
        "flam_store",
        "flam_store.state",
    }


@pytest.mark.parametrize(
    "statement",
    ["import flam_store", "import flam_store.sqlite.engine", "import flam_store.testing.clock"],
)
def test_an_import_loads_nothing_that_it_does_not_need(statement: str) -> None:
    heavy = {"cattrs", "platformdirs", "pytest", "hypothesis", "difflib", "asyncio", "logging",
             "subprocess", "importlib.metadata", "uuid", "psutil", "typer", "cronsim",
             "zoneinfo", "flam_store.outcome", "flam_store.overview", "flam_store.worker",
             "flam_store.migrations", "flam_store.store", "flam_store.schedule",
             "flam_store.change", "flam_store.measures",
             "flam_store.selection"}  # fmt: skip
    assert not heavy & loaded_by(statement)


def test_the_engine_can_be_loaded_before_a_fork() -> None:
    loaded = loaded_by("from flam_store.opening import load_engine; load_engine('sqlite:///x.db')")
    assert "flam_store.sqlite.claiming" in loaded
    with pytest.raises(errors.StoreUrlError):
        load_engine("mysql://x")


def test_the_conformance_suite_asks_for_pytest_and_the_clock_does_not() -> None:
    assert "pytest" in loaded_by("import flam_store.testing.conformance")
    assert "pytest" not in loaded_by("import flam_store.testing.clock, flam_store.testing.given")


def drawn() -> dict[str, str]:
    """The tree in the docstring of the errors: each name with its parent's."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(
            r"((?:\u2502   |    )*)(?:\u251c\u2500\u2500 |\u2514\u2500\u2500 )(\w+)", line
        )
        if line == "FlamError":
            path = [line]
        elif found and path:
            depth = len(found[1]) // 4 + 1
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[depth - 1]
    return parents


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    classes = {name: value for name, value in vars(errors).items()
               if inspect.isclass(value) and issubclass(value, errors.FlamError)}  # fmt: skip
    real = {
        name: value.mro()[1].__name__
        for name, value in classes.items()
        if value is not errors.FlamError
    }
    assert drawn() == real


def test_the_engine_has_every_verb_with_the_same_parameters() -> None:
    verbs = {
        name: verb
        for protocol in (StoreReader, Store)
        for name, verb in vars(protocol).items()
        if inspect.isfunction(verb) and not name.startswith("_")
    }
    assert len(verbs) >= 20
    for name, verb in verbs.items():
        assert verb.__doc__, name
        theirs = inspect.signature(getattr(SqliteStore, name)).parameters
        assert str(list(theirs.values())) == str(list(inspect.signature(verb).parameters.values()))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_its_subject_is_and_its_examples_hold(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert doctest.testmod(module).failed == 0
