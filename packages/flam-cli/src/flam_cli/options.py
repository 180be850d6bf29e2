"""The options that several commands share, and what the global ones said."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import attrs

from flam_cli.declaring import Context, Option
from flam_cli.errors import unknown_word
from flam_store.durations import parse_duration
from flam_store.errors import JobNotFound, SpecError
from flam_store.names import NAME_RULE, is_name
from flam_store.state import FINISHED, State

_STATES = tuple(state.value for state in State)

Json: TypeAlias = Annotated[bool, Option("--json", help="Print one JSON document.")]


@attrs.frozen(kw_only=True)
class Call:
    """What stood before the command: ``home`` is a directory's name, or None for the default."""

    home: str | None
    json: bool
    debug: bool


def call_of(context: Context, *, json: bool) -> Call:
    """The global options, with ``--json`` also taken after the command."""
    call: Call = context.obj
    return attrs.evolve(call, json=True) if json and not call.json else call


def states(words: list[str] | None, told: Collection[str] = _STATES) -> tuple[State, ...]:
    """The states that ``--state`` named; a word that is none is refused with those to be told."""
    return tuple(_state(word, told) for word in words or ())


def complete_state(incomplete: str) -> list[str]:
    """The states that a shell may offer."""
    return [state for state in _STATES if state.startswith(incomplete)]


def complete_finished(incomplete: str) -> list[str]:
    """The states of finished jobs that a shell may offer."""
    return [state for state in _STATES if state in FINISHED and state.startswith(incomplete)]


def complete_queue(context: Context, incomplete: str) -> list[str]:
    """The queues that a shell may offer."""
    from flam_cli.completion import complete_queue

    return complete_queue(context, incomplete)


def duration_seconds(option: str, text: str | None) -> float | None:
    """Seconds from ``90`` or ``1h30m``; None stays None."""
    if text is None:
        return None
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise SpecError(str(error), field=option) from None


def instant_since(text: str) -> datetime:
    """The time that ``--since`` names: itself, or so long ago."""
    with suppress(ValueError, OverflowError):
        return datetime.now(UTC) - parse_duration(text)
    with suppress(ValueError, OverflowError):
        named = datetime.fromisoformat(text)
        if named.tzinfo is not None:
            return named.astimezone(UTC)
        raise SpecError(f"{text!r} has no offset; write {text}Z for UTC", field="--since")
    raise SpecError(
        f'{text!r} is no duration such as "2h" and no time such as 2026-01-31T12:00:00Z',
        field="--since",
    )


def job_id(word: str) -> str:
    """The id that was given; JobNotFound if it can be no job's, whatever its bytes are."""
    if not is_name(word):
        raise JobNotFound(word)
    return word


def pairs(option: str, words: list[str] | None) -> dict[str, str]:
    """``K=V`` words as a mapping."""
    found: dict[str, str] = {}
    for word in words or ():
        key, mark, value = word.partition("=")
        if not mark:
            raise SpecError(f"{word!r} must be KEY=VALUE", field=option)
        if not word.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in word):
            raise SpecError(f"the value of {key!a} is no UTF-8", field=option)
        if key in found:
            raise SpecError(f"{key!r} is given twice", field=option)
        found[key] = value
    return found


def queue_names(words: list[str] | None) -> tuple[str, ...] | None:
    """The queues that ``--queue`` named, each once; None for all."""
    return tuple(dict.fromkeys(map(queue_name, words))) if words else None


def queue_name(word: str, *, said_by: str = "--queue") -> str:
    """The queue that an option, or the argument of that name, has named."""
    if not is_name(word):
        raise SpecError(f"{word!r} is no valid name: {NAME_RULE}", field=said_by)
    return word


def _state(word: str, told: Collection[str]) -> State:
    if word not in _STATES:
        known = tuple(state for state in _STATES if state in told)
        raise SpecError(unknown_word("state", word, known), field="--state")
    return State(word)
