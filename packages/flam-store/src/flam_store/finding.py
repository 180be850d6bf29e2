"""What an examination found, and what a repair did."""

from __future__ import annotations

from enum import StrEnum

import attrs


class Level(StrEnum):
    """Sound; sound for now, or not to be told; a fault."""

    PASS = "pass"  # noqa: S105, no password
    WARN = "warn"
    FAIL = "fail"


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was looked at. ``mend`` says what to do; None where there is nothing."""

    level: Level
    subject: str
    text: str
    mend: str | None = None


@attrs.frozen(kw_only=True)
class Repair:
    """One thing that was put right."""

    subject: str
    text: str


def passed(subject: str, text: str) -> Finding:
    return Finding(level=Level.PASS, subject=subject, text=text)


def warned(subject: str, text: str, mend: str | None = None) -> Finding:
    return Finding(level=Level.WARN, subject=subject, text=text, mend=mend)


def failed(subject: str, text: str, mend: str | None = None) -> Finding:
    return Finding(level=Level.FAIL, subject=subject, text=text, mend=mend)


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form.

    >>> counted(1, "job"), counted(1200, "job"), counted(0, "process"), counted(2, "entry")
    ('1 job', '1,200 jobs', '0 processes', '2 entries')
    """
    if noun.endswith("y"):
        plural = f"{noun[:-1]}ies"
    else:
        plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
