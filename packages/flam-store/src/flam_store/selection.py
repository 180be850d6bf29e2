"""Many jobs at once: which of them, and what was done to a stretch of them."""

from __future__ import annotations

import attrs

from flam_store.job import JobFilter


@attrs.frozen(kw_only=True)
class Selection:
    """The jobs that match ``which`` and whose ``seq`` is smaller than ``below``.

    ``below`` is one more than the highest number that was given when somebody chose, so that
    jobs that come later are not meant; then it is where the next stretch begins.
    """

    which: JobFilter
    below: int


@attrs.frozen(kw_only=True)
class Sweep:
    """What became of a stretch of a selection, the newest jobs first.

    ``done`` jobs are in their new state. ``kept`` ones were left, because an unfinished job
    holds their unique key. ``running`` are the ids of those whose worker was asked to end
    them. ``rest`` is what is left to do, None when that is nothing.
    """

    done: int
    kept: int = 0
    running: tuple[str, ...] = ()
    rest: Selection | None = None
