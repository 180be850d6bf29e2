from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reference
from flam_cli.root import root
from flam_store import exits
from flam_worker.__main__ import parser
from pages import told
from pages.roff import page

SECTIONS = [
    *("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT"),
    *("FILES", "EXAMPLES", "SEE ALSO"),
]
QUEUECTL, FLAM_WORKER = reference.programs()
SOURCES = sorted(reference.REPOSITORY.glob("packages/*/src/**/*.py"))
# Known only to tests, which make a process fail at a named point.
OF_TESTS = {"FLAM_FAULTS", "FLAM_FAULTS_TOLD"}


def test_what_is_made_from_the_programs_is_as_they_say() -> None:
    """If this fails, run tools/reference.py and commit what it writes."""
    made = reference.made(reference.REPOSITORY)
    stale = [
        name for name, text in made.items() if (reference.REPOSITORY / name).read_text() != text
    ]
    assert stale == []


def test_nothing_else_is_shared_with_the_system() -> None:
    shared = (
        path.relative_to(reference.REPOSITORY).as_posix()
        for path in reference.REPOSITORY.glob("packages/*/share/**/*")
        if path.is_file()
    )
    assert set(shared) == set(reference.made(reference.REPOSITORY)) - {"docs/commands.md"}


def test_a_check_names_what_is_stale_and_a_run_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*reference.made(reference.REPOSITORY), *map(str, _versions())]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(reference.REPOSITORY / name, tmp_path / name)
    (tmp_path / "docs/commands.md").write_text("old")
    assert reference.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.startswith("docs/commands.md: not what the programs say")
    assert (tmp_path / "docs/commands.md").read_text() == "old"
    assert reference.main([], tmp_path) == 0
    assert reference.main(["--check"], tmp_path) == 0


def _versions() -> Iterator[Path]:
    for name in ("flam-cli", "flam-worker"):
        folder = Path("packages") / name
        yield folder / "CHANGELOG.md"
        yield folder / "src" / name.replace("-", "_") / "__init__.py"


@pytest.mark.parametrize(
    ("program", "words"), [(QUEUECTL, told.QUEUECTL), (FLAM_WORKER, told.FLAM_WORKER)]
)
def test_a_manual_page_has_every_section_in_order(program: Any, words: told.Told) -> None:
    text = page(program, words, source="flam 1.0", date="2026-01-31")
    found = re.findall(r"^\.SH (.+)$", text, re.MULTILINE)
    assert found == [each for each in SECTIONS if program.commands or each != "COMMANDS"]
    assert '1 "2026-01-31" "flam 1.0" "Flam"' in text
    assert text.isascii()


def test_every_option_has_a_word_for_what_it_takes() -> None:
    """Otherwise Typer writes the type's name, each version in its own way."""
    words = [each.words for leaf in QUEUECTL.leaves() for each in leaf.options]
    assert [each for each in words if "<" in each] == []


def test_every_exit_code_is_told() -> None:
    codes = {code for name, code in vars(exits).items() if name.isupper()}
    assert set(told.QUEUECTL.exits) == codes
    assert set(told.FLAM_WORKER.exits) < codes


def test_every_variable_that_flam_reads_or_sets_is_told() -> None:
    read = re.compile(r'["\'](FLAM_[A-Z_]+|NO_COLOR|SHIV_ROOT|NOTIFY_SOCKET|WATCHDOG_USEC)["\']')
    named = {name for path in SOURCES for name in read.findall(path.read_text())} - OF_TESTS
    pages = Path(reference.REPOSITORY / "docs/commands.md").read_text()
    assert named >= {"FLAM_HOME", "FLAM_STORE_URL", "FLAM_JOB_ID"}
    assert [name for name in sorted(named) if name not in pages] == []


def examples() -> Iterator[str]:
    for program in (QUEUECTL, FLAM_WORKER):
        yield from program.examples
        for leaf in program.leaves():
            yield from leaf.examples


@pytest.mark.parametrize("line", sorted(set(examples())))
def test_an_example_of_a_help_is_understood(line: str) -> None:
    for words in commands_in(line):
        if words[0] == "flam-worker":
            parser().parse_args(words[1:])
        elif words[0] == "queuectl":
            understood(words[1:])


def commands_in(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell, without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    rest = iter(lexer)
    for word in rest:
        if word in {"|", ";", "&&", "||"}:
            yield words
            words = []
        elif word in {"<", ">", ">>"}:
            next(rest)
        else:
            words.append(word)
    yield words


def understood(words: list[str]) -> None:
    """Read words as queuectl does, up to the command that would be called."""
    command, name, context = root(), "queuectl", None
    while True:
        context = command.make_context(name, words, parent=context)
        if not hasattr(command, "list_commands"):
            return
        words = [*context._protected_args, *context.args]
        name, command, words = command.resolve_command(context, words)
