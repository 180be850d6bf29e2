"""What an error says on its line, and the exit code that it gives."""

from __future__ import annotations

import sys

from flam_store import exits
from flam_store.errors import FlamError
from flam_store.text import suggest

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
        return " ".join([str(error), *getattr(error, "__notes__", [])])
    if _is_usage(error):
        return " ".join([_usage_line(error), *getattr(error, "__notes__", [])])
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}. --debug shows the traceback."
    return f"{type(error).__name__}: {error}. --debug shows the traceback."


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
