"""How an attempt ended, as a fact: before anybody says what it means."""

from __future__ import annotations

from datetime import timedelta

import attrs


@attrs.frozen
class Exited:
    """The command ended by itself with this exit code."""

    code: int


@attrs.frozen
class Signalled:
    """A signal that Flam did not send ended the command; its name, such as ``SIGKILL``."""

    signal: str


@attrs.frozen
class TimedOut:
    """The command ran longer than it may, and was ended."""

    after: timedelta


@attrs.frozen
class NotStarted:
    """The command could not be started; why."""

    problem: str


@attrs.frozen
class Hindered:
    """The worker lacks what any command needs, such as room on its disk; what."""

    problem: str


@attrs.frozen
class Crashed:
    """The worker went away while the command ran; how."""

    how: str


@attrs.frozen
class CalledOff:
    """The command was ended, or not started, because the worker has to stop; why."""

    reason: str


@attrs.frozen
class Cancelled:
    """The command was ended because somebody cancelled the job."""


End = Exited | Signalled | TimedOut | NotStarted | Hindered | Crashed | CalledOff | Cancelled
