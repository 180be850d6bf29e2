"""The values of the queue's language: what is asked for, what is stored, what is claimed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from flam_store import rules
from flam_store.errors import SpecError
from flam_store.names import new_id
from flam_store.state import AttemptState, State

DEFAULT_QUEUE = "default"


@attrs.frozen(kw_only=True, slots=False)
class JobSpec:
    """What a producer asks for. Whole and valid when built; SpecError otherwise.

    Exactly one of ``command`` (run by ``/bin/sh -c``) and ``args`` (run directly) is given,
    and at most one of ``run_at`` (aware) and ``delay`` (from the moment it is stored).
    None in a retry, backoff or timeout field means the store's configuration at that moment;
    ``backoff_max`` is in seconds. ``cwd`` None means the worker's directory.

    ``after_policy`` is ``"all"`` (start when every job of ``after`` is completed) or ``"any"``
    (when every one has ended, however). ``success_codes`` are the exit codes that mean success,
    None for 0 alone; one of ``no_retry_on`` makes the job a dead letter at once. ``on_success``,
    ``on_failure`` and ``on_dead`` are shell commands, each run as a job of its own: after the
    success, after every attempt that failed, when the job has become a dead letter. None means
    the store's configuration at that moment.
    """

    command: str | None = attrs.field(default=None, validator=rules.command)
    args: tuple[str, ...] | None = attrs.field(default=None, validator=rules.args)
    id: str | None = attrs.field(default=None, validator=rules.name)
    queue: str = attrs.field(default=DEFAULT_QUEUE, validator=rules.name)
    priority: int = attrs.field(default=0, validator=rules.priority)
    run_at: datetime | None = attrs.field(default=None, validator=rules.instant)
    delay: timedelta | None = attrs.field(default=None, validator=rules.delay)
    max_retries: int | None = attrs.field(default=None, validator=rules.policy)
    backoff_base: float | None = attrs.field(default=None, validator=rules.policy)
    backoff_max: float | None = attrs.field(default=None, validator=rules.policy)
    backoff_jitter: float | None = attrs.field(default=None, validator=rules.policy)
    timeout: timedelta | None = attrs.field(default=None, validator=rules.timeout)
    cwd: str | None = attrs.field(default=None, validator=rules.directory)
    env: Mapping[str, str] = attrs.field(factory=dict, validator=rules.env, repr=False)
    stdin: str | None = attrs.field(default=None, validator=rules.text, repr=False)
    after: tuple[str, ...] = attrs.field(default=(), validator=rules.after)
    after_policy: str = attrs.field(default="all", validator=rules.after_policy)
    unique_key: str | None = attrs.field(default=None, validator=rules.unique_key)
    labels: Mapping[str, str] = attrs.field(factory=dict, validator=rules.labels)
    success_codes: tuple[int, ...] | None = attrs.field(default=None, validator=rules.exit_codes)
    no_retry_on: tuple[int, ...] = attrs.field(default=(), validator=rules.exit_codes)
    on_success: str | None = attrs.field(default=None, validator=rules.command)
    on_failure: str | None = attrs.field(default=None, validator=rules.command)
    on_dead: str | None = attrs.field(default=None, validator=rules.command)

    def __attrs_post_init__(self) -> None:
        if (self.command is None) == (self.args is None):
            problem = "give one of command and args" + (", not both" if self.command else "")
            raise SpecError(problem, field="command")
        if self.run_at is not None and self.delay is not None:
            raise SpecError("give one of run_at and delay, not both", field="delay")
        if self.id is not None and self.id in self.after:
            raise SpecError("a job cannot wait for itself", field="after")
        if both := set(self.no_retry_on).intersection(self.success_codes or (0,)):
            raise SpecError(f"names {min(both)}, which is a success", field="no_retry_on")

    def named(self) -> JobSpec:
        """The same spec with an id of its own: the one given, or a new UUID."""
        return self if self.id is not None else restored(self, {"id": new_id()})


Spec = TypeVar("Spec", bound=JobSpec)


def altered(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """The spec with other values for these fields, as ``attrs.evolve`` gives it. SpecError.

    The rules of the other fields are not asked again: that is most of what a new spec costs.
    """
    new = restored(spec, values)
    fields = spec.__attrs_attrs__
    for name, value in values.items():
        field = getattr(fields, name)
        field.validator(new, field, value)
    new.__attrs_post_init__()
    return new


def restored(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """The spec with values that ``altered`` has let pass before."""
    new = object.__new__(type(spec))
    # A dictionary, and no slots, for this: a third of the time of setting each field.
    new.__dict__.update(spec.__dict__)
    new.__dict__.update(values)
    return new


def given(spec: JobSpec) -> dict[str, Any]:
    """The fields that say something, in values of JSON; for a spec without ``run_at``."""
    return {
        field.name: _plain(value)
        for field in attrs.fields(JobSpec)
        if (value := getattr(spec, field.name)) not in (None, {}, field.default)
    }


def _plain(value: Any) -> Any:
    match value:
        case timedelta():
            return value.total_seconds()
        case tuple():
            return list(value)
        case Mapping():
            return dict(value)
        case _:
            return value


@attrs.frozen(kw_only=True)
class Job:
    """A stored job. Times are aware UTC with a resolution of a millisecond.

    ``seq`` is the order of enqueueing and never given twice. ``attempts`` counts what has
    been used of ``max_retries + 1`` (``retry`` sets it to 0); ``attempt`` is the number of
    the latest start, for ever growing, 0 before the first. ``exit_code`` and ``error`` tell
    of the latest attempt where the state rests on it, and are None otherwise.
    ``backoff_max`` is in seconds.
    """

    seq: int
    id: str
    state: State
    queue: str
    priority: int
    command: str | None
    args: tuple[str, ...] | None
    attempts: int
    attempt: int
    max_retries: int
    backoff_base: float
    backoff_max: float
    backoff_jitter: float
    timeout: timedelta | None
    created_at: datetime
    updated_at: datetime
    run_at: datetime
    exit_code: int | None = None
    error: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    stdin: str | None = attrs.field(default=None, repr=False)
    after: tuple[str, ...] = ()
    after_policy: str = "all"
    unique_key: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    success_codes: tuple[int, ...] = (0,)
    no_retry_on: tuple[int, ...] = ()
    on_success: str | None = None
    on_failure: str | None = None
    on_dead: str | None = None

    @property
    def command_line(self) -> str:
        """The command as a person would type it."""
        return self.command if self.command is not None else shlex.join(self.args or ())


@attrs.frozen(kw_only=True)
class Attempt:
    """One start of a job. ``worker`` is the worker's id; what is not known yet is None."""

    seq: int
    attempt: int
    state: AttemptState
    worker: str
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int | None = None
    signal: str | None = None
    cause: str | None = None
    error: str | None = None
    output_bytes: int | None = None


@attrs.frozen(kw_only=True)
class Claim:
    """A job that a worker holds, and the number of the attempt under which it does."""

    job: Job
    attempt: int
    worker: str


@attrs.frozen(kw_only=True)
class JobFilter:
    """Which jobs: each field that is not empty narrows. ``labels`` must all match.

    ``since`` is the earliest time of enqueueing, ``command`` a piece of the command line in
    whatever letter case, ``failed_with`` the exit code of the latest attempt, which did not
    complete the job.
    """

    states: tuple[State, ...] = ()
    queue: str | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict)
    since: datetime | None = None
    command: str | None = None
    failed_with: int | None = None


class Order(StrEnum):
    """The order of enqueueing, from either end."""

    NEWEST = "newest"
    OLDEST = "oldest"


@attrs.frozen(kw_only=True)
class Page:
    """A stretch of jobs in an order. ``more`` says whether others that follow match as well."""

    jobs: tuple[Job, ...]
    more: bool


@attrs.frozen(kw_only=True)
class Expired:
    """The ``seq`` of each job that was deleted as too old, and of the last that was looked at.

    ``after`` is None when none of the state comes after it. ``young`` says that one was stored
    too late to be old enough; as a rule all that come after it were.
    """

    seqs: tuple[int, ...]
    after: int | None
    young: bool


@attrs.frozen(kw_only=True)
class Start:
    """What of an attempt is needed to know what it left behind."""

    seq: int
    attempt: int
    state: AttemptState
    worker: str
    output_bytes: int | None


@attrs.frozen(kw_only=True)
class Ledger:
    """What is stored under a range of numbers: the ``seq`` of each job, and every start of them.

    ``given`` is the highest ``seq`` that the store has ever given, also of jobs that are purged.
    """

    jobs: frozenset[int]
    starts: tuple[Start, ...]
    given: int
