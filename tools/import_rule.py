#!/usr/bin/env python3
"""Checks who may import whom. RULES is the whole of it; ARCHITECTURE.md has the reasons.

Every import counts: inside functions, under TYPE_CHECKING, and by name through importlib.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FLAM = ("flam_store", "flam_worker", "flam_cli")

# Values and decisions. They are handed the time, randomness and text that they need.
PURE = (
    "flam_store.bounds",
    "flam_store.change",
    "flam_store.config",
    "flam_store.config_words",
    "flam_store.copies",
    "flam_store.cron",
    "flam_store.durations",
    "flam_store.errors",
    "flam_store.finding",
    "flam_store.job",
    "flam_store.measures",
    "flam_store.metrics",
    "flam_store.outcome",
    "flam_store.overview",
    "flam_store.portable",
    "flam_store.portable_text",
    "flam_store.relatives",
    "flam_store.rules",
    "flam_store.schedule",
    "flam_store.selection",
    "flam_store.shapes",
    "flam_store.spec",
    "flam_store.standing",
    "flam_store.state",
    "flam_store.text",
    "flam_store.why",
    "flam_store.worker",
    "flam_worker.backoff",
    "flam_worker.end",
    "flam_worker.decide",
)

# Modules that read or change the world. pathlib is not among them: a Path is also a value.
IO = (
    *("asyncio", "concurrent", "multiprocessing", "threading"),
    *("fcntl", "glob", "mmap", "os", "shutil", "tempfile"),
    *("http", "select", "selectors", "socket", "ssl", "urllib.request"),
    *("getpass", "platform", "psutil", "pwd", "resource", "signal", "subprocess", "sys"),
    *("random", "secrets", "time"),
    *("logging", "sqlite3"),
)


@dataclass(frozen=True)
class Rule:
    """Modules ``inside``, but not those in ``spared``, import nothing of ``forbidden``."""

    inside: tuple[str, ...]
    forbidden: tuple[str, ...]
    why: str
    spared: tuple[str, ...] = ()

    def forbids(self, importer: str, imported: str) -> bool:
        return (
            within(importer, self.inside)
            and not within(importer, self.spared)
            and within(imported, self.forbidden)
        )


RULES = (
    Rule(("flam_store",), ("flam_worker", "flam_cli"), "the store knows nothing above it"),
    Rule(("flam_worker",), ("flam_cli",), "the worker knows nothing above it"),
    Rule(PURE, IO, "a pure module does no I/O"),
    Rule(
        FLAM,
        ("sqlite3",),
        "only the engine's folder names its driver",
        spared=("flam_store.sqlite", "flam_store.testing"),
    ),
    Rule(
        FLAM,
        ("psutil",),
        "only what proves a process's identity asks for it",
        spared=("flam_worker.identity", "flam_worker.tree"),
    ),
    Rule(FLAM, ("cronsim",), "only one module reads expressions", spared=("flam_store.cron",)),
    Rule(FLAM, ("typer",), "only the command line is made with it", spared=("flam_cli",)),
    Rule(FLAM, ("rich",), "only render lays out for a person", spared=("flam_cli.render",)),
    Rule(FLAM, ("click",), "Typer brings its own copy; another one may not be there"),
)


class Import(NamedTuple):
    """One imported name in full (``os.path``); ``*`` is its last part if everything was taken."""

    line: int
    name: str


def main(roots: list[str]) -> int:
    """Check the source folders ``roots``, or those of all packages; 1 if a rule is broken."""
    here = Path(__file__).resolve().parents[1]
    sources = [Path(root) for root in roots] or sorted(here.glob("packages/*/src"))
    modules = {module_name(file, root): file for root in sources for file in root.rglob("*.py")}
    found = [line for module, file in sorted(modules.items()) for line in broken(module, file)]
    for line in found:
        print(line)
    return 1 if found else 0


def broken(module: str, file: Path) -> Iterator[str]:
    """A line for each import of a module that breaks a rule."""
    for line, name in sorted(imports(module, file)):
        if name.endswith(".*"):
            yield f"{shown(file)}:{line}: {module} imports {name}: name what is taken"
        for rule in RULES:
            if rule.forbids(module, name):
                yield f"{shown(file)}:{line}: {module} imports {name}: {rule.why}"


def imports(module: str, file: Path) -> Iterator[Import]:
    """Every import of a module, wherever in it it stands."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        match node:
            case ast.Import():
                yield from (Import(node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom():
                origin = absolute("." * node.level + (node.module or ""), package)
                yield from (Import(node.lineno, f"{origin}.{alias.name}") for alias in node.names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield Import(node.lineno, absolute(name, package))


def absolute(name: str, package: str) -> str:
    """``..sqlite`` as it reads in full when it stands in ``package``."""
    level = len(name) - len(name.lstrip("."))
    if level == 0:
        return name
    parents = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*parents, name[level:]]).rstrip(".")


def within(name: str, modules: tuple[str, ...]) -> bool:
    """Whether ``name`` is one of ``modules`` or lies inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def module_name(file: Path, root: Path) -> str:
    """``root/flam_store/sqlite/__init__.py`` is ``flam_store.sqlite``."""
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(file: Path) -> Path:
    """A path as a person at the prompt would write it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
