"""What a user does, from the first job to the dead letter queue and back."""

from __future__ import annotations

from collections import Counter

from conftest import Flam, until


def test_jobs_complete_or_end_as_dead_letters_and_can_be_retried(flam: Flam) -> None:
    flam.ok("config", "set", "max_retries", "2")
    flam.ok("config", "set", "backoff-base", "1")
    flam.ok("enqueue", '{"id": "good", "command": "echo out; echo err >&2"}')
    flam.ok("enqueue", '{"id": "failing", "command": "echo attempt $FLAM_ATTEMPT; exit 7"}')
    flam.ok("enqueue", "--id", "long", "--", "sh", "-c", "sleep 1; echo slept")

    pending = flam.json("list", "--state", "pending")
    assert [job["id"] for job in pending] == ["long", "failing", "good"]

    flam.start(2)
    flam.until_quiet()
    flam.ok("worker", "stop")

    assert (flam.state("good"), flam.state("long"), flam.state("failing")) == (
        "completed", "completed", "dead")  # fmt: skip
    assert flam.ok("logs", "good") == "out\nerr\n"
    assert flam.ok("logs", "long") == "slept\n"

    failing = flam.json("show", "failing")
    assert (failing["attempts"], failing["max_retries"]) == (3, 2)
    assert [(each["attempt"], each["state"], each["exit_code"]) for each in failing["history"]] == [
        (1, "failed", 7), (2, "failed", 7), (3, "failed", 7)]  # fmt: skip
    for number in ("1", "2", "3"):
        assert flam.ok("logs", "failing", "--attempt", number) == f"attempt {number}\n"

    assert [job["id"] for job in flam.json("dlq", "list")] == ["failing"]
    (again,) = flam.json("dlq", "retry", "failing")
    assert (again["state"], again["attempts"]) == ("pending", 0)
    second = flam.ctl("dlq", "retry", "failing")
    assert (second.returncode, second.stdout) == (4, "")
    assert second.stderr.count("\n") == 1

    flam.start(1)
    flam.until_quiet()
    assert [each["attempt"] for each in flam.json("show", "failing")["history"]] == [
        1, 2, 3, 4, 5, 6]  # fmt: skip
    assert flam.json("dlq", "purge") == {"count": 1}
    assert flam.ctl("show", "failing").returncode == 3


def test_three_hundred_jobs_over_eight_workers_run_exactly_once_each(flam: Flam) -> None:
    written = flam.home.parent / "written"
    specs = "".join(
        f'{{"id": "job-{number}", "command": "echo $FLAM_JOB_ID >> {written}"}}\n'
        for number in range(300)
    )
    flam.ok("enqueue", "--file", "-", input=specs)
    flam.start(8)
    flam.until_quiet()
    ran = Counter(written.read_text().split())
    assert ran == {f"job-{number}": 1 for number in range(300)}
    assert flam.counts()["completed"] == 300


def test_a_job_reads_what_was_given_to_it_and_nothing_of_the_producer(flam: Flam) -> None:
    secret = {**flam.environ, "PRODUCER_SECRET": "x"}
    flam.ok("enqueue", '{"id": "in", "command": "cat; env", "stdin": "given\\n"}', env=secret)
    flam.ok("worker", "start", "--foreground", "--drain")
    lines = flam.ok("logs", "in").splitlines()
    assert lines[0] == "given"
    assert {"FLAM_JOB_ID=in", "FLAM_ATTEMPT=1", "FLAM_QUEUE=default"} <= set(lines)
    assert not any("PRODUCER_SECRET" in line for line in lines)


def test_draining_waits_for_retries_and_not_for_a_far_future(flam: Flam) -> None:
    flam.ok("enqueue", '{"id": "soon", "command": "[ $FLAM_ATTEMPT = 2 ]", "backoff_base": 0.2}')
    flam.ok("enqueue", "--id", "later", "--delay", "1d", "--", "true")
    flam.ok("worker", "start", "--foreground", "--drain", "--count", "2")
    assert (flam.state("soon"), flam.state("later")) == ("completed", "pending")


def test_output_can_be_followed_while_the_job_runs(flam: Flam) -> None:
    gate = flam.home.parent / "gate"
    flam.ok("enqueue", "--id", "slow", "--", "sh", "-c",
            f"echo first; until [ -e {gate} ]; do sleep 0.05; done; echo last")  # fmt: skip
    flam.start(1)
    until(lambda: flam.state("slow") == "processing", "the job runs")
    until(lambda: flam.ok("logs", "slow") == "first\n", "its output can be read")
    gate.touch()
    assert flam.ok("logs", "slow", "--follow") == "first\nlast\n"
