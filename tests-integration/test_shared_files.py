"""What the wheels install below share: manual pages that man finds, completion that shells use."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from conftest import SCRIPTS, Flam, until

SHARE = Path(sys.prefix) / "share"
BASH = SHARE / "bash-completion" / "completions" / "queuectl"
ZSH = SHARE / "zsh" / "site-functions"

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], f". {BASH}"),
    "zsh": (["-f", "-i"], f"fpath=({ZSH} $fpath); autoload -Uz compinit; compinit -u -D"),
}

# A shell with job control wants the terminal to be that of its session.
TAKE_THE_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@attrs.frozen
class Terminal:
    """A program at a terminal; ``seen`` is what it has written so far."""

    fd: int
    seen: bytearray

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def shows(self, text: str) -> bool:
        """Whether it has by now written a text."""
        if select.select([self.fd], [], [], 0)[0]:
            self.seen.extend(os.read(self.fd, 65_536))
        return text.encode() in self.seen


@contextmanager
def at_a_terminal(words: list[str], environ: dict[str, str], folder: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_THE_TERMINAL, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environ,
        cwd=folder,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, bytearray())
        finally:
            process.kill()
            os.close(ours)


def environment(flam: Flam) -> dict[str, str]:
    """That of somebody whose shell finds the installed programs, and what they share."""
    return {
        **flam.environ,
        "FLAM_HOME": str(flam.home),
        "HOME": str(flam.home.parent),
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
        "PS1": "$ ",
        "TERM": "xterm",
        "XDG_DATA_DIRS": f"{SHARE}:/usr/share",
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_a_command_and_the_id_of_a_job(
    flam: Flam, tmp_path: Path, shell: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    flam.ok("enqueue", "--id", "thumb-17", "--", "true")
    options, setup = SHELLS[shell]
    with at_a_terminal([program, *options], environment(flam), tmp_path) as terminal:
        terminal.type(f"{setup}; echo re''ady\n")
        until(lambda: terminal.shows("ready"), "the shell is there")
        terminal.type("queuectl sho\t")
        until(lambda: terminal.shows("show"), "the command is completed")
        terminal.type("thu\t")
        until(lambda: terminal.shows("thumb-17"), "the id is completed")
        terminal.type("\n")
        until(lambda: terminal.shows("Run by:"), "the job is shown")


def test_fish_finds_its_completions_by_itself(flam: Flam) -> None:
    # Not at a terminal: there fish goes on reading manual pages when its test is over.
    program = shutil.which("fish")
    if program is None:
        pytest.skip("no fish here")
    flam.ok("enqueue", "--id", "thumb-17", "--", "true")
    words = [program, "-c", "complete -C 'queuectl sho'; complete -C 'queuectl show thu'"]
    done = subprocess.run(words, env=environment(flam), check=True, capture_output=True, text=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["show", "thumb-17"]


def man(*words: str) -> str:
    """What man answers, with the installed programs on PATH and nothing else said."""
    environ = {name: text for name, text in os.environ.items() if name != "MANPATH"}
    environ["PATH"] = f"{SCRIPTS}:{environ['PATH']}"
    try:
        done = subprocess.run(["man", *words], env=environ, check=False, capture_output=True)
    except FileNotFoundError:
        return ""
    return done.stdout.decode().strip()


@pytest.mark.parametrize("program", ["queuectl", "flam-worker"])
def test_man_finds_the_page_of_what_is_on_the_path(program: str) -> None:
    if not man("-w").startswith("/"):
        pytest.skip("no man here, or one that only says that there are no pages")
    assert man("-w", program) == str(SHARE / "man" / "man1" / f"{program}.1")


@pytest.mark.parametrize("program", ["queuectl", "flam-worker"])
def test_a_manual_page_is_clean(program: str) -> None:
    page = SHARE / "man" / "man1" / f"{program}.1"
    linters = [["groff", "-man", "-ww", "-z"], ["mandoc", "-T", "lint", "-W", "style"]]
    there = [words for words in linters if shutil.which(words[0])]
    if not there:
        pytest.skip("neither groff nor mandoc here")
    for words in there:
        done = subprocess.run([*words, page], check=False, capture_output=True, text=True)
        complaints = (done.stdout + done.stderr).splitlines()
        # A version that is not released has no day.
        assert not [line for line in complaints if "missing date" not in line]
