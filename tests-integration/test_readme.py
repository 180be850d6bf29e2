"""The documents, typed as they stand there: what they show is what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from conftest import PATIENCE_SECONDS, SCRIPTS, Flam

from documents import blocks, having, picture_as_console

ROOT = Path(__file__).parents[1]
PICTURE = "docs/tour.svg"
TOURS = [*having("console"), PICTURE]
# The guides of the store are run by its own tests.
PROGRAMS = [name for name in having("python") if not name.startswith("packages/flam-store/")]
LOOKING = re.compile(
    r"queuectl (--json |--home \S+ )?(status|list|show|logs|top|stats|why|worker list|dlq list)"
)

VARYING = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(Z|[+-]\d{4})", "<time>"),
    (r"\b(in )?\d+(\.\d+)?(ms|s|m|h|d)( \d+(ms|s|m|h))?\b(?! completed)( ago)?", "<duration>"),
    (r"\d+(\.\d+)?%", "<percent>"),
    (r"\d+(\.\d+)? MiB", "<size>"),
    (r"\b\d{2,}\b(?! B)", "<number>"),
    (r"[ \t]+", " "),
)


@attrs.frozen
class Step:
    """One command of the tour, and what is shown below it."""

    command: str
    shown: str


def steps(document: str) -> Iterator[Step]:
    for block in consoles(document):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield Step(command, shown)


def consoles(document: str) -> list[str]:
    if document == PICTURE:
        return [picture_as_console(ROOT / document)]
    return [each.text for each in blocks(document) if each.kind == "console"]


def normal(text: str) -> str:
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def matches(shown: str, seen: str) -> bool:
    pattern = re.escape(normal(shown)).replace("…", ".*")
    return re.fullmatch(pattern, normal(seen)) is not None


@attrs.frozen
class Typist:
    """Types commands in a project's folder, and reads all that they print."""

    folder: Path
    environ: dict[str, str]

    def type(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            check=False,
            cwd=self.folder,
            env=self.environ,
            text=True,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout

    def follow(self, step: Step) -> None:
        """Type a command. One that only looks is typed again until it shows what it should."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        seen = self.type(step.command)
        while not matches(step.shown, seen):
            told = f"$ {step.command}\n{normal(seen)}\n--- is shown as\n{normal(step.shown)}"
            assert LOOKING.match(step.command), told
            assert time.monotonic() < deadline, told
            seen = self.type(step.command)


@pytest.fixture
def typist(flam: Flam, tmp_path: Path) -> Iterator[Typist]:
    """Somebody in an empty folder; no worker is left there."""
    place = tmp_path / "project"
    place.mkdir()
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    typist = Typist(place, {**flam.environ, "PATH": path, "HOME": str(tmp_path)})
    yield typist
    typist.type("queuectl worker stop --now")


@pytest.mark.parametrize("document", TOURS)
def test_a_tour_shows_what_comes_out(typist: Typist, document: str) -> None:
    for step in steps(document):
        typist.follow(step)


@pytest.mark.parametrize("document", PROGRAMS)
def test_a_program_in_a_document_prints_what_is_shown(typist: Typist, document: str) -> None:
    found = list(blocks(document))
    program = "\n".join(each.text for each in found if each.kind == "python")
    (typist.folder / "program.py").write_text(program)
    shown = "".join(each.text for each in found if each.kind == "text")
    assert typist.type(f"{sys.executable} program.py") == shown


def test_every_command_is_shown_in_a_tour(flam: Flam) -> None:
    listed = flam.ok("--help").partition("Commands:")[2].partition("Examples:")[0].splitlines()
    commands = {words[0] for line in listed if line.startswith("  ") and (words := line.split())}
    typed = {
        word for document in TOURS for step in steps(document) for word in step.command.split()
    }
    assert commands >= {"enqueue", "worker", "status"}
    assert not commands - typed


def test_the_readme_names_the_two_commands_that_set_up() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    run = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]
    assert f"```sh\n{run}\n```" in text


def test_the_first_command_of_the_readme_runs_a_job(typist: Typist) -> None:
    first = next(each.text for each in blocks("README.md") if each.kind == "sh")
    install, *used = first.split(" && .venv/bin/queuectl ")
    assert install.endswith(".venv/bin/pip install ./packages/*")
    printed = typist.type(" && ".join(f"queuectl {words}" for words in used) + " 2>/dev/null")
    assert printed.splitlines()[-1] == "Hello from Flam"
