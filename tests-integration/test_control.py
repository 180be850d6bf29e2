"""Whoever asked for a job can wait for it, call it off, run it again and clear it away."""

from __future__ import annotations

import os
import signal

from conftest import Flam, until
from test_kill import history, is_alive, pids, supervisor_of


def running(flam: Flam, job: str) -> int:
    """Enqueue a job with children that does not end by itself; its process id once it runs."""
    told = flam.home.parent / f"{job}.told"
    command = f"trap '' TERM; setsid sleep 1000 & sleep 1000 & echo $$ > {told}; wait; wait"
    flam.ok("enqueue", "--id", job, "--", "sh", "-c", command)
    return int(until(lambda: told.exists() and told.read_text(), "the job runs"))


def test_cancelling_a_waiting_job_ends_it_at_once(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "soon", "--", "true")
    flam.ok("enqueue", "--id", "later", "--delay", "1d", "--", "true")
    assert flam.ok("cancel", "soon", "later") == "soon: cancelled\nlater: cancelled\n"
    again = flam.ctl("cancel", "soon")
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (4, "", 1)


def test_cancelling_a_running_job_ends_all_its_processes_before_it_returns(flam: Flam) -> None:
    flam.start(1)
    pid = running(flam, "long")
    (job,) = flam.json("cancel", "long")
    assert job["state"] == "cancelled"
    assert not is_alive(pid)
    assert history(flam, "long") == [(1, "cancelled")]
    flam.ok("enqueue", "--id", "next", "--", "true")
    until(lambda: flam.state("next") == "completed", "the worker goes on")


def test_a_job_whose_pool_was_killed_can_be_cancelled(flam: Flam) -> None:
    flam.start(1)
    pid = running(flam, "orphan")
    (worker,) = pids(flam)
    supervisor = supervisor_of(worker)
    for each in (supervisor, worker):
        os.kill(each, signal.SIGKILL)
    until(lambda: not is_alive(worker), "the worker is dead")
    assert flam.ok("cancel", "orphan") == "orphan: cancelled\n"
    assert not is_alive(pid)


def test_of_several_ids_all_are_tried_and_the_first_failure_is_the_exit_code(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "a", "--", "true")
    flam.ok("enqueue", "--id", "b", "--", "true")
    done = flam.ctl("cancel", "a", "nobody", "a", "b")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert (flam.state("a"), flam.state("b")) == ("cancelled", "cancelled")
    done = flam.ctl("retry", "nobody", "a", "b", "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert (flam.state("a"), flam.state("b")) == ("pending", "pending")


def test_waiting_ends_when_all_are_finished_and_tells_whether_all_completed(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "good", "--", "true")
    flam.ok("enqueue", "--id", "bad", "--max-retries", "0", "--", "false")
    late = flam.ctl("wait", "good", "bad", "--timeout", "100ms")
    assert (late.returncode, late.stdout) == (124, "")
    flam.start(1)
    assert flam.ok("wait", "good") == "good: completed\n"
    both = flam.ctl("wait", "good", "bad")
    assert (both.returncode, both.stdout) == (1, "good: completed\nbad: dead\n")
    document = flam.ctl("--json", "wait", "bad")
    assert document.returncode == 1
    assert '"state": "dead"' in document.stdout
    assert flam.ctl("wait", "nobody").returncode == 3


def test_retrying_runs_a_finished_job_again_and_a_failed_one_now(flam: Flam) -> None:
    flam.ok("config", "set", "backoff-base", "1000")
    flam.ok("enqueue", "--id", "done", "--", "true")
    flam.ok("enqueue", "--id", "fails", "--", "sh", "-c", "[ $FLAM_ATTEMPT = 2 ]")
    flam.start(1)
    until(lambda: flam.state("fails") == "failed", "it has failed once")
    assert flam.ok("retry", "fails") == "fails: failed\n"
    flam.ok("wait", "fails")
    assert flam.ok("retry", "done") == "done: pending\n"
    flam.ok("wait", "done")
    assert history(flam, "done") == [(1, "completed"), (2, "completed")]


def test_a_paused_queue_starts_nothing_and_a_limited_one_no_more_than_it_may(flam: Flam) -> None:
    assert "paused by" in flam.ok("queue", "pause", "mail", "--note", "relay is down")
    flam.ok("enqueue", "--id", "held", "--queue", "mail", "--", "true")
    flam.ok("enqueue", "--id", "free", "--", "true")
    flam.ok("worker", "start", "--foreground", "--drain")
    assert (flam.state("held"), flam.state("free")) == ("pending", "completed")
    (default, mail) = flam.json("queue", "list")
    assert (default["name"], default["paused_at"]) == ("default", None)
    assert (mail["note"], mail["concurrency"]) == ("relay is down", None)
    assert "Paused: mail" in flam.ok("status")
    flam.ok("queue", "resume", "mail")

    flam.ok("queue", "set", "mail", "--concurrency", "1")
    lock = flam.home.parent / "lock"
    for number in range(6):
        flam.ok("enqueue", "--id", f"m{number}", "--queue", "mail", "--max-retries", "0", "--",
                "sh", "-c", f"mkdir {lock} && sleep 0.05 && rmdir {lock}")  # fmt: skip
    flam.ok("worker", "start", "--foreground", "--drain", "--count", "4")
    assert flam.counts()["dead"] == 0
    assert flam.counts()["completed"] == 8


def test_wrong_words_about_queues_are_refused(flam: Flam) -> None:
    for words, code in (
        (("queue", "resume", "nobody"), 3),
        (("queue", "set", "q"), 2),
        (("queue", "set", "q", "--concurrency", "0"), 2),
        (("queue", "set", "q", "--concurrency", "many"), 2),
        (("queue", "pause", "a b"), 2),
        (("purge",), 2),
        (("purge", "--state", "pending"), 2),
        (("purge", "--state", "completed", "--older-than", "soon"), 2),
    ):
        refused = flam.ctl(*words)
        assert (refused.returncode, refused.stdout) == (code, ""), words
        assert refused.stderr.count("\n") == 1


def test_purging_deletes_what_is_finished_and_old_with_its_output(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "old", "--", "echo", "secret-word")
    flam.ok("enqueue", "--id", "waiting", "--delay", "1d", "--", "true")
    flam.ok("worker", "start", "--foreground", "--drain")
    assert flam.json("purge", "--state", "completed", "--older-than", "1h") == {"count": 0}
    assert flam.ok("purge", "--state", "completed") == "1 job deleted.\n"
    assert flam.ctl("show", "old").returncode == 3
    assert flam.state("waiting") == "pending"
    assert not list((flam.home / "logs").glob("*/*.log"))
    kept = [path for path in flam.home.iterdir() if path.is_file()]
    assert not any(b"secret-word" in path.read_bytes() for path in kept)
