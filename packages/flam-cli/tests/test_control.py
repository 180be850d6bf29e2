from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import SOURCES, Run, Workshop
from test_enqueue import JOB_KEYS

from flam_store import JobSpec, State
from flam_store.home import Home
from flam_store.names import new_id
from flam_store.outcome import Completed
from flam_store.worker import ProcessId, Registration, Role
from flam_worker.identity import process_of, this_process


class Person(io.StringIO):
    """Standard input with a person behind it."""

    def isatty(self) -> bool:
        return True


def enqueue(workshop: Workshop, *ids: str, **fields: Any) -> None:
    for job_id in ids:
        workshop.store.enqueue(JobSpec(id=job_id, **({"command": "true"} | fields)))


def register(workshop: Workshop, process: ProcessId | None = None, **fields: Any) -> None:
    workshop.store.register(
        Registration(
            id=new_id(),
            role=Role.WORKER,
            process=process or this_process(),
            lease=timedelta(minutes=1),
            **fields,
        )
    )


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


def started(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "flam_cli", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )


# why


def kinds(queuectl: Run, job_id: str) -> list[str]:
    answer = queuectl("why", job_id, "--json").json
    assert answer.keys() == {"id", "state", "reasons"}
    assert all({"kind", "text", "advice"} <= each.keys() for each in answer["reasons"])
    return [each["kind"] for each in answer["reasons"]]


def test_why_says_what_this_host_knows_of_the_workers(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a")
    assert kinds(queuectl, "a") == ["no_workers"]
    me = this_process()
    dead = ProcessId(host=me.host, boot=me.boot, pid=me.pid, born="another time")
    register(workshop, dead)
    assert kinds(queuectl, "a") == ["no_workers"]
    register(workshop, queues=("mail",))
    assert kinds(queuectl, "a") == ["not_served"]
    register(workshop)
    assert kinds(queuectl, "a") == ["next"]


def test_why_tells_all_reasons_and_what_to_do(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a", queue="mail", delay=timedelta(hours=2))
    workshop.store.pause("mail", by="ann\x1b[2J", note="down")
    said = queuectl("why", "a")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "a: pending"
    assert "It is due in" in lines[1]
    assert r"by ann\x1b[2J: down." in said.out
    assert '"queuectl queue resume mail" ends the pause.' in said.out
    assert '"queuectl worker start" starts one.' in said.out


def test_why_of_an_unknown_job_is_a_line(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "thumb")
    for word in ("thum", "a\x1b[2J"):
        said = queuectl("why", word)
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert "Did you mean 'thumb'?" in queuectl("why", "thum").err


# show


def test_show_draws_a_job_between_its_parents_and_children(
    queuectl: Run, workshop: Workshop
) -> None:
    workshop.dead("dead")
    enqueue(workshop, "waits")
    enqueue(workshop, "a", after=("dead", "waits"))
    enqueue(workshop, *(f"c{n:02}" for n in range(12)), after=("a",))
    shown = queuectl("show", "a").out
    tree = ["dead (dead)", "waits (pending)", "  a (blocked), this job", "    c00 (blocked)"]
    assert "\n".join(tree) in shown
    assert "    c09 (blocked)\n    and 2 more\n" in shown
    assert "Blocked by: dead (dead), waits (pending) - retry dead, or cancel this job\n" in shown
    found = queuectl("show", "a", "--json").json
    assert found["parents"] == [
        {"id": "dead", "state": "dead"}, {"id": "waits", "state": "pending"},
    ]  # fmt: skip
    assert len(found["children"]) == 12
    assert (found["more_parents"], found["more_children"]) == (0, 0)


def test_show_of_a_job_alone_draws_nothing(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a")
    assert "this job" not in queuectl("show", "a").out


def test_jobs_cannot_wait_for_each_other_or_for_nobody(queuectl: Run) -> None:
    cycle = """[{"command": "x", "id": "a", "after": ["b"]},
                {"command": "x", "id": "b", "after": ["a"]}]"""
    forward = '[{"command": "x", "id": "a"}, {"command": "x", "id": "b", "after": ["a"]}]'
    for words in ([cycle], ["--id", "a", "--after", "a", "--", "true"],
                  ["--after", "nobody", "--", "true"]):  # fmt: skip
        refused = queuectl("enqueue", *words)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert queuectl("enqueue", forward).code == 0


# update


def test_update_changes_what_is_named(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a", "b", timeout=timedelta(seconds=9), labels={"old": "1"})
    said = queuectl(
        "update", "a", "b", "--priority", "-2", "--queue", "mail", "--delay", "1h",
        "--timeout", "none", "--max-retries", "0", "--label", "k=v", "--unlabel", "old",
    )  # fmt: skip
    assert (said.code, said.out) == (0, "a: pending\nb: pending\n")
    job = queuectl("show", "b", "--json").json
    told = ("priority", "queue", "timeout", "max_retries", "labels")
    assert [job[key] for key in told] == [-2, "mail", None, 0, {"k": "v"}]
    assert job["run_at"] > job["created_at"]
    (job,) = queuectl("update", "a", "--at", "2030-01-31T12:00:00Z", "--json").json
    assert job.keys() == JOB_KEYS
    assert job["run_at"] == "2030-01-31T12:00:00.000000Z"


def test_update_refuses_what_runs_or_is_finished(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("done")
    workshop.running("runs")
    enqueue(workshop, "a")
    said = queuectl("update", "runs", "nope", "a", "done", "--priority", "1")
    assert (said.code, said.out, said.err.count("\n")) == (4, "a: pending\n", 3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "at least one of --priority, --queue, --delay, --at, --timeout"),
        (["--priority", "many"], "--priority"),
        (["--priority", "2147483648"], "priority"),
        (["--queue", "a b"], "no valid name"),
        (["--delay", "soon"], "--delay: 'soon' is not a duration"),
        (["--at", "noon"], "--at: 'noon'"),
        (["--at", "2030-01-31T12:00:00"], "offset"),
        (["--delay", "1", "--at", "2030-01-31T12:00:00Z"], "not both"),
        (["--timeout", "0"], "timeout: must be more than 0"),
        (["--max-retries", "-1"], "--max-retries: must be"),
        (["--label", "k"], "KEY=VALUE"),
        (["--unlabel", "a b"], "unlabel"),
        (["--env", "A=b"], "No such option: --env"),
    ],
)
def test_update_refuses_wrong_values(
    queuectl: Run, workshop: Workshop, words: list[str], told: str
) -> None:
    enqueue(workshop, "a")
    refused = queuectl("update", "a", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err


@pytest.mark.parametrize("verb", [["pause"], ["resume"], ["set", "--concurrency", "2"]])
def test_a_name_that_no_queue_can_have_is_said_of_the_argument(
    queuectl: Run, verb: list[str]
) -> None:
    refused = queuectl("queue", *verb, "no such")
    assert refused.code == 2
    assert refused.err.startswith("queuectl: Q: 'no such' is no valid name")


# wait


def test_an_unknown_id_is_told_at_once_and_the_others_are_waited_for(
    home: Home, workshop: Workshop
) -> None:
    enqueue(workshop, "a")
    with started("--home", str(home.path), "wait", "a", "nope") as waiting:
        assert waiting.stderr is not None
        assert b"No job has the id 'nope'" in waiting.stderr.readline()
        assert waiting.poll() is None
        workshop.store.cancel("a", by="test")
        assert waiting.wait(60) == 3


# worker stop


def test_workers_are_stopped_also_when_the_configuration_cannot_be_read(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    with subprocess.Popen(["sleep", "600"]) as worker:
        register(workshop, process_of(worker.pid))
        home.config_path.write_text("{")
        home.config_path.chmod(0o600)
        threading.Thread(target=worker.wait).start()
        said = queuectl("worker", "stop")
        assert worker.wait(60) == -signal.SIGUSR1  # which a worker takes for a word to look
    assert (said.code, said.out) == (0, "Stopped 1 worker.\n")
    assert "config.json" in said.err


def test_where_no_worker_is_known_a_configuration_that_cannot_be_read_is_an_error(
    queuectl: Run, workshop: Workshop, home: Home
) -> None:
    home.config_path.write_text('{"store_url": ')
    home.config_path.chmod(0o600)
    refused = queuectl("worker", "stop")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "config.json" in refused.err


# cancel and retry by filter


def test_cancel_takes_all_that_match_and_nothing_else(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("done")
    enqueue(workshop, "m1", "m2", queue="mail", labels={"k": "v"})
    enqueue(workshop, "m3", queue="mail")
    enqueue(workshop, "other", labels={"k": "v"})
    words = ("--queue", "mail", "--label", "k=v", "--state", "pending")
    assert queuectl("cancel", *words, "--yes", "--json").json == {"count": 2}
    assert queuectl("cancel", *words, "--yes").out == "0 jobs cancelled.\n"
    assert queuectl("cancel", "--all", "--yes").out == "2 jobs cancelled.\n"
    assert workshop.store.overview().counts[State.CANCELLED] == 4


def test_more_jobs_than_one_slice_holds_are_cancelled(queuectl: Run, workshop: Workshop) -> None:
    workshop.store.enqueue_many(JobSpec(command="x") for _ in range(1_101))
    assert queuectl("cancel", "--all", "--yes", "--json").json == {"count": 1_101}


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_nobody_to_ask_is_an_error(queuectl: Run, workshop: Workshop, verb: str) -> None:
    enqueue(workshop, "a")
    refused = queuectl(verb, "--all")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "--yes" in refused.err
    assert workshop.store.job("a").state is State.PENDING


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Give ids, or"),
        (["a", "--all"], "Give ids, or"),
        (["a", "--queue", "q"], "Give ids, or"),
        (["--all", "--queue", "q"], "Give ids, or"),
        (["--state", "nope", "--yes"], "No such state"),
        (["--queue", "a b", "--yes"], "no valid name"),
        (["--label", "k", "--yes"], "KEY=VALUE"),
    ],
)
def test_ids_or_a_filter_must_be_given(
    queuectl: Run, workshop: Workshop, verb: str, words: list[str], told: str
) -> None:
    enqueue(workshop, "a")
    refused = queuectl(verb, *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err


RETRY_ALL = ("dlq", "retry", "--all")
PURGE = ("purge", "--state", "dead")


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (RETRY_ALL, "Retry 1 job?"),
        (PURGE, "Delete 1 job and the output?"),
        ((*PURGE, "--older-than", "0s"),
         "Delete, of 1 job, what finished 0s ago or before, and the output?"),
    ],
)  # fmt: skip
def test_a_terminal_is_asked_before_many_are_retried_or_deleted(
    queuectl: Run,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    question: str,
) -> None:
    workshop.dead("d")
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    refused = queuectl(*words)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"{question} [y/N] Nothing was changed.\n"
    assert workshop.store.job("d").state is State.DEAD
    monkeypatch.setattr(sys, "stdin", Person(""))
    assert queuectl(*words, "--yes", "--json").json == {"count": 1}


def test_states_that_cannot_be_meant_are_refused(queuectl: Run) -> None:
    refused = queuectl("cancel", "--state", "completed", "--yes")
    assert refused.code == 2
    assert "completed is no state for this; choose from pending" in refused.err
    assert queuectl("retry", "--state", "pending", "-y").code == 2
    unknown = queuectl("cancel", "--state", "foo", "--yes")
    assert unknown.code == 2
    assert "'foo'. There are pending, blocked, processing, failed.\n" in unknown.err


def test_a_purge_names_only_states_of_finished_jobs(queuectl: Run) -> None:
    refused = queuectl("purge", "--state", "foo", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "queuectl: --state: No such state: 'foo'. There are completed, dead, cancelled.\n"
    )
    assert "Did you mean 'dead'?" in queuectl("purge", "--state", "ded", "--yes").err
    assert "pending jobs are not finished" in queuectl("purge", "--state", "pending").err


def test_a_person_is_asked_with_the_number(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(workshop, "a", "b")
    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    refused = queuectl("cancel", "--state", "pending")
    assert (refused.code, refused.out) == (1, "")
    assert "Cancel 2 jobs? [y/N]" in refused.err
    assert workshop.store.overview().counts[State.PENDING] == 2
    monkeypatch.setattr(sys, "stdin", Person("y\n"))
    assert queuectl("cancel", "--state", "pending").out == "2 jobs cancelled.\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cancel", "--all"), "0 jobs cancelled.\n"),
        (("retry", "--queue", "mail"), "0 jobs to run again.\n"),
        (RETRY_ALL, "0 jobs pending again.\n"),
        (("dlq", "purge"), "0 jobs deleted.\n"),
        (PURGE, "0 jobs deleted.\n"),
        ((*PURGE, "--older-than", "30d"), "0 jobs deleted.\n"),
    ],
)
def test_nobody_is_asked_about_no_jobs(
    queuectl: Run,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    told: str,
) -> None:
    workshop.completed("done")
    monkeypatch.setattr(sys, "stdin", Person(""))
    said = queuectl(*words)
    assert (said.code, said.out, said.err) == (0, told, "")
    assert queuectl(*words, "--json").json == {"count": 0}


def test_retry_takes_what_failed_unless_a_state_is_named(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("done")
    workshop.dead("dead")
    enqueue(workshop, "called-off")
    workshop.store.cancel("called-off", by="me")
    assert queuectl("retry", "--all", "--yes").out == "1 job to run again.\n"
    assert workshop.store.job("dead").state is State.PENDING
    assert queuectl("retry", "--state", "cancelled", "--yes", "--json").json == {"count": 1}
    assert workshop.store.job("done").state is State.COMPLETED


def test_a_held_key_keeps_a_job_from_being_retried(queuectl: Run, workshop: Workshop) -> None:
    workshop.dead("dead", unique_key="k")
    enqueue(workshop, "holder", unique_key="k")
    said = queuectl("retry", "--all", "--yes")
    assert said.out == "0 jobs to run again.\n"
    assert said.err == "1 job stayed: an unfinished job holds their unique key.\n"


def test_purge_narrows_by_queue_and_label(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("a", queue="mail", labels={"k": "v"})
    workshop.completed("b", queue="mail")
    workshop.completed("c", labels={"k": "v"})
    words = ("purge", "--state", "completed", "--queue", "mail", "--label", "k=v")
    assert queuectl(*words, "--json").json == {"count": 1}
    assert {job.id for job in workshop.store.jobs().jobs} == {"b", "c"}
    assert queuectl("purge", "--state", "completed", "--queue", "a b").code == 2
    assert queuectl("purge", "--state", "completed", "--label", "k").code == 2


# enqueue --if-absent


def test_the_holder_of_a_key_stands_in(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "holder", unique_key="k")
    words = ("enqueue", "--unique-key", "k", "--id", "new", "--if-absent", "--", "true")
    said = queuectl(*words)
    assert (said.code, said.out, said.err) == (0, "holder\n", "")
    job = queuectl("--json", *words).json
    assert (job["id"], job.keys()) == ("holder", JOB_KEYS)
    assert [job.id for job in workshop.store.jobs().jobs] == ["holder"]


def test_without_id_and_key_there_is_nothing_to_look_for(queuectl: Run, workshop: Workshop) -> None:
    refused = queuectl("enqueue", "--if-absent", "--", "x")
    assert (refused.code, refused.out) == (2, "")
    assert "give --id or --unique-key" in refused.err
    assert workshop.store.jobs().jobs == ()


def test_a_stored_id_is_no_error_either(queuectl: Run, workshop: Workshop) -> None:
    enqueue(workshop, "a")
    assert queuectl("enqueue", "--id", "a", "--if-absent", "--", "x").out == "a\n"
    assert workshop.store.job("a").command == "true"
    assert queuectl("enqueue", "--id", "b", "--if-absent", "--", "x").out == "b\n"


def test_in_an_array_and_a_file_the_holders_stand_in_the_places(
    queuectl: Run, workshop: Workshop, tmp_path: Path
) -> None:
    enqueue(workshop, "holder", unique_key="k")
    specs = [
        '{"command": "x", "id": "a"}',
        '{"command": "x", "id": "b", "unique_key": "k"}',
        '{"command": "x", "id": "c"}',
    ]
    expected = ["a", "holder", "c"]
    array = f"[{', '.join(specs)}]"
    assert queuectl("enqueue", array, "--if-absent").ids == expected
    assert queuectl("enqueue", array, "--if-absent", "--json").json == expected
    file = tmp_path / "specs"
    file.write_text("\n".join(specs))
    assert queuectl("enqueue", "--file", str(file), "--if-absent").ids == expected
    assert queuectl("enqueue", "--file", str(file), "--if-absent", "--json").json == expected
    assert len(workshop.store.jobs().jobs) == 3


# pauses


def test_a_pause_is_told_where_somebody_may_wonder(
    queuectl: Run, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.store.pause("mail", by="ann", note="down")
    assert queuectl("list").err == ""
    enqueue(workshop, "a", queue="mail")
    for words in (["list"], ["list", "--queue", "mail"], ["worker", "list"]):
        told = queuectl(*words).err
        assert told.startswith("Queue mail has been paused for")
        assert told.endswith('by ann: down. "queuectl queue resume mail" ends the pause.\n')
        assert queuectl(*words, "--json").err == ""
    assert queuectl("list", "--state", "dead").err == ""
    assert queuectl("list", "--queue", "other").err == ""
    assert queuectl("enqueue", "--queue", "mail", "--", "true").err == ""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True)
    assert "paused" in queuectl("enqueue", "--queue", "mail", "--", "true").err
    assert "paused" in queuectl("enqueue", '[{"command": "x", "queue": "mail"}]').err
    assert "paused" not in queuectl("enqueue", "--", "true").err
    assert "paused" not in queuectl("enqueue", "--queue", "mail", "--json", "--", "true").err


# wait


def test_wait_any_ends_with_the_first_that_is_finished(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("good")
    workshop.dead("bad")
    enqueue(workshop, "a")
    assert queuectl("wait", "a", "good", "--any").out == "good: completed\n"
    said = queuectl("wait", "a", "bad", "--any", "--json")
    assert (said.code, [job["id"] for job in said.json]) == (1, ["bad"])
    late = queuectl("wait", "a", "--any", "--timeout", "10ms")
    assert (late.code, late.out) == (124, "")
    assert "None was finished after 10ms; still waited for: a." in late.err


def test_wait_names_a_few_of_those_that_are_not_finished(queuectl: Run, workshop: Workshop) -> None:
    workshop.completed("good")
    enqueue(workshop, "a")
    late = queuectl("wait", "good", "a", "--timeout", "0.01")
    assert (late.code, late.out) == (124, "")
    assert late.err.endswith("Not all were finished after 0.01s; still waited for: a.\n")
    for name in "bcde":
        enqueue(workshop, name)
    late = queuectl("wait", *"abcde", "--timeout", "0.01")
    assert late.err.endswith("still waited for: a, b, c and 2 more.\n")


@pytest.mark.parametrize("words", [[], ["--any"]])
def test_wait_ends_when_another_process_finishes_the_job(
    workshop: Workshop, home: Home, words: list[str]
) -> None:
    result = workshop.running("a")
    bells = Path(f"{home.database_path}-bells")
    waiter = started("wait", "a", *words)
    until(lambda: bells.is_dir() and list(bells.iterdir()))
    workshop.end(result, Completed())
    out, _ = waiter.communicate(timeout=60)
    assert (waiter.returncode, out) == (0, b"a: completed\n")


def test_wait_says_once_what_will_not_pass_by_itself(workshop: Workshop) -> None:
    workshop.dead("dead")
    enqueue(workshop, "a", after=("dead",))
    waiter = started("wait", "a", "--json", "--timeout", "4s")
    out, err = waiter.communicate(timeout=60)
    assert (waiter.returncode, out) == (124, b"")
    first, second = err.decode().splitlines()
    assert first == ("a: It waits for dead (dead) to be completed. Retry dead, or cancel this job.")
    assert "Not all were finished" in second


def test_wait_says_that_no_worker_runs_or_that_the_queue_is_paused(workshop: Workshop) -> None:
    enqueue(workshop, "a", queue="mail")
    workshop.store.pause("mail", by="ann")
    waiter = started("wait", "a", "--timeout", "2s")
    _, err = waiter.communicate(timeout=60)
    assert "has been paused" in err.decode()
    assert "No worker runs" in err.decode()


# run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Give one of these: a SPEC, or --"),
        (['{"command": "x"}', "--", "true"], "Give one of these"),
        (['[{"command": "x"}]'], "an array holds many jobs"),
        (["nope"], "no JSON object"),
        (["--file", "x"], "No such option: --file"),
        (["--if-absent", "--", "x"], "No such option: --if-absent"),
        (["--wait-timeout", "soon", "--", "x"], "--wait-timeout"),
        (["--priority", "x", "--", "x"], "--priority"),
    ],
)
def test_run_refuses_wrong_words(queuectl: Run, words: list[str], told: str) -> None:
    refused = queuectl("run", *words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert told in refused.err
    assert queuectl("list", "--json").json == []


def test_run_takes_the_options_of_enqueue(queuectl: Run) -> None:
    lent, own = queuectl("enqueue", "--help").out, queuectl("run", "--help").out
    for option in ("--unique-key", "--label", "--env", "--timeout", "--after", "--cwd"):
        assert option in lent
        assert option in own
    assert "--file" not in own


def test_run_gives_up_after_its_timeout_and_says_why_nothing_ran(workshop: Workshop) -> None:
    for words in ((), ("--json",)):
        waiter = started("run", "--id", f"a{len(words)}", "--queue", "mail", "--wait-timeout",
                         "2s", *words, "--", "true")  # fmt: skip
        out, err = waiter.communicate(timeout=60)
        assert (waiter.returncode, out) == (124, b"")
        assert b"No worker runs" in err
        assert b"was not finished after 2s; it goes on." in err
    job = workshop.store.job("a0")
    assert (job.state, job.queue, job.args) == (State.PENDING, "mail", ("true",))


def test_an_interrupted_run_cancels_its_job(workshop: Workshop) -> None:
    waiter = started("run", "--", "true")
    until(lambda: workshop.store.jobs().jobs)
    waiter.send_signal(signal.SIGINT)
    out, err = waiter.communicate(timeout=60)
    assert (waiter.returncode, out) == (130, b"")
    (job,) = workshop.store.jobs().jobs
    assert f"Cancelling {job.id}".encode() in err
    assert job.state is State.CANCELLED


def test_a_run_whose_id_is_taken_leaves_the_other_job_alone(
    queuectl: Run, workshop: Workshop
) -> None:
    enqueue(workshop, "a")
    refused = queuectl("run", "--id", "a", "--", "true")
    assert (refused.code, refused.out, refused.err.count("\n")) == (4, "", 1)
    assert workshop.store.job("a").state is State.PENDING
