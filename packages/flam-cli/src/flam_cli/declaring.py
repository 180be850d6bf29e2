"""What commands declare of themselves: their functions, options and arguments.

Nothing here asks for Typer, whose import would be a third of a command's time, nor for attrs, which
would be another of that of ``--help``. ``building`` makes Typer's commands of this, and ``plain``
reads plain calls of the commands of hot loops by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Function = TypeVar("Function", bound=Callable[..., int | None])

_COMMAND = "flam_cli.command"


class Option:
    """An option, as part of an ``Annotated`` type: its names and Typer's settings.

    Without a name it has that of the parameter.
    """

    def __init__(self, *names: str, **settings: Any) -> None:
        self.names = names
        self.settings = settings


class Argument:
    """An argument, as part of an ``Annotated`` type: Typer's settings."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


class Context(Protocol):
    """What a command is told of its call: ``obj`` is what the global options said."""

    obj: Any

    @property
    def meta(self) -> dict[str, Any]:
        """Where the parts of a command's reading leave what they found for each other."""


class Command:
    """A function that is a command, and returns its exit code (None: 0).

    ``name`` None: the function's. ``takes_command`` are the pieces of its usage, for one where a
    job's command follows ``--``.
    """

    def __init__(
        self,
        function: Callable[..., int | None],
        name: str | None,
        takes_command: tuple[str, ...],
        settings: dict[str, Any],
    ) -> None:
        self.function = function
        self.name = name
        self.takes_command = takes_command
        self.settings = settings


class App:
    """The commands of a module, and Typer's settings for the group that they are."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.commands: list[Command] = []

    def command(
        self, name: str | None = None, *, takes_command: tuple[str, ...] = (), **settings: Any
    ) -> Callable[[Function], Function]:
        """Declare the function that follows as a command; ``settings`` are Typer's."""

        def declare(function: Function) -> Function:
            self.commands.append(Command(function, name, takes_command, settings))
            return function

        return declare


def new_app(**settings: Any) -> App:
    """The commands of a module: one, or a group of several."""
    return App(settings)


def examples(*words: str) -> str:
    """The end of a command's help: lines to copy, which are not wrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in words)


def split_off_command(context: Context, words: list[str]) -> list[str]:
    """Keep what follows the first ``--``, also a second one, for ``command_of``; give the rest."""
    if "--" not in words:
        return words
    mark = words.index("--")
    context.meta[_COMMAND] = tuple(words[mark + 1 :])
    return words[:mark]


def command_of(context: Context) -> tuple[str, ...] | None:
    """The job's command, word for word: what followed the ``--``; None if there was none."""
    command: tuple[str, ...] | None = context.meta.get(_COMMAND)
    return command
