"""What an installed flam-worker does, a standalone one does, and its jobs see no difference."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE_SECONDS, Flam, until

from standalone.conftest import Standalone

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes in /proc")

GIVEN = {"HOME", "FLAM_HOME", "FLAM_JOB_ID", "FLAM_ATTEMPT", "FLAM_QUEUE", "FLAM_COOKIE"}
COERCED = {"LC_CTYPE"}  # by any Python that is started without a locale


def variables(flam: Flam, job: str) -> set[str]:
    """The names in an environment that a job printed."""
    return {line.partition("=")[0] for line in flam.ok("logs", job).splitlines()}


def hang(flam: Flam, job: str, *, until_there: Path) -> int:
    """Enqueue a job that prints its environment when a file is there; its process id."""
    told = until_there.with_suffix(".pid")
    command = f"echo $$ > {told}; until [ -e {until_there} ]; do sleep 0.05; done; exec env"
    flam.ok("enqueue", "--id", job, "--", "/bin/sh", "-c", command)
    return int(until(lambda: told.exists() and told.read_text(), "the job has started"))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])


def words_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def workers(flam: Flam) -> list[int]:
    return [each["pid"] for each in flam.json("worker", "list") if each["state"] != "lost"]


def states(flam: Flam, job: str) -> list[str]:
    return [each["state"] for each in flam.json("show", job)["history"]]


def test_it_drains_what_queuectl_enqueued(standalone: Standalone, flam: Flam) -> None:
    specs = "".join(f'{{"id": "j{number}", "command": "echo {number}"}}\n' for number in range(50))
    flam.ok("enqueue", "--file", "-", input=specs)
    assert standalone.start("--count", "2", "--drain").wait(PATIENCE_SECONDS) == 0
    assert flam.counts()["completed"] == 50
    assert flam.ok("logs", "j49") == "49\n"


@on_linux
@pytest.mark.parametrize("words", ["exec env", "/usr/bin/env"])
def test_a_job_finds_nothing_of_the_bundle(standalone: Standalone, flam: Flam, words: str) -> None:
    plain = words == "/usr/bin/env"
    flam.ok("enqueue", "--id", "env", "--", *([words] if plain else ["/bin/sh", "-c", words]))
    assert standalone.start("--drain").wait(PATIENCE_SECONDS) == 0
    shell = set() if plain else {"PWD", "SHLVL", "OLDPWD", "_"}
    assert variables(flam, "env") - COERCED - shell == GIVEN


@on_linux
def test_a_search_path_of_the_user_s_reaches_its_jobs(standalone: Standalone, flam: Flam) -> None:
    standalone.environ["LD_LIBRARY_PATH"] = "/opt/mine"
    flam.ok("enqueue", "--id", "env", "--", "/usr/bin/env")
    assert standalone.start("--drain").wait(PATIENCE_SECONDS) == 0
    assert "LD_LIBRARY_PATH=/opt/mine" in flam.ok("logs", "env").splitlines()
    assert variables(flam, "env") - COERCED == {*GIVEN, "LD_LIBRARY_PATH"}


@on_linux
def test_the_job_of_a_killed_worker_runs_again(
    standalone: Standalone, flam: Flam, tmp_path: Path
) -> None:
    standalone.start()
    first = hang(flam, "job", until_there=tmp_path / "go")
    os.kill(parent(first), signal.SIGKILL)
    until(lambda: states(flam, "job") == ["crashed", "running"], "it runs again")
    assert is_gone(first)
    (tmp_path / "go").touch()
    until(lambda: flam.state("job") == "completed", "it has run again")
    assert standalone.started[0].poll() is None


@on_linux
def test_a_killed_supervisor_in_the_background_has_an_heir_and_that_one_too(
    standalone: Standalone, flam: Flam, tmp_path: Path
) -> None:
    standalone.environ["LD_LIBRARY_PATH"] = "/opt/mine"
    standalone.start_in_background()
    for generation in ("first", "second", "third"):
        job = hang(flam, generation, until_there=tmp_path / generation)
        (worker,) = workers(flam)
        assert parent(job) == worker
        assert standalone.words[-1] in words_of(worker)
        os.kill(parent(worker), signal.SIGKILL)
        (tmp_path / generation).touch()
        until(lambda: flam.state(generation) == "completed", "its job may finish")  # noqa: B023
        until(lambda: workers(flam) not in ([], [worker]), "there is another pool")  # noqa: B023
        until(lambda: len(workers(flam)) == 1, "the old worker has left")
        assert states(flam, generation) == ["completed"]
        assert "LD_LIBRARY_PATH=/opt/mine" in flam.ok("logs", generation).splitlines()
        added = variables(flam, generation) - COERCED - {"PWD", "SHLVL", "OLDPWD", "_"}
        assert added == {*GIVEN, "LD_LIBRARY_PATH"}


@on_linux
def test_a_pool_that_was_killed_whole_is_recovered_by_the_next(
    standalone: Standalone, flam: Flam, tmp_path: Path
) -> None:
    pool = standalone.start()
    first = hang(flam, "job", until_there=tmp_path / "go")
    worker = parent(first)
    os.kill(pool.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    pool.wait()
    until(lambda: is_gone(worker), "the pool is dead")
    standalone.start("--drain")
    until(lambda: states(flam, "job") == ["crashed", "running"], "it runs again")
    assert is_gone(first)
    (tmp_path / "go").touch()
    assert standalone.started[-1].wait(PATIENCE_SECONDS) == 0
    assert states(flam, "job") == ["crashed", "completed"]


def test_a_first_term_lets_the_job_finish(
    standalone: Standalone, flam: Flam, tmp_path: Path
) -> None:
    pool = standalone.start()
    hang(flam, "job", until_there=tmp_path / "go")
    flam.ok("enqueue", "--id", "next", "--", "true")
    pool.terminate()
    until(lambda: b"stopping" in standalone.log.read_bytes(), "it was told")
    (tmp_path / "go").touch()
    assert pool.wait(PATIENCE_SECONDS) == 0
    assert (flam.state("job"), flam.state("next")) == ("completed", "pending")


@on_linux
def test_a_second_term_puts_the_job_back_uncounted(
    standalone: Standalone, flam: Flam, tmp_path: Path
) -> None:
    pool = standalone.start()
    job = hang(flam, "job", until_there=tmp_path / "go")
    pool.terminate()
    until(lambda: b"stopping" in standalone.log.read_bytes(), "it was told")
    pool.terminate()
    assert pool.wait(PATIENCE_SECONDS) == 0
    assert is_gone(job)
    assert (flam.state("job"), states(flam, "job")) == ("pending", ["released"])


def test_it_says_whether_it_is_at_work_and_prints_a_unit_that_starts_it(
    standalone: Standalone, flam: Flam
) -> None:
    assert standalone.printed("--version").startswith("flam-worker ")
    flam.ok("init")
    assert not standalone.is_at_work()
    standalone.start()
    standalone.until_at_work()
    unit = standalone.printed("--print-unit")
    words = standalone.words if len(standalone.words) == 1 else [*standalone.words[:1], "-P",
                                                                 *standalone.words[1:]]  # fmt: skip
    assert f"ExecStart={' '.join(words)} --home" in unit
