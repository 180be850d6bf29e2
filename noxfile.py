"""The checks. ``nox`` runs them all, ``nox --list`` names them, ``nox -s NAME`` runs one.

What stands after ``--`` is handed on to pytest: ``nox -s tests_store-3.12 -- -k claim -x``.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.11.12"

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

STORE, WORKER, CLI = "packages/flam-store", "packages/flam-worker", "packages/flam-cli"
PACKAGES = [STORE, WORKER, CLI]

TEST_TOOLS = [
    "hypothesis>=6.100",
    "pytest>=8.3",
    "pytest-randomly>=3.16",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
]
ROOM_BYTES = 2 << 30
TWO_AT_A_TIME = ["--numprocesses=2"]
BUILD_TOOLS = ["build>=1.2", "hatchling>=1.27"]
PEERS = ["huey>=2.5", "litequeue>=0.9"]

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    "lint",
    "types",
    "tests_store",
    "tests_worker",
    "tests_cli",
    "build",
    f"integration-{HERE}",
]

# pyenv's shims run only the versions that are selected. With the others' own folders at the end
# of PATH nox finds them all; the sessions get PATH as it was.
PATH = os.environ["PATH"]
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
os.environ["PATH"] = os.pathsep.join([PATH, *map(str, sorted(PYENV.glob("versions/3.*/bin")))])


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, who may import whom; and the tests of the tools, of what is made from help."""
    editable(session, STORE, WORKER, CLI)
    session.install("ruff~=0.17.0", *TEST_TOOLS)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("python", "tools/import_rule.py")
    session.install("check-jsonschema~=0.39")
    workflows = map(str, Path(".github/workflows").glob("*.yml"))
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)
    pytest(session, "tools")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict. Each folder of tests has a run of its own, as their names repeat."""
    editable(session, STORE, WORKER, CLI)
    session.install("mypy~=2.4", "nox", "types-psutil", *TEST_TOOLS)
    session.run("mypy", *(f"{package}/src" for package in PACKAGES), "noxfile.py")
    for tests in [*(f"{package}/tests" for package in PACKAGES), "tools", "tests-integration"]:
        session.run("mypy", tests)


@nox.session(python=PYTHONS)
def tests_store(session: nox.Session) -> None:
    """flam-store by itself."""
    editable(session, STORE)
    session.install(*TEST_TOOLS)
    pytest_in_memory(session, STORE)


@nox.session(python=PYTHONS)
def tests_worker(session: nox.Session) -> None:
    """flam-worker, with the store it stands on."""
    editable(session, STORE, WORKER)
    session.install(*TEST_TOOLS)
    pytest_in_memory(session, WORKER)


@nox.session(python=PYTHONS)
def tests_cli(session: nox.Session) -> None:
    """flam-cli, with the worker and the store it stands on."""
    editable(session, STORE, WORKER, CLI)
    session.install(*TEST_TOOLS)
    pytest_in_memory(session, CLI)


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """The packages with the lowest versions of everything that their ranges allow."""
    lowest = Path(session.create_tmp()) / "minimums.txt"
    lowest.write_text(session.run("python", "tools/minimums.py", silent=True) or "")
    in_place = (word for package in PACKAGES for word in ("--editable", f"./{package}"))
    session.install(*in_place, *TEST_TOOLS, "--constraint", str(lowest))
    for package in PACKAGES:
        pytest(session, package)


@nox.session(reuse_venv=False)
def ranges(session: nox.Session) -> None:
    """Each package beside the oldest and the newest of the others that its ranges allow."""
    session.install(*BUILD_TOOLS)
    session.run("python", "tools/ranges.py", *session.posargs)


@nox.session(reuse_venv=False)
def installs(session: nox.Session) -> None:
    """Installed in every way, a job run, uninstalled; a table: ``nox -s installs -- pipx``."""
    session.install(*BUILD_TOOLS, "pipx", "uv")
    session.run("python", "tools/installs.py", *session.posargs, env={"PATH": PATH})


@nox.session
def build(session: nox.Session) -> None:
    """What a release consists of, that it holds what it should, and that all ways give the same."""
    session.install(*BUILD_TOOLS)
    dist = fresh_folder(session)
    for package in PACKAGES:
        build_package(session, package, dist)
    session.run("python", "tools/check_wheels.py", str(dist))
    for word, build_again in (("again", build_package), ("from-the-tree", build_wheel)):
        other = dist.with_name(word)
        shutil.rmtree(other, ignore_errors=True)
        for package in PACKAGES:
            build_again(session, package, other)
        same, _, _ = filecmp.cmpfiles(dist, other, names := os.listdir(other), shallow=False)
        if differing := set(names) - set(same):
            session.error(f"built {word}, they differ: {' '.join(differing)}")


@nox.session(reuse_venv=False)
def standalone(session: nox.Session) -> None:
    """flam-worker as a folder and as a file, into dist/, and that both work as the installed."""
    session.install(*BUILD_TOOLS, "pip", "pyinstaller~=6.22", "shiv~=1.0")
    wheels, made = fresh_folder(session), Path("dist").absolute()
    for package in PACKAGES:
        build_package(session, package, wheels)
    session.install(*map(str, [*wheels.glob("flam_store*.whl"), *wheels.glob("flam_worker*.whl")]))
    for old in made.glob("flam-worker-*"):
        old.unlink()
    session.run("python", "tools/standalone.py", str(wheels), str(made))
    session.install(*map(str, wheels.glob("*.whl")), *TEST_TOOLS)
    programs = os.pathsep.join(map(str, sorted(made.glob("flam-worker-*"))))
    session.env["FLAM_STANDALONE"] = programs
    pytest(session, "tests-integration/standalone")


@nox.session(python=PYTHONS, reuse_venv=False)
def integration(session: nox.Session) -> None:
    """The three as a user gets them: installed from wheels, their executables run."""
    install_wheels(session)
    pytest(session, "tests-integration", *TWO_AT_A_TIME)


@nox.session(reuse_venv=False)
def chaos(session: nox.Session) -> None:
    """The same in every kind of trouble, for a quarter of an hour; of it a minute in the above."""
    install_wheels(session)
    pytest(session, "tests-integration/chaos", "-m", "", "--timeout=600")


@nox.session(reuse_venv=False)
def bench(session: nox.Session) -> None:
    """How fast it is, beside what else there is: ``nox -s bench -- drain claim --rounds 9``."""
    install_wheels(session, *PEERS)
    session.run("python", "tools/bench.py", *session.posargs, env={"PATH": PATH})


def install_wheels(session: nox.Session, *others: str) -> None:
    """Build the packages, and install them with what their tests need."""
    session.install(*BUILD_TOOLS)
    dist = fresh_folder(session)
    for package in PACKAGES:
        build_package(session, package, dist)
    session.install(*map(str, dist.glob("*.whl")), *TEST_TOOLS, *others)


def editable(session: nox.Session, *packages: str) -> None:
    """Install packages in place, so that a venv that is used again always runs the newest code."""
    session.install(*(word for package in packages for word in ("--editable", f"./{package}")))


def pytest(session: nox.Session, folder: str, *options: str, **environ: str) -> None:
    """Run a folder's tests, and the examples in its docstrings."""
    words = ["--doctest-modules", folder, *options, *session.posargs]
    session.run("pytest", *words, env={"PATH": PATH, **environ})


def pytest_in_memory(session: nox.Session, folder: str) -> None:
    """The same two at a time, with their files in memory where there is such a place.

    Thousands of small queues would wait for thousands of syncs. What a disk does to a queue is
    for the installed packages' tests to see.
    """
    memory = Path("/dev/shm")  # noqa: S108, the folder in it is private
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES
    where = str(memory) if roomy else None
    with tempfile.TemporaryDirectory(prefix="flam-tests-", dir=where) as files:
        pytest(session, folder, *TWO_AT_A_TIME, TMPDIR=files)


def build_package(session: nox.Session, package: str, dist: Path) -> None:
    """Make an sdist, and from that a wheel; or take what was made before, from FLAM_DIST."""
    if made := os.environ.get("FLAM_DIST"):
        dist.mkdir(exist_ok=True)
        for path in Path(made).glob(f"{Path(package).name.replace('-', '_')}-*"):
            shutil.copy2(path, dist)
        return
    session.run("python", "-m", "build", "--no-isolation", f"--outdir={dist}", package, silent=True)


def build_wheel(session: nox.Session, package: str, dist: Path) -> None:
    """The wheel without the way over an sdist."""
    words = ["--no-isolation", "--wheel", f"--outdir={dist}"]
    session.run("python", "-m", "build", *words, package, silent=True)


def fresh_folder(session: nox.Session) -> Path:
    """An empty folder for what the session builds."""
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    return dist
