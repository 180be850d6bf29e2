"""Jobs so short that workers claim and report several at once, and workers that are killed.

What a killed worker had seen to end is not run again, and only what it was running has crashed.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from chaos.harness import Chaos, until
from chaos.test_kill import kill_workers

HITS = 20


def enqueue_short(chaos: Chaos, number: int) -> None:
    """Enqueue so many more jobs that write their id and attempt, and have ended."""
    first = len(chaos.asked)
    ids = [f"job-{each}" for each in range(first, first + number)]
    chaos.asked.update(ids)
    command = f'echo "$FLAM_JOB_ID $FLAM_ATTEMPT" >> {chaos.folder}/ran'
    specs = [json.dumps({"id": id, "command": command}) for id in ids]
    chaos.flam.ok("enqueue", "--file", "-", input="\n".join(specs))


def ran(chaos: Chaos) -> Counter[tuple[str, int]]:
    """How often each attempt was run."""
    lines = (chaos.folder / "ran").read_text().splitlines()
    return Counter((job, int(attempt)) for job, attempt in map(str.split, lines))


def conclude(chaos: Chaos) -> Counter[str]:
    """Check what was run against what is recorded; return how many attempts ended in which way."""
    chaos.settle()
    chaos.flam.ok("worker", "stop")
    attempts, runs = chaos.attempts(), ran(chaos)
    assert attempts.keys() == chaos.asked
    assert set(chaos.states().values()) == {"completed"}
    assert max(runs.values()) == 1, "an attempt was run twice"
    states = {
        (job, each.attempt): each.state.value for job, every in attempts.items() for each in every
    }
    assert runs.keys() <= states.keys()
    assert {states[each] for each in runs} <= {"completed", "crashed"}
    done = {each for each, state in states.items() if state == "completed"}
    assert done <= runs.keys(), "success out of nothing"
    assert len(done) == len(attempts), "a job was completed twice"
    assert not chaos.processes()
    return Counter(states.values())


def suffer(chaos: Chaos, fault: str, hits: int) -> Counter[str]:
    point = fault.partition("=")[0]
    chaos.start(2, fault)
    while chaos.faults()[f"{point} kill"] < hits:
        enqueue_short(chaos, 100)
        chaos.settle()
    return conclude(chaos)


def test_who_dies_before_a_report_has_it_reported_and_nothing_runs_twice(chaos: Chaos) -> None:
    ended = suffer(chaos, "kept=kill:0.02", 2)
    assert ended["crashed"] == 0
    assert sum(ran(chaos).values()) == len(chaos.asked)


@pytest.mark.chaos
def test_who_dies_before_reports_in_a_loop_repeats_nothing(chaos: Chaos) -> None:
    ended = suffer(chaos, "kept=kill:0.02", HITS)
    assert ended["crashed"] == 0
    assert sum(ran(chaos).values()) == len(chaos.asked)


@pytest.mark.chaos
@pytest.mark.parametrize("point", ["claimed", "spawned", "exited"])
def test_who_dies_at_a_short_job_crashes_that_one_only(chaos: Chaos, point: str) -> None:
    ended = suffer(chaos, f"{point}=kill:0.02", HITS)
    assert ended["crashed"] == chaos.faults()[f"{point} kill"]


@pytest.mark.chaos
def test_workers_killed_in_a_loop_among_short_jobs_repeat_only_what_has_crashed(
    chaos: Chaos,
) -> None:
    chaos.start(2)
    for _ in range(HITS):
        enqueue_short(chaos, 300)
        until(lambda: len(ran(chaos)) > len(chaos.asked) - 250, "some have run")
        kill_workers(chaos, 1)
        chaos.settle()
    ended = conclude(chaos)
    assert ended["crashed"] <= HITS
    assert sum(ran(chaos).values()) <= len(chaos.asked) + ended["crashed"]
