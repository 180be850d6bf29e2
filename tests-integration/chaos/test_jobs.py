"""Jobs that misbehave: the worker stays, the tree goes, the record is honest."""

from __future__ import annotations

import signal

import pytest

from chaos.harness import Chaos, until

ENDS = {
    "deaf": ["timeout"],
    "leaves-a-child-with-its-output": ["completed"],
    "leaves-a-daemon": ["completed"],
    "kills-its-parent": ["crashed"],
    "kills-its-group": ["failed"],
    "stops-itself": ["timeout"],
    "is-silent": ["completed"],
    "closes-everything": ["completed"],
    "exhausts-descriptors": ["completed"],
    "leaves-many-processes": ["completed"],
    "runs-out-of-memory": ["failed"],
    "floods": ["completed"],
}
"""How each misbehaviour ends, when it may not be tried again."""

DEAD = {word for word, ends in ENDS.items() if ends != ["completed"]}


SLOW = {"deaf"}
"""It has five seconds to obey SIGTERM."""


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(ENDS.keys() - SLOW, id="most"),
        pytest.param(SLOW, id="slow", marks=pytest.mark.chaos),
    ],
)
def test_misbehaviour_has_an_honest_end_and_leaves_nothing(chaos: Chaos, words: set[str]) -> None:
    expected = {word: ENDS[word] for word in words}
    for word, ends in expected.items():
        seconds = 1 if ends == ["timeout"] else 60
        chaos.enqueue(word, args=chaos.hostile(word), max_retries=0, timeout=seconds)
    chaos.start(4)
    chaos.settle()
    lines = [line for line in chaos.journal() if line.process.alive]
    assert not lines, "the tree of an attempt outlives it"
    chaos.conclude(DEAD & words)
    attempts = chaos.attempts()
    assert {job: [each.state.value for each in attempts[job]] for job in attempts} == expected


@pytest.mark.chaos
def test_a_job_that_kills_its_worker_each_time_ends_as_a_dead_letter(chaos: Chaos) -> None:
    chaos.enqueue("bad", args=chaos.hostile("kills-its-parent"), max_retries=2)
    chaos.start(1)
    chaos.enqueue("good")
    chaos.conclude(["bad"])
    assert [each.state.value for each in chaos.attempts()["bad"]] == ["crashed"] * 3


@pytest.mark.chaos
def test_misbehaviour_of_jobs_whose_workers_are_killed_leaves_nothing(chaos: Chaos) -> None:
    kills = 0
    for number in range(6):
        for word in ENDS.keys() - DEAD:
            chaos.enqueue(f"{word}-{number}", args=chaos.hostile(word))
        for word in DEAD:
            chaos.enqueue(f"{word}-{number}", args=chaos.hostile(word), timeout=1, max_retries=0)
        chaos.start(4)
        for _ in range(6):
            until_another_starts(chaos)
            worker = chaos.random.choice(until(chaos.workers, "a worker"))
            kills += worker.send(signal.SIGKILL)
        chaos.settle()
        chaos.flam.ok("worker", "stop")
    assert kills >= 20
    chaos.conclude({f"{word}-{number}" for word in DEAD for number in range(6)})


def done(chaos: Chaos) -> bool:
    return not any(
        state in ("pending", "processing", "failed") for state in chaos.states().values()
    )


def until_another_starts(chaos: Chaos) -> None:
    seen = len(chaos.journal("start"))
    until(lambda: len(chaos.journal("start")) > seen or chaos.is_settled(), "another starts")
