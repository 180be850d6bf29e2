"""What the end of an attempt means for its job: the values that ``finish`` writes."""

from __future__ import annotations

from datetime import timedelta

import attrs

from flam_store.state import AttemptState


@attrs.frozen(kw_only=True)
class Failure:
    """How an attempt failed.

    ``cause`` is the short reason that statistics group by: ``exit 1``, ``SIGKILL``,
    ``timeout``, ``crashed``, ``not started``. ``error`` is the sentence for a person.
    """

    state: AttemptState
    cause: str
    error: str
    exit_code: int | None = None
    signal: str | None = None


@attrs.frozen(kw_only=True)
class Completed:
    """The command did what it should; the job is done."""

    exit_code: int = 0


@attrs.frozen(kw_only=True)
class Retry:
    """The attempt failed and another is due ``delay`` after the store records this."""

    failure: Failure
    delay: timedelta


@attrs.frozen(kw_only=True)
class Dead:
    """The attempt failed and was the last; the job becomes a dead letter."""

    failure: Failure


@attrs.frozen(kw_only=True)
class Released:
    """The attempt was called off; the job is due again and has used up nothing."""

    reason: str


@attrs.frozen(kw_only=True)
class Cancelled:
    """Somebody cancelled the job; it is not run again."""

    exit_code: int | None = None
    signal: str | None = None


Outcome = Completed | Retry | Dead | Released | Cancelled


@attrs.frozen(kw_only=True)
class When:
    """How long before its report an attempt really began, and ended."""

    began_ago: timedelta
    ended_ago: timedelta


@attrs.frozen(kw_only=True)
class Result:
    """The outcome of one attempt, under that attempt's fence ``(seq, attempt)``.

    ``output_bytes`` counts what the command wrote, also what the cap left out;
    None when nobody can know. ``when`` tells the times of an attempt that is reported later
    than it ended; None says that it began when it was claimed and ends now.
    """

    seq: int
    attempt: int
    outcome: Outcome
    output_bytes: int | None = None
    when: When | None = None
