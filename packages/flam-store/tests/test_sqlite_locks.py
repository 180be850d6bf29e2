"""No public function disturbs the locks of a store that this process has open."""

from __future__ import annotations

import inspect
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from forking import Children, Signpost

from flam_store import (
    Config,
    Store,
    config_file,
    directory,
    home,
    open_store,
    opening,
    output,
    text,
)
from flam_store.errors import FlamError
from flam_store.home import Home
from flam_store.sqlite.gate import Gate
from flam_store.testing.given import spec


def uses(path: Path) -> dict[str, Callable[[], Any]]:
    """Every public function of the modules that touch files, used on the data directory."""
    place = Home(path=path.parent)
    logs = output.Logs(path.parent / "logs")
    file = place.config_path
    url = f"sqlite:///{path}"

    def log() -> int:
        with suppress(FileExistsError):
            os.close(logs.create(1, 1))
        return logs.open(1, 1)

    def with_log(use: Callable[[int], Any]) -> Any:
        fd = log()
        try:
            return use(fd)
        finally:
            os.close(fd)

    return {
        "read_config": lambda: config_file.read_config(file),
        "explicit": lambda: config_file.explicit(file),
        "set_value": lambda: config_file.set_value(file, "max_retries", "4"),
        "unset_value": lambda: config_file.unset_value(file, "max_retries"),
        "working_directory": home.working_directory,
        "find_home": lambda: home.find_home(flag=None, environ={}, cwd=path.parent),
        "Home.resolve_store_url": lambda: place.resolve_store_url(Config(), {}),
        "Home.ensure": place.ensure,
        "Home.check": place.check,
        "Home.faults": lambda: list(place.faults()),
        "Home.may_be_shut": lambda: place.may_be_shut(place.path.stat()),
        "Home.entries": lambda: list(place.entries()),
        "examine_directory": lambda: list(directory.examine_directory(place)),
        "examine_config": lambda: list(directory.examine_config(place, {})),
        "mend_directory": lambda: directory.mend_directory(place),
        "config_as_far_as_readable": lambda: directory.config_as_far_as_readable(place),
        "private_mode": lambda: home.private_mode(os.lstat(path)),
        "open_store": lambda: open_store(url, create=False).close(),
        "load_engine": lambda: opening.load_engine(url),
        "looking_at": lambda: looked(url),
        "restore_store": lambda: refused(url, path.parent / "none.db"),
        "without_password": lambda: opening.without_password(url),
        "database_exists": lambda: opening.database_exists(url),
        "database_path": lambda: opening.database_path(url),
        "cut_mark": lambda: output.cut_mark(3),
        "read_from": lambda: with_log(lambda fd: output.read_from(fd, 0)),
        "pieces": lambda: with_log(lambda fd: list(output.pieces(fd))),
        "last_lines": lambda: with_log(lambda fd: output.last_lines(fd, 3)),
        "Logs.path_of": lambda: logs.path_of(1, 1),
        "Logs.folders": logs.folders,
        "Logs.folder_of": lambda: logs.folder_of(1),
        "Logs.range_of": lambda: logs.range_of(0),
        "Logs.files": lambda: logs.files(0),
        "Logs.create": log_closed(log),
        "Logs.nameless": lambda: logs.nameless("w"),
        "Logs.create_nameless": log_closed(lambda: logs.create_nameless("w", 1)),
        "Logs.name": lambda: logs.name("w", 1, 9),
        "Logs.open": log_closed(log),
        "Logs.remove": lambda: logs.remove((1, 2)),
        "Gate": lambda: Gate(str(path)).close(),
    }


def looked(url: str) -> None:
    with opening.looking_at(url) as store:
        store.examine()


def refused(url: str, backup: Path) -> None:
    with suppress(FlamError):
        opening.restore_store(url, backup, refuse=lambda _: None)


def log_closed(log: Callable[[], int]) -> Callable[[], None]:
    return lambda: os.close(log())


def public(module: ModuleType) -> set[str]:
    """The functions, and the methods of classes, that a module calls its own."""
    names = set()
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value):
            names.add(name)
        if inspect.isclass(value) and name in ("Home", "Logs"):
            names |= {f"{name}.{method}" for method, it in vars(value).items()
                      if inspect.isfunction(it) and not method.startswith("_")}  # fmt: skip
    return names


def test_every_public_function_that_touches_files_is_used_here(path: Path) -> None:
    there = set().union(*map(public, (config_file, directory, home, opening, output)))
    assert there <= set(uses(path))


def test_an_open_transaction_keeps_its_locks_whatever_is_called(
    tmp_path: Path, children: Children
) -> None:
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    path = directory / "queue.db"
    ready, go_on = Signpost(), Signpost()

    def hold_and_use() -> int:
        with open_store(f"sqlite:///{path}") as store:
            db = store._session._db  # type: ignore[attr-defined]
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO queues (name) VALUES ('held')")
            for use in uses(path).values():
                use()
            with suppress(FlamError):
                open_store(f"sqlite:///{tmp_path}/missing.db", create=False).close()
            text.visible(str(path.stat()))
            ready.reach()
            go_on.until_reached()
            db.execute("COMMIT")
            return store.enqueue(spec("j")).seq

    child = children.start(hold_and_use)
    ready.until_reached()
    with (
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    # Had the holder lost its locks, the last to close would have taken the -wal away.
    assert os.path.exists(f"{path}-wal")
    go_on.reach()
    assert child.answer() == 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM queues").fetchall() == [("held",)]
    ready.close()
    go_on.close()


def copied_and_restored(store: Store, path: Path) -> None:
    store.backup(path.parent / "backup")
    opening.restore_store(f"sqlite:///{path}", path.parent / "backup", refuse=lambda _: None)


USES: dict[str, Callable[[Store, Path], Any]] = {
    "overview": lambda store, _: store.overview(),
    "wait": lambda store, _: store.wait(timedelta(0)),
    "tidy": lambda store, _: store.tidy(),
    "second handle": lambda _, path: open_store(f"sqlite:///{path}").close(),
    "examine": lambda store, _: store.examine(),
    "look": lambda _, path: looked(f"sqlite:///{path}"),
    "mend": lambda store, _: store.mend(),
    "restore": copied_and_restored,
}


@pytest.mark.parametrize("verb", USES)
def test_an_acknowledged_job_survives_everything_that_a_process_does_with_its_store(
    verb: str, path: Path, children: Children
) -> None:
    def use() -> None:
        store = open_store(f"sqlite:///{path}")
        store.enqueue(spec("a"))
        USES[verb](store, path)
        store.enqueue(spec("b"))
        os._exit(0)  # no close

    assert children.start(use).wait() == 0
    with open_store(f"sqlite:///{path}") as store:
        assert [job.id for job in store.jobs().jobs] == ["b", "a"]
