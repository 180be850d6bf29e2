"""The short way in: plain calls of the commands of hot loops, read without Typer.

Typer is half of the time that a command takes, and most calls in a script's loop need nothing of
it. A plain call is made of declared options by their full names, each with its value as the next
word and at most once unless it takes several; of arguments; and of a job's command behind ``--``.
It ends in the same function, with the same values, as Typer would call it with. All else is
Typer's to read, to refuse and to explain: this module has no message of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flam_cli.declaring import Argument, Command, Option, split_off_command
from flam_cli.global_options import queuectl

if TYPE_CHECKING:
    from flam_cli.options import Call

COMMANDS = ("enqueue", "list", "show", "status", "wait")

_TEXT = (str, str | None)
_NUMBER = (int, int | None)
_SEVERAL = (list[str], list[str] | None)

KNOWN_SETTINGS = {"autocompletion", "help", "max", "metavar", "min", "show_default"}
"""Typer's settings that change nothing about a value, save for the bounds of a number."""

_MOST_DIGITS = 18


class PlainCall:
    """A command's function, and what it is called with."""

    def __init__(self, command: Command, values: dict[str, Any], context: _Context) -> None:
        self._command = command
        self._values = values
        self._context = context

    @property
    def debug(self) -> bool:
        call: Call = self._context.obj
        return call.debug

    def run(self) -> int | None:
        return self._command.function(self._context, **self._values)


def understood(words: list[str]) -> PlainCall | None:
    """The call that the words are, if it is a plain one of a command of hot loops."""
    try:
        return _read(iter(words))
    except _NotPlain:
        return None


class _NotPlain(Exception):
    """What is left to Typer."""


class _Context:
    """In the place of Typer's."""

    def __init__(self) -> None:
        self.obj: Any = None
        self.meta: dict[str, Any] = {}


def _read(words: Iterator[str]) -> PlainCall:
    before = _Values(queuectl)
    name = next(before.read_options(words), None)
    if name not in COMMANDS:
        raise _NotPlain
    context = _Context()
    queuectl(context, **before.given)
    (command,) = import_module(f"flam_cli.commands.{name}").app.commands
    following = list(words)
    if command.takes_command:
        following = split_off_command(context, following)
    values = _Values(command.function)
    values.read_arguments(values.read_options(iter(following)))
    return PlainCall(command, values.given, context)


class _Values:
    """Values of the parameters of a function, as words give them."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.given: dict[str, Any] = {}
        self._options: dict[str, tuple[str, Any, dict[str, Any]]] = {}
        self._arguments: list[inspect.Parameter] = []
        for each in inspect.signature(function, eval_str=True).parameters.values():
            match getattr(each.annotation, "__metadata__", None):
                case (Option() as option,):
                    for word in option.names or (f"--{each.name.replace('_', '-')}",):
                        kind = each.annotation.__origin__
                        self._options[word] = (each.name, kind, option.settings)
                case (Argument(),):
                    self._arguments.append(each)

    def read_options(self, words: Iterator[str]) -> Iterator[str]:
        """Take the options; the words between them are given out, one by one."""
        for word in words:
            if len(word) > 1 and word.startswith("-"):
                self._read_option(word, words)
            else:
                yield word

    def read_arguments(self, words: Iterator[str]) -> None:
        for each in self._arguments:
            found = list(words) if each.annotation.__origin__ in _SEVERAL else next(words, None)
            if found:
                self.given[each.name] = found
            elif found is not None or each.default is each.empty:
                raise _NotPlain
        if next(words, None) is not None:
            raise _NotPlain

    def _read_option(self, word: str, words: Iterator[str]) -> None:
        name, kind, settings = self._options.get(word, (word, None, {}))
        if kind is None or not KNOWN_SETTINGS.issuperset(settings):
            raise _NotPlain
        if kind is bool:
            self.given[name] = True
            return
        value = next(words, None)
        if value is None or (name in self.given and kind not in _SEVERAL):
            raise _NotPlain
        if kind in _SEVERAL:
            self.given.setdefault(name, []).append(value)
        elif kind in _NUMBER:
            self.given[name] = _number(value, settings)
        elif kind in _TEXT:
            self.given[name] = value
        else:
            raise _NotPlain


def _number(text: str, settings: dict[str, Any]) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        raise _NotPlain
    number = int(text)
    if not settings.get("min", number) <= number <= settings.get("max", number):
        raise _NotPlain
    return number
