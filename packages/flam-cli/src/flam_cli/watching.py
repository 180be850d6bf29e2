"""The store looked at again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flam_cli.options import Call
from flam_cli.place import existing

if TYPE_CHECKING:
    from flam_store.store import StoreReader


def watch_store(
    call: Call, lines: Callable[[StoreReader], list[str]], *, every_seconds: float
) -> None:
    """Draw lines on the terminal until ``q``. Each frame opens the store anew: it may be new."""
    from flam_cli.render.screen import watch

    def frame() -> list[str]:
        with existing(call).store() as store:
            return lines(store)

    watch(frame, every_seconds=every_seconds)
