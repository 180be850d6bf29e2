"""What follows from the end of a job, with real pools."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from children import until
from pools import Pools

from flam_store import Job, JobFilter, JobSpec, State
from flam_store.output import Logs, pieces

TELL = (
    'env | grep ^FLAM_ | sort; echo "dir $(pwd) $OWN"; cat; '
    '[ "$FLAM_HOOK_ERROR" = "" ] || echo "error: $FLAM_HOOK_ERROR"'
)


def hooks(pools: Pools, of: str) -> list[Job]:
    with pools.store() as store:
        return list(reversed(store.jobs(JobFilter(labels={"hook-of": of})).jobs))


def output(pools: Pools, job: Job) -> str:
    fd = Logs(pools.home.logs_path).open(job.seq, job.attempt)
    try:
        return b"".join(pieces(fd)).decode()
    finally:
        os.close(fd)


def told(pools: Pools, job: Job) -> tuple[dict[str, str], dict[str, Any]]:
    """The variables and the JSON that a hook has seen."""
    lines = output(pools, job).splitlines()
    variables = dict(line.split("=", 1) for line in lines if line.startswith("FLAM_"))
    (shape,) = (json.loads(line) for line in lines if line.startswith("{"))
    return variables, shape


def drained(pools: Pools) -> None:
    process = pools.foreground("--drain")
    assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("fields", "state", "code"),
    [
        ({"success_codes": (0, 3)}, State.COMPLETED, 3),
        ({"success_codes": (3,)}, State.DEAD, 0),
        ({"no_retry_on": (2,), "max_retries": 9}, State.DEAD, 2),
    ],
)
def test_exit_codes_mean_what_the_job_says(
    pools: Pools, fields: dict[str, Any], state: State, code: int
) -> None:
    job = pools.enqueue(f"exit {code}", **{"max_retries": 0, "id": "j"} | fields)
    drained(pools)
    ended = pools.job(job)
    assert (ended.state, ended.exit_code, ended.attempts) == (state, code, 1)


def test_a_hook_sees_the_end_in_its_environment_and_on_its_standard_input(
    pools: Pools, tmp_path: Path
) -> None:
    pools.enqueue(
        "echo out; exit 4", id="j", cwd=str(tmp_path), env={"OWN": "a secret"}, max_retries=0,
        labels={"a": "b"}, on_dead=TELL, on_failure=TELL, on_success="false",
    )  # fmt: skip
    drained(pools)
    failed, dead = hooks(pools, "j")
    assert [failed.state, dead.state] == [State.COMPLETED] * 2
    variables, shape = told(pools, dead)
    assert variables["FLAM_JOB_ID"] == dead.id
    assert {key: value for key, value in variables.items() if "HOOK" in key} == {
        "FLAM_HOOK": "on_dead",
        "FLAM_HOOK_JOB_ID": "j",
        "FLAM_HOOK_ATTEMPT": "1",
        "FLAM_HOOK_STATE": "dead",
        "FLAM_HOOK_EXIT_CODE": "4",
        "FLAM_HOOK_SIGNAL": "",
        "FLAM_HOOK_ERROR": "exit code 4",
    }
    assert f"dir {tmp_path} a secret" in output(pools, dead)
    assert (shape["id"], shape["state"], shape["labels"]) == ("j", "dead", {"a": "b"})
    assert shape["env"] == {"OWN": "***"}
    assert [each["exit_code"] for each in shape["history"]] == [4]
    assert told(pools, failed)[0]["FLAM_HOOK"] == "on_failure"


def test_a_drain_waits_for_hooks_and_the_retries_of_hooks(pools: Pools) -> None:
    pools.configure(max_retries=1, backoff_base=0, backoff_jitter=0)
    pools.enqueue("true", id="j", on_success="false")
    drained(pools)
    (hook,) = hooks(pools, "j")
    assert (hook.state, hook.attempts) == (State.DEAD, 2)


def test_the_configurations_hooks_run_for_jobs_and_not_for_hooks(pools: Pools) -> None:
    pools.configure(on_success="true", on_failure="true", on_dead="false", max_retries=0)
    pools.enqueue("false", id="j")
    drained(pools)
    assert [hook.labels["hook"] for hook in hooks(pools, "j")] == ["on_failure", "on_dead"]
    assert [hooks(pools, hook.id) for hook in hooks(pools, "j")] == [[], []]


def test_an_attempt_whose_worker_was_killed_sets_off_its_hook(pools: Pools) -> None:
    pools.configure(lease_seconds=3)
    pools.enqueue("kill -9 $PPID", id="j", max_retries=0, on_dead=TELL)
    pools.start()
    pools.wait_for("j", State.DEAD)
    (hook,) = hooks(pools, "j")
    pools.wait_for(hook.id)
    variables, shape = told(pools, pools.job(hook.id))
    assert variables["FLAM_HOOK_ERROR"].startswith("crashed: ")
    assert shape["history"][0]["state"] == "crashed"


def test_text_of_a_job_is_no_part_of_a_hooks_shell(pools: Pools, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    evil = f"$(touch {trap}) `touch {trap}`; touch {trap}"
    with pools.store() as store:
        store.enqueue(JobSpec(args=(evil,), id="j", max_retries=0, on_dead=TELL))
    drained(pools)
    (hook,) = hooks(pools, "j")
    assert "touch" in told(pools, hook)[0]["FLAM_HOOK_ERROR"]
    assert not trap.exists()


def test_a_child_of_any_end_runs_when_its_parent_is_dead(pools: Pools) -> None:
    pools.enqueue("false", id="j", max_retries=0)
    pools.enqueue("true", id="child", after=("j",), after_policy="any")
    pools.enqueue("true", id="needs", after=("j",))
    drained(pools)
    assert pools.job("child").state is State.COMPLETED
    assert pools.job("needs").state is State.BLOCKED


def test_a_pool_ages_priorities_as_its_config_said_when_it_began(pools: Pools) -> None:
    pools.configure(priority_ageing=0.001)
    low = pools.enqueue("echo low >> order", cwd=str(pools.home.path))
    passed = pools.job(low).run_at + timedelta(seconds=0.1)
    until(lambda: datetime.now(UTC) > passed, "a hundred levels")
    pools.enqueue("echo high >> order", cwd=str(pools.home.path), priority=5)
    drained(pools)
    assert (pools.home.path / "order").read_text() == "low\nhigh\n"
