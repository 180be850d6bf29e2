"""What a shell may offer from the store: quiet on any trouble, and nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flam_cli.declaring import Context

if TYPE_CHECKING:
    from flam_store.store import StoreReader

_RECENT = 200


def complete_id(context: Context, incomplete: str) -> list[str]:
    """Ids of recent jobs."""
    return _offered(context, incomplete, _ids)


def complete_dead_letter(context: Context, incomplete: str) -> list[str]:
    """Ids of recent dead letters."""
    return _offered(context, incomplete, _dead_letters)


def complete_schedule(context: Context, incomplete: str) -> list[str]:
    """Names of schedules."""
    return _offered(context, incomplete, _schedules)


def complete_queue(context: Context, incomplete: str) -> list[str]:
    """Names of queues."""
    return _offered(context, incomplete, _queues)


def complete_key(incomplete: str) -> list[str]:
    """Keys of the configuration, in the spelling that was begun."""
    from flam_store.config import KEYS

    keys = (key.replace("_", "-") for key in KEYS) if "-" in incomplete else KEYS
    return [key for key in keys if key.startswith(incomplete)]


def _ids(store: StoreReader) -> Iterable[str]:
    return (job.id for job in store.jobs(limit=_RECENT).jobs)


def _dead_letters(store: StoreReader) -> Iterable[str]:
    from flam_store.job import JobFilter
    from flam_store.state import State

    dead = JobFilter(states=(State.DEAD,))
    return (job.id for job in store.jobs(dead, limit=_RECENT).jobs)


def _schedules(store: StoreReader) -> Iterable[str]:
    return (schedule.name for schedule in store.schedules())


def _queues(store: StoreReader) -> Iterable[str]:
    return (queue.name for queue in store.overview().queues)


def _offered(
    context: Context, incomplete: str, words: Callable[[StoreReader], Iterable[str]]
) -> list[str]:
    with suppress(Exception):
        from flam_cli.options import Call
        from flam_cli.place import existing

        asked: Any = context
        home = asked.find_root().params.get("home")
        with existing(Call(home=home, json=False, debug=False)).store() as store:
            return [word for word in words(store) if word.startswith(incomplete)]
    return []
