"""A manual page, in the macros of man(7).

Of the tools that make such pages, click-man finds no command in a Typer application, which has a
click of its own, and argparse-manpage runs the lines of examples together; neither knows FILES.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from pages.declared import Command, Option
from pages.told import Told


def page(program: Command, told: Told, *, source: str, date: str) -> str:
    """The page of section 1; ``source`` is a package with its version, ``date`` its release's."""
    return "".join(f"{line}\n" for line in _page(program, told, source=source, date=date))


def _page(program: Command, told: Told, *, source: str, date: str) -> Iterator[str]:
    yield '.\\" Made by tools/reference.py from the program; do not edit.'
    yield f'.TH {program.name.upper()} 1 "{date}" "{source}" "Flam"'
    yield from (".SH NAME", f"{_text(program.name)} \\- {_text(told.one_line)}")
    yield from (".SH SYNOPSIS", f".B {_text(program.name)}", *_synopsis(program.usage))
    yield ".SH DESCRIPTION"
    yield from _paragraphs((*program.paragraphs, *told.notes))
    if program.commands:
        yield ".SH COMMANDS"
        for leaf in program.leaves():
            yield from _command(leaf)
    yield ".SH OPTIONS"
    yield from _options(program.options)
    yield ".SH EXIT STATUS"
    yield from _rows((str(code), text) for code, text in told.exits.items())
    yield ".SH ENVIRONMENT"
    yield from _rows(told.environment.items())
    yield ".SH FILES"
    yield from _rows(told.files.items())
    yield from (".SH EXAMPLES", *_examples(program.examples))
    yield ".SH SEE ALSO"
    yield ",\n".join(f".BR {_text(name)} {number}" for name, number in map(_split, told.near))


def _command(command: Command) -> Iterator[str]:
    yield f'.SS "{_quoted(command.name)}"'
    yield from (f"\\fB{_text(command.name)}\\fR", *_synopsis(command.usage))
    yield from (line for each in command.paragraphs for line in (".PP", *_filled(each)))
    yield from _options(command.options)
    if command.examples:
        yield from (".PP", "Examples:", ".PP", *_examples(command.examples))


def _options(options: Iterable[Option]) -> Iterator[str]:
    for each in options:
        yield from (".TP", _typed(each.words), *_filled(each.meaning))


def _typed(words: str) -> str:
    """Bold is what is typed as it stands, slanted what stands for something else."""
    return re.sub(r"[^\s,]+", lambda word: _styled(word[0]), words)


def _styled(word: str) -> str:
    return f"\\f{'B' if word.startswith('-') else 'I'}{_text(word)}\\fR"


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in rows:
        yield from (".TP", f"\\fB{_text(name)}\\fR", *_filled(meaning))


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield from (".PP", *_filled(text)) if number else _filled(text)


def _examples(lines: Iterable[str]) -> Iterator[str]:
    yield from (".RS 4", ".nf", *map(_text, lines), ".fi", ".RE")


def _synopsis(usage: str) -> Iterator[str]:
    for line in textwrap.wrap(usage, 50, break_long_words=False, break_on_hyphens=False):
        yield re.sub(r"--?[a-z][a-z-]*", lambda word: f"\\fB{word[0]}\\fR", line).replace(
            "-", "\\-"
        )


def _split(name: str) -> tuple[str, str]:
    title, number = re.fullmatch(r"(.+)(\(\d\))", name).groups()  # type: ignore[union-attr]
    return title, number


def _quoted(text: str) -> str:
    return _text(text).replace('"', '""')


def _filled(text: str) -> Iterator[str]:
    """Words in lines that an editor shows whole; the page has its own."""
    lines = textwrap.wrap(text, 70, break_long_words=False, break_on_hyphens=False)
    yield from map(_text, lines)


_SIGNS = str.maketrans(
    {"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga", "…": "..."}
)


def _text(text: str) -> str:
    """Words as roff prints them unchanged, with signs that can be copied."""
    plain = text.translate(_SIGNS)
    return f"\\&{plain}" if plain.startswith(".") else plain
