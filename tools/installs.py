#!/usr/bin/env python3
"""Installs Flam in every way that a user may, each into a place of its own, and prints a table.

Each way has to run a job, then to be taken away: the data must stay, and of Flam itself nothing.
Exit code 1 when one of them fails; a tool or a Python that is not on this machine is named as
absent, and no failure. The interpreter needs build and hatchling.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ranges

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("flam-store", "flam-worker", "flam-cli")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DEBIANS_OWN = Path("/usr/bin/python3")
HEAD = ("way", "python", "version", "added", "job", "left", "remark")

USE_THE_STORE = """
import sys
from datetime import timedelta
from flam_store import Completed, JobSpec, ProcessId, Registration, Result, Role, open_store

here = ProcessId(host="h", boot="b", pid=1, born="1")
worker = Registration(id="w", role=Role.WORKER, process=here, lease=timedelta(seconds=30))
with open_store(f"sqlite:///{sys.argv[1]}/queue.db") as store:
    store.enqueue(JobSpec(command="echo hello", id="one"))
    store.register(worker)
    (claim,) = store.finish((), worker_id="w", want=1).claims
    result = Result(seq=claim.job.seq, attempt=claim.attempt, outcome=Completed())
    store.finish([result], worker_id="w")
    assert store.job("one").state == "completed"
"""
ENQUEUE = """
import sys
from flam_store import JobSpec, open_store

with open_store(f"sqlite:///{sys.argv[1]}/queue.db") as store:
    store.enqueue(JobSpec(command="echo hello", id="one"))
"""


class Absent(Exception):
    """What would be needed for a way, and is not on this machine."""


class Failed(Exception):
    """What a way came to grief at."""


@dataclass(frozen=True)
class Built:
    """The three packages as files."""

    wheels: Path
    sdists: Path

    def wheel(self, name: str) -> Path:
        (path,) = self.wheels.glob(f"{name.replace('-', '_')}-*.whl")
        return path

    def all_wheels(self) -> list[Path]:
        return [self.wheel(name) for name in PACKAGES]


@dataclass
class Row:
    """What was seen of one way."""

    way: str
    python: str = ""
    version: str = ""
    added: str = ""
    job: str = ""
    left: str = ""
    remark: str = ""
    failed: bool = field(default=False)

    def words(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) for name in HEAD)


@dataclass(frozen=True)
class Place:
    """Where a way installs: an environment, its programs, and a data directory beside them."""

    folder: Path

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin/python"

    @property
    def home(self) -> Path:
        return self.folder / "data"

    def pip(self, *words: str | Path) -> str:
        return run(self.python, "-m", "pip", *words)


def main(arguments: Sequence[str] | None = None) -> int:
    words = argparse.ArgumentParser(prog="installs.py", description=__doc__)
    words.add_argument("way", nargs="*", help="only these, of what --list names")
    words.add_argument("--list", action="store_true")
    given = words.parse_args(arguments)
    wanted = {way: try_ for way, try_ in WAYS.items() if not given.way or way in given.way}
    if given.list:
        print("\n".join(WAYS))
        return 0
    with tempfile.TemporaryDirectory(prefix="flam-installs-") as work:
        built = build(Path(work) / "dist")
        rows = [row for way, try_ in wanted.items() for row in seen(way, try_, built, Path(work))]
    print(table([HEAD, *(row.words() for row in rows)]))
    return 1 if any(row.failed for row in rows) else 0


Way = Callable[[Row, Place, Built], None]


def seen(way: str, try_: Way, built: Built, work: Path) -> Iterator[Row]:
    """One row, whatever comes of it."""
    print(f"{way} ...", file=sys.stderr, flush=True)
    row = Row(way)
    folder = Path(tempfile.mkdtemp(dir=work))
    try:
        try_(row, Place(folder), built)
    except Absent as absent:
        row.remark = f"absent: {absent}"
    except Failed as failed:
        row.failed, row.remark = True, f"FAILED: {failed}"
    yield row


def build(dist: Path) -> Built:
    """From each package an sdist, and from that a wheel, as a release does."""
    for name in PACKAGES:
        folder = REPOSITORY / "packages" / name
        run(sys.executable, "-m", "build", "--no-isolation", f"--outdir={dist}", folder)
    for kind, pattern in (("wheels", "*.whl"), ("sdists", "*.tar.gz")):
        (dist / kind).mkdir()
        for path in list(dist.glob(pattern)):
            path.rename(dist / kind / path.name)
    return Built(dist / "wheels", dist / "sdists")


# The ways


def from_wheels(row: Row, place: Place, built: Built, *, python: str = "") -> None:
    with_pip(row, place, python, *built.all_wheels())


def from_sdists(row: Row, place: Place, built: Built) -> None:
    with_pip(row, place, "", *sorted(built.sdists.iterdir(), reverse=True))


def editable(row: Row, place: Place, _: Built) -> None:
    folders = [REPOSITORY / "packages" / name for name in PACKAGES]
    words: list[str | Path] = [word for path in folders for word in ("--editable", path)]
    with_pip(row, place, "", *words)


def as_modules(row: Row, place: Place, built: Built) -> None:
    """``python -m``, with the scripts taken away."""
    make_venv(row, place, "")
    place.pip("install", "--quiet", *built.all_wheels())
    for name in ("queuectl", "flam-worker"):
        (place.venv / "bin" / name).unlink()
    row.version = version_of([place.python, "-m", "flam_cli"])
    run_a_job(row, place, [place.python, "-m", "flam_cli"])
    run(place.python, "-m", "flam_worker", "--home", place.home, "--drain")


def store_alone(row: Row, place: Place, built: Built) -> None:
    make_venv(row, place, "")
    install_into(row, place, built.wheel("flam-store"))
    place.home.mkdir(mode=0o700)
    run(place.python, "-c", USE_THE_STORE, place.home)
    row.job = "ran"
    row.version = run(place.python, "-c", "import flam_store; print(flam_store.__version__)")
    none_but(place, "flam-store")
    uninstall(row, place, "flam-store")


def worker_alone(row: Row, place: Place, built: Built) -> None:
    make_venv(row, place, "")
    install_into(row, place, built.wheel("flam-store"), built.wheel("flam-worker"))
    place.home.mkdir(mode=0o700)
    run(place.python, "-c", ENQUEUE, place.home)
    worker = place.venv / "bin/flam-worker"
    run(worker, "--home", place.home, "--drain")
    outputs = [path.read_text() for path in (place.home / "logs").rglob("*") if path.is_file()]
    require(outputs == ["hello\n"], f"the job's output is {outputs}")
    row.job, row.version = "ran", version_of([worker])
    none_but(place, "flam-store", "flam-worker")
    uninstall(row, place, "flam-worker", "flam-store")


def with_pipx(row: Row, place: Place, built: Built) -> None:
    pipx = tool("pipx")
    environ = {"PIPX_HOME": place.folder / "pipx", "PIPX_BIN_DIR": place.folder / "bin"}
    words = ["--python", sys.executable, f"--pip-args=--find-links={built.wheels}"]
    run(pipx, "install", built.wheel("flam-cli"), *words, environ=environ)
    with_a_tool(row, place, place.folder / "pipx/venvs/flam-cli")
    run(pipx, "uninstall", "flam-cli", environ=environ)
    nothing_left(row, place, place.folder / "pipx/venvs", place.folder / "bin")


def with_uv(row: Row, place: Place, built: Built) -> None:
    uv = tool("uv")
    environ = {"UV_TOOL_DIR": place.folder / "tools", "UV_TOOL_BIN_DIR": place.folder / "bin"}
    words: list[str | Path] = ["--python", sys.executable, "--find-links", built.wheels]
    run(uv, "tool", "install", *words, built.wheel("flam-cli"), environ=environ)
    with_a_tool(row, place, place.folder / "tools/flam-cli")
    run(uv, "tool", "uninstall", "flam-cli", environ=environ)
    nothing_left(row, place, place.folder / "tools", place.folder / "bin")


def debian(row: Row, place: Place, built: Built) -> None:
    """Its Python takes nothing from pip itself; with an environment it does."""
    if not DEBIANS_OWN.exists():
        raise Absent(str(DEBIANS_OWN))
    words: list[str | Path] = [
        DEBIANS_OWN,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-deps",
        built.wheel("flam-cli"),
    ]
    direct = subprocess.run(words, check=False, capture_output=True, text=True)
    with_pip(row, place, str(DEBIANS_OWN), *built.all_wheels())
    managed = "externally-managed" in direct.stderr
    row.remark = "in a venv; without one pip refuses" if managed else "in a venv"


def upgrade(row: Row, place: Place, built: Built) -> None:
    """Over an install whose pool runs: that goes on, and obeys the new one."""
    make_venv(row, place, "")
    install_into(row, place, *(last_release(place.folder) or built.all_wheels()))
    ctl: list[str | Path] = [place.venv / "bin/queuectl", "--home", place.home]
    before = version_of(ctl[:1])
    until = place.folder / "go-on"
    loop = f"until [ -e {until} ]; do sleep 0.1; done"
    run(*ctl, "enqueue", "--id", "long", "--", "sh", "-c", loop)
    run(*ctl, "worker", "start", "--count", "2")
    try:
        place.pip("install", "--quiet", "--force-reinstall", "--no-deps", *built.all_wheels())
        run(*ctl, "enqueue", "--id", "one", "--", "echo", "hello")
        run(*ctl, "wait", "one", "--timeout", "60")
        require(run(*ctl, "logs", "one") == "hello", "no output")
        until.touch()
        run(*ctl, "wait", "long", "--timeout", "60")
    finally:
        run(*ctl, "worker", "stop", "--timeout", "60")
    row.job, row.version = "ran", version_of(ctl[:1])
    row.remark = f"over {before}, with a running pool"
    uninstall(row, place, *PACKAGES)


def last_release(folder: Path) -> list[Path]:
    """The wheels of the newest tags; none where a package has no tag."""
    found = [[ranges.package_of(REPOSITORY, name, tag) for tag in ranges.tags(REPOSITORY, name)]
             for name in PACKAGES]  # fmt: skip
    if not all(found):
        return []
    newest = [max(versions, key=lambda package: package.order) for versions in found]
    return [ranges.build(REPOSITORY, each, folder / each.name) for each in newest]


def of_python(version: str) -> Way:
    return lambda row, place, built: from_wheels(row, place, built, python=found_python(version))


WAYS: dict[str, Way] = {
    "pip, wheels": from_wheels,
    "pip, sdists": from_sdists,
    "pip, editable": editable,
    "python -m": as_modules,
    "flam-store alone": store_alone,
    "flam-worker alone": worker_alone,
    "pipx": with_pipx,
    "uv tool": with_uv,
    "Debian's python3": debian,
    "upgrade": upgrade,
    **{f"pip, Python {version}": of_python(version) for version in PYTHONS},
}


# Their steps


def with_pip(row: Row, place: Place, python: str, *words: str | Path) -> None:
    make_venv(row, place, python)
    install_into(row, place, *words)
    ctl = place.venv / "bin/queuectl"
    row.version = version_of([ctl])
    run_a_job(row, place, [ctl])
    uninstall(row, place, *PACKAGES)


def with_a_tool(row: Row, place: Place, venv: Path) -> None:
    """A tool that keeps an environment for each program, and shows its scripts."""
    scripts = sorted(os.listdir(place.folder / "bin"))
    require(scripts == ["queuectl"], f"the tool shows {scripts}")
    row.python = python_version(venv / "bin/python")
    row.added = size(venv)
    ctl = place.folder / "bin/queuectl"
    row.version = version_of([ctl])
    run_a_job(row, place, [ctl])


def make_venv(row: Row, place: Place, python: str) -> None:
    run(python or sys.executable, "-m", "venv", place.venv)
    row.python = python_version(place.python)


def install_into(row: Row, place: Place, *words: str | Path) -> None:
    before = bytes_in(place.venv)
    place.pip("install", "--quiet", *words)
    place.pip("check")
    row.added = f"{(bytes_in(place.venv) - before) / 1e6:.1f} MB"


def run_a_job(row: Row, place: Place, ctl: Sequence[str | Path]) -> None:
    """Enqueue, run in a pool of its own, read the output."""
    run(*ctl, "--home", place.home, "enqueue", "--id", "one", "--", "echo", "hello")
    run(*ctl, "--home", place.home, "worker", "start")
    run(*ctl, "--home", place.home, "wait", "one", "--timeout", "60")
    run(*ctl, "--home", place.home, "worker", "stop", "--timeout", "60")
    require(run(*ctl, "--home", place.home, "logs", "one") == "hello", "no output")
    row.job = "ran"


def uninstall(row: Row, place: Place, *names: str) -> None:
    place.pip("uninstall", "--quiet", "--yes", *names)
    nothing_left(row, place, place.venv)


def nothing_left(row: Row, place: Place, *folders: Path) -> None:
    """Nothing of Flam in these; the data is whole."""
    left = [path for folder in folders for path in folder.rglob("*")
            if path.name.startswith(("flam", "queuectl", "_flam", "__editable__"))]  # fmt: skip
    require(not left, f"left after uninstalling: {', '.join(map(str, left))}")
    data = sorted(os.listdir(place.home))
    require("queue.db" in data, f"of the data is left: {data}")
    row.left = "data only"


def none_but(place: Place, *names: str) -> None:
    installed = run(place.python, "-m", "pip", "list", "--format=freeze").split()
    ours = sorted(line.partition("==")[0] for line in installed if line.startswith("flam"))
    require([name.replace("_", "-") for name in ours] == sorted(names), f"installed: {ours}")


def version_of(program: Sequence[str | Path]) -> str:
    return run(*program, "--version").split()[-1]


def python_version(python: Path) -> str:
    return run(python, "-c", "import platform; print(platform.python_version())")


def found_python(version: str) -> str:
    found = [name for name in candidates(version) if works(name, version)]
    if not found:
        raise Absent(f"Python {version}")
    return str(found[0])


def candidates(version: str) -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)
    if path := shutil.which(f"python{version}"):
        yield Path(path)


def works(python: Path, version: str) -> bool:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", ask], check=False, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == version


def tool(name: str) -> Path:
    """A program beside this interpreter, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = beside if beside.exists() else shutil.which(name)
    if not found:
        raise Absent(name)
    return Path(found)


def bytes_in(folder: Path) -> int:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in paths)


def size(folder: Path) -> str:
    return f"{bytes_in(folder) / 1e6:.1f} MB"


def require(truth: object, problem: str) -> None:
    if not truth:
        raise Failed(problem)


def run(*words: str | Path, environ: dict[str, Path] | None = None) -> str:
    """What a program says, without the last end of line. No environment of Flam's is handed on."""
    cleared = {name: value for name, value in os.environ.items()
               if not name.startswith(("FLAM_", "PYTHON", "VIRTUAL_ENV"))}  # fmt: skip
    command = [str(word) for word in words]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True,
        env=cleared | {name: str(path) for name, path in (environ or {}).items()},
        cwd=tempfile.gettempdir(), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}: {lines[-1]}")
    return done.stdout.rstrip("\n")


def table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
