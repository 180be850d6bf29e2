"""What an error says on its line, and the exit code that it gives."""

from __future__ import annotations

import sys

from flam_store import exits
from flam_store.errors import (
    AttemptNotFound,
    FlamError,
    JobNotFound,
    QueueNotFound,
    ScheduleNotFound,
    StoreInUse,
)
from flam_store.text import suggest

_HINTS: dict[type[FlamError], str] = {
    JobNotFound: '"queuectl list" shows the ids.',
    AttemptNotFound: '"queuectl show" lists them.',
    QueueNotFound: '"queuectl queue list" shows the names.',
    ScheduleNotFound: '"queuectl schedule list" shows the names.',
    StoreInUse: '"queuectl worker stop" stops them.',
}

HABITS = {
    "add": ("enqueue",),
    "delete": ("cancel", "purge", "remove"),
    "info": ("show",),
    "kill": ("cancel",),
    "ls": ("list",),
    "pause": ("queue pause",),
    "ps": ("list", "top"),
    "push": ("enqueue",),
    "resume": ("queue resume",),
    "rm": ("cancel", "purge", "remove"),
    "start": ("worker start",),
    "stop": ("worker stop",),
    "submit": ("enqueue",),
    "tail": ("logs",),
    "workers": ("worker list",),
}
"""Words of other tools, and the commands here, of any group, that do the like."""

_GLOBAL = ("--home", "--debug", "--version")


class UsageError(FlamError):
    """The words of the command do not fit together."""

    exit_code = exits.WRONG


def exit_code(error: Exception) -> int:
    """The contract's number for this kind of error; 1 for a fault of queuectl itself."""
    if isinstance(error, FlamError):
        return exits.exit_code(error)
    return exits.WRONG if _is_usage(error) else exits.NO


def line(error: Exception) -> str:
    """The error as one sentence or two, not yet made harmless for a terminal."""
    if isinstance(error, FlamError):
        return " ".join([str(error), *_hint(error), *getattr(error, "__notes__", [])])
    if _is_usage(error):
        return " ".join([_usage_line(error), *getattr(error, "__notes__", [])])
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}. --debug shows the traceback."
    return f"{type(error).__name__}: {error}. --debug shows the traceback."


def _hint(error: FlamError) -> list[str]:
    """The command that helps, where there is one: the library knows none."""
    if isinstance(error, AttemptNotFound) and error.attempt is None:
        return []
    return [_HINTS[type(error)]] if type(error) in _HINTS else []


def _is_usage(error: Exception) -> bool:
    """Whether it is a refusal of Typer's, which plain calls do without."""
    typer = sys.modules.get("typer")
    # Typer brings its own copy of click; this is the only way to its classes by a public name.
    return typer is not None and isinstance(error, typer.BadParameter.__mro__[1])


def _usage_line(error: Exception) -> str:
    option = getattr(error, "option_name", None)
    if not hasattr(error, "possibilities") or option is None:
        return str(error.format_message())  # type: ignore[attr-defined]
    if option in _GLOBAL:
        return f"{option} stands before the command: queuectl {option} … COMMAND"
    meant = next(iter(error.possibilities or ()), None)
    return f"No such option: {option}" + (f". Did you mean {meant}?" if meant else "")


def unknown_word(kind: str, word: str, known: tuple[str, ...]) -> str:
    """The refusal of a word that is none of the known ones, with the one that was meant."""
    meant = suggest(word, known)
    hint = f"Did you mean {meant!r}?" if meant else f"There are {', '.join(known)}."
    return f"No such {kind}: {word!r}. {hint}"


def unknown_command(word: str, known: tuple[str, ...]) -> str:
    """The refusal of a word that is no command, with the one that was meant, from habit too."""
    habit = [each for each in HABITS.get(word.casefold(), ()) if each.split()[0] in known]
    if not habit:
        return unknown_word("command", word, known)
    return f"No such command: {word!r}. Did you mean {' or '.join(map(repr, habit))}?"
