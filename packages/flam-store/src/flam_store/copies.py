"""A copy of the queue: made, or put back."""

from __future__ import annotations

from collections.abc import Callable

import attrs

Progress = Callable[[int, int], None]
"""Told now and then how many pages are copied, and of how many."""


@attrs.frozen(kw_only=True)
class Backup:
    """A copy that was made and checked: how many jobs it has, and its size in bytes."""

    jobs: int
    size_bytes: int


@attrs.frozen(kw_only=True)
class Restored:
    """A copy that was put back: its jobs, and how many of them are recovered by the next pool.

    ``kept`` is the folder with the database that it replaced; None when there was none.
    """

    jobs: int
    processing: int
    kept: str | None
