"""What a job's end sets off: the jobs of its hooks, made of the job and its latest attempt.

A hook knows what has happened from its environment and, in full, from its standard input. No
text of the job ever becomes part of a shell's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from flam_store import rules, shapes
from flam_store.errors import SpecError
from flam_store.job import Attempt, Job, JobSpec
from flam_store.state import State
from flam_store.text import one_line

AFTER: Mapping[State, tuple[str, ...]] = {
    State.COMPLETED: ("on_success",),
    State.FAILED: ("on_failure",),
    State.DEAD: ("on_failure", "on_dead"),
}
"""Which hooks run, in this order, when an attempt has brought its job into a state."""

MAX_INPUT_BYTES = 256 * 1024
_LONGEST_TEXT = 1_000


@attrs.frozen(kw_only=True, slots=False)
class HookSpec(JobSpec):
    """The spec of a hook's job, whose ``env`` may name what no producer's may.

    It has no hooks, which would have hooks without end.
    """

    env: Mapping[str, str] = attrs.field(factory=dict, validator=rules.hook_env, repr=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        for name in ("on_success", "on_failure", "on_dead"):
            if getattr(self, name) is not None:
                raise SpecError("a hook's job has no hooks; leave it out", field=name)


def spec_kind(env: object) -> type[JobSpec]:
    """Which rules the spec with this environment obeys: a hook's job knows what it is."""
    return HookSpec if isinstance(env, Mapping) and rules.HOOK_ENV in env else JobSpec


def hook_specs(job: Job, attempt: Attempt) -> tuple[HookSpec, ...]:
    """The jobs to be stored with the outcome of this attempt, which has ended.

    They run where the job did: in its queue, at its priority, in its directory and with its
    environment. SpecError for a job whose row another program has spoilt.
    """
    return tuple(
        _spec(name, command, job, attempt)
        for name in AFTER.get(job.state, ())
        if (command := getattr(job, name)) is not None
    )


def _spec(name: str, command: str, job: Job, attempt: Attempt) -> HookSpec:
    return HookSpec(
        command=command,
        queue=job.queue,
        priority=job.priority,
        cwd=job.cwd,
        env={**job.env, **_facts(name, job, attempt)},
        stdin=_told(name, job, attempt),
        labels={"hook": name, "hook-of": job.id},
    )


def _facts(name: str, job: Job, attempt: Attempt) -> dict[str, str]:
    """What is not known is empty, so that a shell may ask for it under ``set -u``."""
    return {
        "FLAM_HOOK": name,
        "FLAM_HOOK_JOB_ID": job.id,
        "FLAM_HOOK_ATTEMPT": str(attempt.attempt),
        "FLAM_HOOK_STATE": job.state.value,
        "FLAM_HOOK_EXIT_CODE": "" if attempt.exit_code is None else str(attempt.exit_code),
        "FLAM_HOOK_SIGNAL": attempt.signal or "",
        "FLAM_HOOK_ERROR": one_line(attempt.error or "", limit=_LONGEST_TEXT),
    }


def _told(name: str, job: Job, attempt: Attempt) -> str:
    """A line of JSON: the job as ``show`` gives it, with its latest attempt, and the hook."""
    shape = {"hook": name} | shapes.job_with_history(job, [attempt])
    told = json.dumps(shape)
    return f"{told if len(told) < MAX_INPUT_BYTES else json.dumps(_shortened(shape))}\n"


def _shortened(shape: dict[str, Any]) -> dict[str, Any]:
    """The same with long texts cut, and without what may be many."""
    short = {key: _cut(value) for key, value in shape.items()}
    many: dict[str, object] = {"args": None, "env": {}, "labels": {}, "after": []}
    history = [{key: _cut(value) for key, value in each.items()} for each in shape["history"]]
    return short | many | {"history": history}


def _cut(value: object) -> object:
    return one_line(value, limit=_LONGEST_TEXT) if isinstance(value, str) else value
