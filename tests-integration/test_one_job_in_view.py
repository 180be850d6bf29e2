"""A person runs one job and sees it through, asks why it waits, and calls off many at once."""

from __future__ import annotations

import signal
import subprocess

import pytest
from conftest import SCRIPTS, Flam, until
from test_control import running
from test_kill import is_alive


def started(flam: Flam, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPTS / "queuectl", "--home", flam.home, *words],
        env=flam.environ,
        cwd=flam.home.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("options", "script", "code", "out", "why"),
    [
        ((), "echo hello; exit 0", 0, "hello\n", ""),
        (("--max-retries", "0"), "echo no; exit 3", 3, "no\n", ""),
        (("--max-retries", "0"), "kill -KILL $$", 137, "", "ended by SIGKILL"),
        (("--max-retries", "0"), "kill -40 $$", 168, "", "ended by SIG40"),
        (("--max-retries", "0", "--timeout", "100ms"), "echo a; sleep 100", 124, "a\n",
         "timed out after 100ms"),
    ],
)  # fmt: skip
def test_run_shows_the_output_and_exits_as_the_job_did(  # noqa: PLR0917, a row of the table
    flam: Flam, options: tuple[str, ...], script: str, code: int, out: str, why: str
) -> None:
    flam.start(1)
    done = flam.ctl("run", "--id", "j", *options, "--", "sh", "-c", script)
    told = f"queuectl: j: {why}\n" if why else ""
    assert (done.returncode, done.stdout, done.stderr) == (code, out, told)


def test_run_exits_with_1_where_there_is_no_exit_code(flam: Flam) -> None:
    flam.start(1)
    hopeless = flam.ctl("run", "--max-retries", "0", "--", "/nowhere/nothing")
    assert (hopeless.returncode, hopeless.stdout) == (1, "")
    assert "not started: No such file or directory: /nowhere/nothing" in hopeless.stderr
    runner = started(flam, "run", "--id", "a", "--", "sleep", "1000")
    until(lambda: flam.ctl("show", "a").returncode == 0 and flam.state("a") == "processing", "run")
    flam.ok("cancel", "a")
    out, _ = runner.communicate(timeout=60)
    assert (runner.returncode, out) == (1, "")


def test_run_goes_on_over_retries(flam: Flam) -> None:
    flam.ok("config", "set", "backoff-base", "0")
    flam.start(1)
    script = "echo attempt $FLAM_ATTEMPT; test $FLAM_ATTEMPT = 3"
    done = flam.ctl("run", "--id", "a", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "attempt 1\nattempt 2\nattempt 3\n")
    assert done.stderr == "attempt 2 of a:\nattempt 3 of a:\n"
    document = flam.json("run", "--", "sh", "-c", "echo hello")
    assert (document["state"], len(document["history"])) == ("completed", 1)


def test_an_interrupted_run_ends_the_job_with_its_processes(flam: Flam) -> None:
    flam.start(1)
    told = flam.home.parent / "told"
    script = f"sleep 1000 & echo $! > {told}.new; mv {told}.new {told}; echo up; wait"
    runner = started(flam, "run", "--id", "a", "--", "sh", "-c", script)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "up\n"
    child = int(told.read_text())
    runner.send_signal(signal.SIGINT)
    _, err = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert err == "Cancelling a; Ctrl-C once more leaves at once.\n"
    assert not is_alive(child)
    assert flam.state("a") == "cancelled"


def test_a_run_that_gives_up_leaves_the_job_running(flam: Flam) -> None:
    flam.start(1)
    done = flam.ctl("run", "--id", "a", "--wait-timeout", "1s", "--", "sh", "-c",
                    "echo up; sleep 1000")  # fmt: skip
    assert (done.returncode, done.stdout) == (124, "up\n")
    assert flam.state("a") == "processing"


def test_why_tells_what_the_pool_is_at(flam: Flam) -> None:
    def reasons(job: str) -> list[str]:
        return [each["kind"] for each in flam.json("why", job)["reasons"]]

    flam.start(1)
    running(flam, "long")
    flam.ok("enqueue", "--id", "first", "--", "true")
    flam.ok("enqueue", "--id", "next", "--", "true")
    (busy,) = flam.json("why", "next")["reasons"]
    assert (busy["kind"], busy["workers"], busy["busy"], busy["ahead"]) == ("busy", 1, 1, 1)
    assert reasons("long") == ["running"]
    flam.ok("worker", "stop", "--now")
    assert reasons("next") == ["no_workers"]


def test_cancelling_all_ends_what_runs_before_it_returns(flam: Flam) -> None:
    flam.start(2)
    pids = [running(flam, f"long{n}") for n in range(2)]
    for n in range(3):
        flam.ok("enqueue", "--id", f"waits{n}", "--", "true")
    assert flam.json("cancel", "--all", "--yes") == {"count": 5}
    assert not any(map(is_alive, pids))
    assert flam.counts()["cancelled"] == 5


def test_a_pool_that_is_started_for_a_paused_queue_says_so(flam: Flam) -> None:
    flam.ok("enqueue", "--queue", "mail", "--", "true")
    flam.ok("queue", "pause", "mail")
    started = flam.ctl("worker", "start")
    assert started.returncode == 0
    assert started.stderr.startswith("Queue mail has been paused for")
