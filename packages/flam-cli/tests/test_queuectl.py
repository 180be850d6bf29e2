from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SOURCES, Run, Workshop

from flam_cli.errors import HABITS
from flam_cli.root import NAMES
from flam_store import JobSpec
from flam_store.home import Home


def test_the_version_is_one_line(queuectl: Run) -> None:
    assert queuectl("--version").out == "queuectl 0.1.0\n"


def test_help_names_every_command(queuectl: Run) -> None:
    said = queuectl("--help")
    assert said.code == 0
    assert all(f"  {name} " in said.out for name in NAMES)


@pytest.mark.parametrize(
    "words",
    [
        *([name] for name in NAMES),
        *(["worker", name] for name in ("start", "stop", "list")),
        *(["dlq", name] for name in ("list", "retry", "purge")),
        *(
            ["schedule", name]
            for name in ("add", "list", "show", "pause", "resume", "remove", "run")
        ),
        *(["config", name] for name in ("show", "get", "set", "unset")),
    ],
    ids=" ".join,
)
def test_every_command_has_a_help(queuectl: Run, words: list[str]) -> None:
    said = queuectl(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: queuectl {' '.join(words)}")
    assert "--json" in said.out or "Commands:" in said.out


@pytest.mark.parametrize("words", [[], ["worker"], ["dlq"], ["schedule"], ["config"]])
def test_without_a_command_the_help_is_an_error(queuectl: Run, words: list[str]) -> None:
    said = queuectl(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("Usage: queuectl")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["help"], ["--help"]),
        (["help", "help"], ["--help"]),
        (["help", "--json"], ["--help"]),
        (["help", "enqueue"], ["enqueue", "--help"]),
        (["help", "enqueue", "--", "true"], ["enqueue", "--help"]),
        (["help", "worker", "start"], ["worker", "start", "--help"]),
        (["worker", "help"], ["worker", "--help"]),
        (["queue", "help", "pause"], ["queue", "pause", "--help"]),
    ],
)
def test_help_is_also_a_word(queuectl: Run, home: Home, words: list[str], asked: list[str]) -> None:
    said = queuectl(*words)
    assert (said.code, said.err) == (0, "")
    assert said.out == queuectl(*asked).out
    assert not home.path.exists()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["help", "lst"], "'list'"),
        (["ls"], "'list'"),
        (["ps"], "'list' or 'top'"),
        (["pause", "mail"], "'queue pause'"),
        (["rm", "a"], "'cancel' or 'purge'"),
        (["delete", "a"], "'cancel' or 'purge'"),
        (["add", "true"], "'enqueue'"),
        (["Start"], "'worker start'"),
        (["queue", "ls"], "'list'"),
        (["schedule", "rm", "nightly"], "'remove'"),
        (["schedule", "ad"], "'add'"),
    ],
)
def test_a_habit_from_another_tool_is_told_the_command_here(
    queuectl: Run, words: list[str], meant: str
) -> None:
    refused = queuectl(*words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.endswith(f". Did you mean {meant}?\n")


@pytest.mark.parametrize("meant", sorted({each for some in HABITS.values() for each in some}))
def test_every_command_that_a_habit_is_told_exists(queuectl: Run, meant: str) -> None:
    told = [
        words for words in ([*meant.split()], ["schedule", meant])
        if queuectl(*words, "--help").code == 0
    ]  # fmt: skip
    assert told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["enqeue"], "Did you mean 'enqueue'?"),
        (["worker", "strat"], "Did you mean 'start'?"),
        (["list", "--quee", "x"], "Did you mean --queue?"),
        (["list", "--limit", "-1"], "--limit"),
        (["list", "--home", "x"], "--home stands before the command"),
        (["--nope", "list"], "No such option: --nope"),
        (["show"], "Missing argument 'ID'"),
        (["show", "a", "b"], "unexpected extra argument"),
        (["worker", "start", "--count", "0"], "--count"),
        (["worker", "start", "--count", "257"], "--count"),
        (["worker", "start", "--queue", "a b"], "--queue: 'a b' is no valid name"),
        (["worker", "stop", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
        (["worker", "start", "--foreground", "--json"], "--foreground"),
        (["status", "--watch", "--json"], "--watch"),
        (["logs", "--follow", "--json"], "--follow"),
        (["no\x1b[2J"], r"no\x1b[2J"),
        (["--home", "", "list"], "--home: is empty"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(queuectl: Run, words: list[str], told: str) -> None:
    refused = queuectl(*words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.startswith("queuectl: ")
    assert told in refused.err


def test_the_home_option_goes_before_the_environment(queuectl: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    queuectl("--home", str(other), "enqueue", "--id", "a", "--", "true")
    assert (other / "queue.db").exists()
    assert queuectl("list", "--json").json == []


def test_what_is_written_is_private_under_any_umask(queuectl: Run, home: Home) -> None:
    before = os.umask(0)
    try:
        queuectl("enqueue", "--", "true")
    finally:
        os.umask(before)
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert home.database_path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [["list"], ["enqueue", "--", "true"], ["config", "show"]])
def test_a_directory_that_is_open_to_others_is_refused(
    queuectl: Run, home: Home, words: list[str]
) -> None:
    home.ensure()
    home.path.chmod(0o777)
    refused = queuectl(*words)
    assert (refused.code, refused.out, refused.err.count("\n")) == (6, "", 1)
    assert "chmod 700" in refused.err


def test_a_file_that_is_no_database_is_left_as_it_is(queuectl: Run, home: Home) -> None:
    home.ensure()
    home.database_path.write_bytes(b"precious")
    home.database_path.chmod(0o600)
    for words in (["list"], ["enqueue", "--", "true"]):
        refused = queuectl(*words)
        assert (refused.code, refused.out, refused.err.count("\n")) == (5, "", 1)
    assert home.database_path.read_bytes() == b"precious"


def test_a_store_in_a_folder_that_is_not_there_cannot_be_used(
    queuectl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAM_STORE_URL", f"sqlite:///{tmp_path}/nope/queue.db")
    refused = queuectl("enqueue", "--", "true")
    assert (refused.code, refused.out, refused.err.count("\n")) == (5, "", 1)
    monkeypatch.setenv("FLAM_STORE_URL", "mysql://me:secret@db/x")
    refused = queuectl("enqueue", "--", "true")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "secret" not in refused.err


def test_debug_shows_the_traceback_without_raw_escapes(queuectl: Run) -> None:
    assert "Traceback" not in queuectl("show", "a\x1b[2J").err
    said = queuectl("--debug", "show", "a\x1b[2J")
    assert said.code == 3
    assert "Traceback" in said.err
    assert "\x1b" not in said.err


def test_a_fault_of_its_own_is_a_line_that_names_the_type(
    queuectl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flam_cli import place

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\x1bb")

    monkeypatch.setattr(place, "read_config", broken)
    said = queuectl("list")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith(r"queuectl: ZeroDivisionError: a\x1bb")
    assert "--debug" in said.err


def test_an_interruption_is_130_and_quiet(workshop: Workshop) -> None:
    workshop.running("a", b"begin\n")
    program = [sys.executable, "-m", "flam_cli", "logs", "a", "--follow"]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"begin\n"
        follower.send_signal(signal.SIGINT)
        out, err = follower.communicate(timeout=30)
    assert (follower.returncode, out, err) == (130, b"", b"")


def test_elsewhere_than_on_linux_and_macos_it_is_a_line(
    queuectl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    refused = queuectl("list")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "Linux and macOS" in refused.err


def test_init_makes_a_private_directory_that_git_ignores(
    queuectl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLAM_HOME")
    made = Path.cwd() / ".queuectl_data"
    assert queuectl("init", "--json").json == {"path": str(made), "created": True}
    assert made.stat().st_mode & 0o777 == 0o700
    assert (made / ".gitignore").read_text() == "*\n"
    again = queuectl("init")
    assert (again.code, again.out) == (0, f"{made} exists already.\n")
    below = Path.cwd() / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    queuectl("enqueue", "--", "true")
    assert (made / "queue.db").exists()


def test_init_takes_the_directory_that_home_names(queuectl: Run, tmp_path: Path) -> None:
    named = tmp_path / "named"
    assert queuectl("--home", str(named), "init").out == f"{named}\n"
    assert named.is_dir()
    assert not (named / ".gitignore").exists()


def test_the_completion_script_is_generated(process: Callable[..., Any]) -> None:
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = process("--show-completion", "bash", env=env)
    assert done.returncode == 0
    assert b"_QUEUECTL_COMPLETE=complete_bash" in done.stdout


def completed(process: Callable[..., Any], typed: str) -> list[str]:
    """What a shell offers for the last word, which is begun."""
    words = typed.split(" ")
    done = process(
        env={
            "_QUEUECTL_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    assert done.stderr == b""
    offered: list[str] = done.stdout.decode().split()
    return offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("queuectl enq", ["enqueue"]),
        ("queuectl list --state de", ["dead"]),
        ("queuectl purge --state ", ["completed", "dead", "cancelled"]),
        ("queuectl purge --state p", []),
        ("queuectl worker st", ["start", "stop"]),
        ("queuectl list --order o", ["oldest"]),
        ("queuectl list --columns id,comm", ["id,command"]),
        ("queuectl stats --by c", ["command"]),
        ("queuectl config set max-r", ["max-retries"]),
        ("queuectl config get max_r", ["max_retries"]),
    ],
)
def test_the_shell_is_offered_commands_and_words(
    process: Callable[..., Any], typed: str, offered: list[str]
) -> None:
    assert completed(process, typed) == offered


@pytest.mark.parametrize("command", ["show", "logs", "cancel", "retry", "wait", "list --after"])
def test_the_shell_is_offered_ids(
    process: Callable[..., Any], workshop: Workshop, command: str
) -> None:
    for job_id in ("thumb-1", "thumb-2", "other"):
        workshop.store.enqueue(JobSpec(id=job_id, command="true"))
    assert completed(process, f"queuectl {command} th") == ["thumb-2", "thumb-1"]


@pytest.mark.parametrize(
    "command", ["list --queue", "stats --queue", "worker start --queue", "enqueue --queue",
                "queue pause"]
)  # fmt: skip
def test_the_shell_is_offered_queues(
    process: Callable[..., Any], workshop: Workshop, command: str
) -> None:
    for queue in ("mail", "main", "other"):
        workshop.store.enqueue(JobSpec(queue=queue, command="true"))
    assert completed(process, f"queuectl {command} ma") == ["mail", "main"]


def test_the_shell_is_offered_dead_letters(process: Callable[..., Any], workshop: Workshop) -> None:
    workshop.dead("thumb-1")
    workshop.completed("thumb-2")
    for command in ("dlq retry", "dlq list --after"):
        assert completed(process, f"queuectl {command} th") == ["thumb-1"]


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "remove", "run"])
def test_the_shell_is_offered_schedules(
    process: Callable[..., Any], queuectl: Run, verb: str
) -> None:
    for name in ("nightly", "noon", "poll"):
        queuectl("schedule", "add", name, "--cron", "@daily", "--", "true")
    assert completed(process, f"queuectl schedule {verb} n") == ["nightly", "noon"]
    assert completed(process, "queuectl schedule add n") == []


def test_the_shell_is_offered_ids_of_the_directory_that_the_line_names(
    process: Callable[..., Any], queuectl: Run, tmp_path: Path
) -> None:
    queuectl("--home", str(tmp_path / "there"), "enqueue", "--id", "thumb-9", "--", "true")
    typed = f"queuectl --home {tmp_path / 'there'} show th"
    assert completed(process, typed) == ["thumb-9"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["show", "nope"], "list"),
        (["queue", "resume", "nope"], "queue list"),
        (["schedule", "show", "nope"], "schedule list"),
    ],
)
def test_what_is_not_found_comes_with_the_command_that_shows_what_there_is(
    queuectl: Run, words: list[str], hint: str
) -> None:
    refused = queuectl(*words)
    assert refused.code == 3
    assert re.search(rf"'nope'\. \"queuectl {hint}\" shows the (ids|names)\.", refused.err)


def test_completion_makes_nothing_and_is_quiet_on_trouble(
    process: Callable[..., Any], home: Home
) -> None:
    assert completed(process, "queuectl show th") == []
    assert not home.path.exists()
    home.ensure()
    home.database_path.write_bytes(b"no database")
    home.database_path.chmod(0o600)
    assert completed(process, "queuectl show th") == []
    home.config_path.write_text("{")
    assert completed(process, "queuectl list --queue th") == []
    assert home.database_path.read_bytes() == b"no database"


@pytest.mark.parametrize("name", NAMES)
def test_every_help_has_examples(queuectl: Run, name: str) -> None:
    told = queuectl(name, "--help").out
    assert "Examples:\n" in told
    for command in re.findall(r"^  (\w+) ", told.partition("Commands:")[2], re.MULTILINE):
        assert "Examples:\n" in queuectl(name, command, "--help").out
