from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
from test_reference import commands_in, understood

from documents import (
    DRAWINGS,
    KINDS,
    READ_ONLY_KINDS,
    REPOSITORY,
    blocks,
    documents,
    having,
    picture_as_console,
)
from flam_store.config import KEYS
from flam_store.job import JobSpec
from flam_store.state import State
from flam_worker.__main__ import parser

PROGRAM = re.compile(r"(?:\S*/)?(queuectl|flam-worker)(?:-\S+\.pyz)?")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_every_markdown_file_of_the_repository_is_a_document() -> None:
    found = {path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*.md")}
    ours = {path.as_posix() for path in found if not any(map(is_of_a_tool, path.parts))}
    assert ours == set(documents())


def is_of_a_tool(part: str) -> bool:
    """Whether a folder is what an environment or a check has left."""
    return (part.startswith(".") and part != ".github") or part in {"build", "dist", "venv"}


@pytest.mark.parametrize("name", documents())
def test_every_block_is_of_a_kind_that_some_test_checks(name: str) -> None:
    kinds = {each.kind for each in blocks(name)} - set(KINDS)
    assert name in DRAWINGS or kinds == set()


@pytest.mark.parametrize("name", documents())
def test_a_text_is_what_a_program_prints(name: str) -> None:
    kinds = [each.kind for each in blocks(name) if each.kind in {"python", "text"}]
    assert all(
        before == "python"
        for before, kind in zip(["", *kinds], [*kinds, ""], strict=True)
        if kind == "text"
    )


@pytest.mark.parametrize("name", having(*READ_ONLY_KINDS))
def test_the_commands_that_cannot_be_run_here_are_understood(name: str) -> None:
    understood_in(name)


@pytest.mark.parametrize(
    ("name", "count"), [("packages/flam-worker/README.md", 7), ("docs/backup.md", 2)]
)
def test_the_commands_are_found_in_a_shell_a_unit_a_crontab_and_a_dockerfile(
    name: str, count: int
) -> None:
    assert understood_in(name) == count


def understood_in(name: str) -> int:
    """How many commands of Flam there are in blocks that cannot be run, all of them right."""
    return sum(
        check(words)
        for block in blocks(name)
        if block.kind in READ_ONLY_KINDS
        for line in lines_of(block.text)
        for words in commands_in(line)
    )


def lines_of(text: str) -> list[str]:
    """Lines of a shell, of a unit, of a crontab, of a Dockerfile, without what is their own."""
    plain = re.sub(r"^(ExecStart=|CMD |HEALTHCHECK CMD |RUN |[\d*]+ [\d*]+ \S+ \S+ \S+ )", "",
                   text, flags=re.MULTILINE)  # fmt: skip
    plain = re.sub(r'^\[("flam-worker".*)\]$', lambda each: each[1].replace(",", ""), plain,
                   flags=re.MULTILINE)  # fmt: skip
    return [line for line in plain.splitlines() if line.strip()]


def check(words: list[str]) -> bool:
    """Let a program of Flam read its words; whether there is one among them.

    Behind a program that installs or releases, its name is that of a package.
    """
    for place, word in enumerate(words):
        if word in {"install", "enable"} or word.endswith("release.py"):
            return False
        if match := PROGRAM.fullmatch(word):
            read = parser().parse_args if match[1] == "flam-worker" else understood
            read(words[place + 1 :])
            return True
    return False


@pytest.mark.parametrize("name", documents())
def test_every_link_leads_to_a_file(name: str) -> None:
    folder = (REPOSITORY / name).parent
    targets = LINK.findall((REPOSITORY / name).read_text("utf-8"))
    assert [each for each in targets if not (folder / each).exists()] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docs/jobs.md", {*attrs.fields_dict(JobSpec), *(state.value for state in State)}),
        ("docs/configuration.md", set(KEYS)),
        (
            "packages/flam-worker/README.md",
            {word for each in parser()._actions for word in each.option_strings}
            - {"-h", "--help", "--version", "--ready-fd"},
        ),
    ],
)
def test_a_page_names_all_that_there_is(name: str, words: set[str]) -> None:
    text = (REPOSITORY / name).read_text("utf-8")
    assert [word for word in sorted(words) if f"`{word}" not in text] == []


def test_the_picture_is_read_as_it_was_drawn() -> None:
    lines = picture_as_console(REPOSITORY / "docs/tour.svg").splitlines()
    assert lines[0].startswith("$ queuectl enqueue ")
    assert any(re.match(r"ID +STATE +QUEUE", line) for line in lines)


def test_the_picture_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/tour.svg").read_text("utf-8")
    assert not re.search(r"href|<script|url\(|@import", text)
    assert "<title" in text
    assert "<desc" in text
    assert len(text) < 10_000
