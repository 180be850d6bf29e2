"""The jobs that a job waits for, and those that wait for it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from flam_store.state import FINISHED, State

MOST_COUNTED = 10_000
"""Relatives and jobs ahead are counted up to here, and no further."""


@attrs.frozen(kw_only=True)
class Relative:
    """A parent or a child. ``state`` None: a parent that was deleted before it was completed."""

    id: str
    state: State | None

    def __str__(self) -> str:
        return f"{self.id} ({'deleted' if self.state is None else self.state})"


@attrs.frozen(kw_only=True)
class Relatives:
    """The parents and children of a job, and how many there are beyond those that are named.

    The parents in whose way the job waits come first; a deleted parent that was completed is
    none any more. ``more_parents`` and ``more_children`` are counted up to ``MOST_COUNTED``.
    """

    parents: tuple[Relative, ...] = ()
    children: tuple[Relative, ...] = ()
    more_parents: int = 0
    more_children: int = 0


def waited_for(parents: Iterable[Relative], after_policy: str) -> tuple[Relative, ...]:
    """The parents because of which a child with this policy is blocked now."""
    if after_policy == "any":
        return tuple(each for each in parents if each.state not in {None, *FINISHED})
    return tuple(each for each in parents if each.state is not State.COMPLETED)


def is_hopeless(parent: Relative, after_policy: str) -> bool:
    """Whether the child waits for ever, unless somebody does something."""
    return after_policy != "any" and parent.state in {None, State.DEAD, State.CANCELLED}


def way_out(holding: Iterable[Relative], after_policy: str) -> str | None:
    """What to do for a blocked job that these hold up; None when time will do.

    >>> way_out([Relative(id="a", state=State.DEAD)], "all")
    'retry a, or cancel this job'
    >>> way_out([Relative(id="a", state=None)], "all")
    'cancel this job: a was deleted and can never be completed'
    """
    hopeless = [each for each in holding if is_hopeless(each, after_policy)]
    if gone := [each.id for each in hopeless if each.state is None]:
        return f"cancel this job: {gone[0]} was deleted and can never be completed"
    if not hopeless:
        return None
    return f"retry {', '.join(each.id for each in hopeless)}, or cancel this job"


def more(count: int) -> str | None:
    """How many are not named, in words; None for none.

    >>> more(37), more(MOST_COUNTED), more(0)
    ('and 37 more', 'and at least 10,000 more', None)
    """
    if not count:
        return None
    return f"and {'at least ' if count >= MOST_COUNTED else ''}{count:,} more"
