"""What the programs say of themselves: commands, arguments and options with their help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Option:
    """An argument or an option: what is typed, such as ``-f, --follow``, and what it means."""

    words: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command with the commands below it. ``usage`` is what follows its name."""

    name: str
    usage: str
    paragraphs: tuple[str, ...]
    options: tuple[Option, ...]
    examples: tuple[str, ...]
    commands: tuple[Command, ...] = ()

    def leaves(self) -> Iterator[Command]:
        """Itself, or all commands below it that have none below them."""
        if not self.commands:
            yield self
        for each in self.commands:
            yield from each.leaves()


def of_typer(command: Any, name: str) -> Command:
    """A program that is a Typer application."""
    context = command.make_context(name, [], resilient_parsing=True)
    return _of_click(command, context)


def _of_click(command: Any, context: Any) -> Command:
    return Command(
        name=context.command_path,
        usage=" ".join(_plain_piece(piece) for piece in command.collect_usage_pieces(context)),
        paragraphs=_paragraphs(command.help or ""),
        options=tuple(_options(command, context)),
        examples=_examples(command.epilog or ""),
        commands=tuple(_below(command, context)),
    )


def _below(command: Any, context: Any) -> Iterator[Command]:
    for name in getattr(command, "list_commands", lambda _: ())(context):
        found = command.get_command(context, name)
        yield _of_click(found, type(context)(found, info_name=name, parent=context))


def _options(command: Any, context: Any) -> Iterator[Option]:
    """All but ``--help``, which every command has."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            words, meaning = record
            yield Option(words=words, meaning=meaning.removesuffix("  [required]"))


def _plain_piece(piece: str) -> str:
    """``{ID}``, which is Typer's way to say that it must be given, is ID."""
    return re.sub(r"^\{(.*)\}$", r"\1", piece)


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n") if part.strip())


def _examples(epilog: str) -> tuple[str, ...]:
    _, _, lines = epilog.partition("xamples:\n")
    return tuple(line.strip() for line in lines.splitlines() if line.strip())


def of_argparse(parser: argparse.ArgumentParser) -> Command:
    """A program that is an argparse parser without commands."""
    actions = [each for each in parser._actions if each.help != argparse.SUPPRESS]  # noqa: SLF001
    return Command(
        name=parser.prog,
        usage=" ".join(_usage_piece(each) for each in actions if each.dest != "help"),
        paragraphs=_paragraphs(parser.description or ""),
        options=tuple(
            Option(words=_typed(each), meaning=_sentence(each.help or "")) for each in actions
        ),
        examples=_examples(parser.epilog or ""),
    )


def _typed(action: argparse.Action) -> str:
    names = ", ".join(sorted(action.option_strings, key=len))
    return f"{names} {_value(action)}".strip()


def _usage_piece(action: argparse.Action) -> str:
    more = "..." if isinstance(action, argparse._AppendAction) else ""  # noqa: SLF001
    return f"[{action.option_strings[-1]} {_value(action)}".strip() + f"]{more}"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    choices: Sequence[str] = list(action.choices or ())
    value = action.metavar or "|".join(choices)
    return f"[{value}]" if action.nargs == "?" else str(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
