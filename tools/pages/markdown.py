"""The reference of all commands, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pages.declared import Command, Option
from pages.told import Told

_HEAD = """\
# Commands

Every command with its arguments, options and examples, as `--help` has them. `tools/reference.py`
makes this page from the programs, and a check fails when it is not what they say.
"""


def reference(programs: Iterable[tuple[Command, Told]]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for program, told in programs:
        parts += ["\n", *_program(program, told)]
    return "".join(parts)


def _program(program: Command, told: Told) -> Iterator[str]:
    yield f"## {program.name}\n\n"
    yield from _command(program)
    yield from (f"{_text(note)}\n\n" for note in told.notes)
    if program.commands:
        yield f"{_index(program)}\n\n"
    for leaf in program.leaves():
        if leaf is not program:
            yield f"### {leaf.name}\n\n"
            yield from _command(leaf)
    yield f"### Exit codes of {program.name}\n\n"
    yield _table("code", "meaning", ((str(code), text) for code, text in told.exits.items()))
    yield f"\n### Environment of {program.name}\n\n"
    yield _table("variable", "meaning", told.environment.items())
    yield f"\n### Files of {program.name}\n\n"
    yield _table("file", "meaning", told.files.items())


def _index(program: Command) -> str:
    return " · ".join(
        f"[{leaf.name.removeprefix(program.name).strip()}](#{leaf.name.replace(' ', '-')})"
        for leaf in program.leaves()
    )


def _command(command: Command) -> Iterator[str]:
    yield f"`{command.name} {command.usage}`\n\n"
    yield from (f"{_text(paragraph)}\n\n" for paragraph in command.paragraphs)
    if command.options:
        yield f"{_options(command.options)}\n"
    if command.examples:
        yield "```sh\n" + "\n".join(command.examples) + "\n```\n\n"


def _options(options: Iterable[Option]) -> str:
    return _table("option", "meaning", ((each.words, each.meaning) for each in options))


def _table(first: str, second: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| `{_cell(name)}` | {_text(meaning)} |\n" for name, meaning in rows]
    return f"| {first} | {second} |\n| --- | --- |\n" + "".join(lines)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def _text(words: str) -> str:
    """Plain words as Markdown shows them unchanged."""
    return re.sub(r"([\\`*<$\[\]|]|(?<!\w)_|_(?!\w))", r"\\\1", words)
