"""What every part is given: where it works, how much it measures, and fresh queues."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from benchmarks.processes import Unmeasured
from flam_store import Store, open_store
from flam_store.home import Home
from flam_store.names import new_id
from flam_store.worker import ProcessId, Registration, Role

T = TypeVar("T")

TOOLS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much there is to do."""

    rounds: int
    jobs: int
    operations: int
    bulk: int
    rows: int
    singles: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Setting:
    """``keep`` is where built databases stay for the next run; None: they do not."""

    folder: Path
    sizes: Sizes
    keep: Path | None = None

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty folder, which is gone afterwards."""
        path = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def say(self, what: str) -> None:
        """Tell whoever waits what is being measured."""
        print(f"… {what}", file=sys.stderr, flush=True)


def made_home(path: Path) -> Home:
    """A data directory. Its database is made by the first ``queue_of``."""
    home = Home(path=path)
    home.ensure()
    return home


def queue_of(home: Home) -> Store:
    """The queue of a data directory, opened as Flam's own programs do."""
    return open_store(f"sqlite:///{home.path / 'queue.db'}")


def registered(store: Store) -> str:
    """The id of a worker that is this process and may claim."""
    process = ProcessId(host=os.uname().nodename, boot="bench", pid=os.getpid(), born="0")
    worker = Registration(id=new_id(), role=Role.WORKER, process=process, lease=timedelta(hours=1))
    store.register(worker)
    return worker.id


def program(name: str, home: Path, *arguments: str | Path) -> list[str | Path]:
    """The words that run an executable of Flam's, the one installed beside this interpreter."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise Unmeasured(f"{path} is not installed; use nox -s bench")
    return [path, "--home", home, *arguments]


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """The words that run a module of this package in a process of its own."""
    start = f"import runpy, sys; sys.path.insert(0, {str(TOOLS)!r}); sys.argv[0] = {module!r}; "
    run = f"runpy.run_module({module!r}, run_name='__main__')"
    return [sys.executable, "-c", start + run, *arguments]


def rotated(contenders: Sequence[T], turn: int) -> list[T]:
    """The contenders in another order each turn, so that none always follows the same one.

    >>> rotated("abc", 1)
    ['b', 'c', 'a']
    """
    start = turn % len(contenders)
    return [*contenders[start:], *contenders[:start]]
