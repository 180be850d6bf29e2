from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import pytest
from children import lives, number_in
from commands import (
    ENVIRONMENT,
    program,
    ran,
    seconds,
    shell,
    signals_in,
    start,
    wanted_once,
)

from flam_worker import tree
from flam_worker.capture import Capture
from flam_worker.end import CalledOff, Cancelled, Exited, Hindered, NotStarted, Signalled, TimedOut
from flam_worker.executor import Look

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
FOREVER = "sleep 1000"


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "TERM_GRACE_SECONDS", 0.05)


# How it ends


@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_an_exit_code_is_the_end(tmp_path: Path, code: int) -> None:
    assert ran(tmp_path, shell(f"exit {code}")).end == Exited(code)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGUSR2"])
def test_a_signal_from_elsewhere_is_the_end_by_its_name(tmp_path: Path, name: str) -> None:
    number = signal.Signals[name].value
    assert ran(tmp_path, shell(f"ulimit -c 0; kill -{number} $$")).end == Signalled(name)


@linux_only
def test_a_signal_without_a_name_has_its_number(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("kill -40 $$")).end == Signalled("SIG40")


def test_a_shell_that_says_128_and_more_has_exited(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("sh -c 'kill -9 $$'; exit $?")).end == Exited(137)


# What is run


def test_a_shell_command_is_read_by_the_shell(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("echo a$((1 + 1)) | tr a b; echo '*'")).output == "b2\n*\n"


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    words = ("$HOME", "two words", "*", "", "; exit 3", "-n", "\u00fc\n")
    made = ran(tmp_path, program("printf", "[%s]", *words))
    assert (made.end, made.output) == (Exited(0), "".join(f"[{word}]" for word in words))


def test_a_program_is_found_along_the_path_of_its_own_environment(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    tool = folder / "flams-own-tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o700)
    environment = {"PATH": f"{folder}:{ENVIRONMENT['PATH']}"}
    assert ran(tmp_path, program(tool.name, environment=environment)).output == "found\n"
    assert isinstance(ran(tmp_path / "b", program(tool.name)).end, NotStarted)


def test_the_environment_is_the_one_given_and_nothing_else(tmp_path: Path) -> None:
    made = ran(tmp_path, program("/usr/bin/env", environment={"A": "1", "B": "two\nlines"}))
    assert sorted(made.output.splitlines()) == ["A=1", "B=two", "lines"]


def test_the_directory_is_the_one_given(tmp_path: Path) -> None:
    assert ran(
        tmp_path, shell("pwd -P", directory=str(tmp_path))
    ).output.strip() == os.path.realpath(tmp_path)
    assert ran(tmp_path / "b", shell("pwd -P")).output.strip() == os.path.realpath(os.getcwd())


@pytest.mark.parametrize("text", ["", "one\n", "\u00fc" * 300_000, "no newline"])
def test_standard_input_is_the_text_and_then_its_end(tmp_path: Path, text: str) -> None:
    made = ran(tmp_path, program("cat", stdin=text), max_bytes=1 << 22)
    assert (made.end, made.output) == (Exited(0), text)


def test_without_a_text_standard_input_is_at_its_end(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("read line || echo end")).output == "end\n"


def test_an_input_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("exit 4", stdin="x" * 500_000)).end == Exited(4)


@linux_only
def test_open_files_are_exactly_the_first_three(tmp_path: Path) -> None:
    kept: list[int] = []

    def open_inheritable() -> None:
        reader, writer = os.pipe()
        os.set_inheritable(reader, True)
        os.set_inheritable(writer, True)
        kept.extend((reader, writer, os.open(os.devnull, os.O_RDONLY)))

    tested = "n=0; while [ $n -lt 64 ]; do [ ! -e /proc/$$/fd/$n ] || echo $n; n=$((n + 1)); done"
    made = ran(tmp_path, shell(tested, stdin="x"), prepare=open_inheritable)
    assert made.output.split() == ["0", "1", "2"]


@linux_only
def test_signals_are_at_their_defaults_whatever_the_worker_s_parent_had_done(
    tmp_path: Path,
) -> None:
    def upset() -> None:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM,
                       signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGTTOU,
                       signal.SIGALRM, signal.SIGPIPE, signal.SIGRTMIN + 3):  # fmt: skip
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    made = ran(tmp_path, program("cat", "/proc/self/status"), prepare=upset)
    status = dict(line.split(":", 1) for line in made.output.splitlines())
    assert {name: signals_in(status[name]) for name in ("SigBlk", "SigIgn", "SigCgt")} == {
        "SigBlk": [], "SigIgn": [], "SigCgt": [],
    }  # fmt: skip


@linux_only
def test_the_command_leads_a_session_of_its_own_without_a_terminal(tmp_path: Path) -> None:
    made = ran(tmp_path, shell("read stat < /proc/$$/stat; echo $$ ${stat##*) }"))
    pid, _, _, group, session, terminal, *_ = made.output.split()
    assert (group, session, terminal) == (pid, pid, "0")


def test_both_streams_are_kept_in_the_order_of_writing(tmp_path: Path) -> None:
    lines = "for n in 1 2 3 4 5; do echo out $n; echo err $n >&2; done; (echo last >&2)"
    wanted = "".join(f"out {n}\nerr {n}\n" for n in range(1, 6)) + "last\n"
    assert ran(tmp_path, shell(lines)).output == wanted


def test_a_command_may_reopen_its_output_to_append(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("echo a; echo b >> /dev/stderr; echo c")).output == "a\nb\nc\n"


# What cannot be started


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC])
def test_what_the_worker_lacks_is_no_fault_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def failing(*words: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_spawn", failing)
    assert ran(tmp_path, shell("true")).end == Hindered(f"{os.strerror(code)}: /bin/sh")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    end = ran(tmp_path, program("no-such-program", "x")).end
    assert end == NotStarted("No such file or directory: no-such-program")


def test_a_line_in_quotes_that_is_no_program_is_told_how_to_run_it(tmp_path: Path) -> None:
    end = ran(tmp_path, program("make test")).end
    hint = "(one word with a space in it: leave out the quotes, or use sh -c)"
    assert end == NotStarted(f"No such file or directory: make test {hint}")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    end = ran(tmp_path, shell("true", directory=str(tmp_path / "nowhere"))).end
    assert end == NotStarted(f"the directory {tmp_path / 'nowhere'}: No such file or directory")


def test_a_missing_directory_is_what_is_told_of_a_line_in_quotes(tmp_path: Path) -> None:
    line = program("make test", directory=str(tmp_path / "nowhere"))
    end = ran(tmp_path, line).end
    assert end == NotStarted(f"the directory {tmp_path / 'nowhere'}: No such file or directory")


def test_a_program_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    assert ran(tmp_path, program(str(tool))).end == NotStarted(f"Permission denied: {tool}")


@linux_only
def test_a_program_that_is_none_is_told_so(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"\x7fnonsense")
    tool.chmod(0o700)
    end = ran(tmp_path, program(str(tool))).end
    assert isinstance(end, NotStarted)
    assert "Exec format error" in end.problem


@linux_only
def test_an_argument_longer_than_the_kernel_takes_is_an_end(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("#" + "x" * 131_070)).end == Exited(0)
    end = ran(tmp_path / "b", shell("#" + "x" * 131_071)).end
    assert isinstance(end, NotStarted)
    assert "too long" in end.problem


@pytest.mark.parametrize("words", [("echo", "a\0b"), ("a\0b",)])
def test_a_nul_byte_is_an_end(tmp_path: Path, words: tuple[str, ...]) -> None:
    end = ran(tmp_path, program(*words)).end
    assert isinstance(end, NotStarted)
    assert "null byte" in end.problem


@pytest.mark.parametrize("environment", [{"A=B": "c"}, {"A": "b\0"}, {"": "x"}])
def test_an_impossible_environment_is_an_end(tmp_path: Path, environment: dict[str, str]) -> None:
    # Where the system takes it, the command has simply run.
    end = ran(tmp_path, shell("true", environment=environment)).end
    assert isinstance(end, NotStarted) or (environment == {"": "x"} and end == Exited(0))


def test_what_cannot_be_started_leaves_an_empty_output_and_no_process(tmp_path: Path) -> None:
    made = ran(tmp_path, program("no-such-program", stdin="x"))
    assert (made.output, made.left) == ("", [])


# What ends it


def test_a_timeout_ends_the_command(tmp_path: Path) -> None:
    made = ran(tmp_path, shell(f"echo begun; {FOREVER}; echo not this", timeout=seconds(0.2)))
    assert (made.end, made.left) == (TimedOut(seconds(0.2)), [])
    assert "not this" not in made.output


def test_a_timeout_is_the_end_even_if_the_command_then_exits_well(tmp_path: Path) -> None:
    text = f"trap 'echo tidied; exit 0' TERM; {FOREVER} & wait"
    made = ran(tmp_path, shell(text, timeout=seconds(0.3)))
    assert (made.end, made.left) == (TimedOut(seconds(0.3)), [])


def test_a_command_that_ignores_sigterm_is_killed(tmp_path: Path, little_grace: None) -> None:
    text = f"trap '' TERM; while :; do {FOREVER}; done"
    made = ran(tmp_path, shell(text, timeout=seconds(0.1)))
    assert (made.end, made.left) == (TimedOut(seconds(0.1)), [])


def test_a_command_that_ends_before_its_timeout_has_not_timed_out(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("exit 3", timeout=seconds(1000))).end == Exited(3)


@pytest.mark.parametrize("end", [CalledOff("the worker had to stop"), Cancelled()])
def test_a_look_that_wants_an_end_gets_it(tmp_path: Path, end: CalledOff | Cancelled) -> None:
    flag = tmp_path / "flag"
    made = ran(tmp_path, shell(f": > {flag}; {FOREVER}"), look=wanted_once(flag, end))
    assert (made.end, made.left) == (end, [])


def test_an_end_that_was_wanted_first_stands(tmp_path: Path, little_grace: None) -> None:
    flag = tmp_path / "flag"
    text = f"trap '' TERM; : > {flag}; while :; do {FOREVER}; done"
    given = shell(text, timeout=seconds(1000))
    assert ran(tmp_path, given, look=wanted_once(flag, Cancelled())).end == Cancelled()


def test_a_stopped_command_is_ended(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    text = f"(while ! grep -q '^State:.T' /proc/$$/status; do :; done; : > {flag}) & kill -STOP $$"
    made = ran(tmp_path, shell(text), look=wanted_once(flag, Cancelled()))
    assert (made.end, made.left) == (Cancelled(), [])


def test_all_of_a_pipeline_is_ended(tmp_path: Path) -> None:
    given = shell("yes | cat > /dev/null", timeout=seconds(0.1))
    made = ran(tmp_path, given)
    assert (made.end, made.left) == (TimedOut(seconds(0.1)), [])


@linux_only
def test_what_left_the_group_is_ended_with_the_command(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    text = f"setsid sh -c 'echo $$ > {inner}; exec {FOREVER}' & wait"
    given = start(tmp_path, shell(text), look=wanted_once(tmp_path / "flag", Cancelled()))
    pid = number_in(inner)
    assert os.getsid(pid) == pid
    (tmp_path / "flag").touch()
    answer = given.answer()
    given.close()
    assert (answer["end"], answer["left"], lives(pid)) == (Cancelled(), [], False)


# What it leaves behind


def test_a_child_that_keeps_the_output_does_not_hold_up_the_end(tmp_path: Path) -> None:
    made = ran(tmp_path, shell(f"{FOREVER} & echo done; exit 5"))
    assert (made.end, made.output, made.left) == (Exited(5), "done\n", [])


@linux_only
@pytest.mark.parametrize(
    "text",
    [
        f"setsid {FOREVER} & exit 0",
        f"(setsid {FOREVER} < /dev/null > /dev/null 2>&1 &) ; exit 0",
        f"(({FOREVER} &) &) ; exit 0",
        f"env -i setsid sh -c '(setsid {FOREVER} &) ; {FOREVER}' > /dev/null 2>&1 & exit 0",
        f"nohup {FOREVER} > /dev/null 2>&1 & exit 0",
    ],
)
def test_what_went_into_the_background_is_ended(tmp_path: Path, text: str) -> None:
    made = ran(tmp_path, shell(text))
    assert (made.end, made.left) == (Exited(0), [])


@linux_only
def test_what_ignores_sigterm_in_the_background_is_killed(
    tmp_path: Path, little_grace: None
) -> None:
    ready = tmp_path / "ready"
    stubborn = f'trap "" TERM; : > {ready}; while :; do {FOREVER}; done'
    text = f"setsid sh -c '{stubborn}' & while [ ! -e {ready} ]; do :; done; exit 2"
    made = ran(tmp_path, shell(text))
    assert (made.end, made.left) == (Exited(2), [])


@linux_only
def test_what_stands_still_in_the_background_is_ended(tmp_path: Path) -> None:
    text = (
        f"{FOREVER} & kill -STOP $!; "
        "while ! grep -q '^State:.T' /proc/$!/status; do :; done; exit 0"
    )
    made = ran(tmp_path, shell(text))
    assert (made.end, made.left) == (Exited(0), [])


@linux_only
def test_what_starts_others_when_it_is_told_to_end_is_ended(
    tmp_path: Path, little_grace: None
) -> None:
    hydra = tmp_path / "hydra"
    ready = tmp_path / "ready"
    hydra.write_text(f"trap 'sh {hydra} & sh {hydra} & exit' TERM\n: > {ready}\n{FOREVER} & wait\n")
    text = f"sh {hydra} & while [ ! -e {ready} ]; do :; done; exit 0"
    made = ran(tmp_path, shell(text))
    assert (made.end, made.left) == (Exited(0), [])


def test_what_has_ended_in_the_background_is_reaped_while_the_command_runs(
    tmp_path: Path,
) -> None:
    # The orphans belong to the worker; none of them may be taken for the command.
    text = "for n in 1 2 3 4 5 6 7 8 9; do (sh -c 'exit 9' &); done; sleep 0.1; exit 6"
    made = ran(tmp_path, shell(text))
    assert (made.end, made.left) == (Exited(6), [])


def test_a_command_that_kills_its_whole_group_has_ended_by_that_signal(tmp_path: Path) -> None:
    made = ran(tmp_path, shell(f"{FOREVER} & kill -9 0"))
    assert (made.end, made.left) == (Signalled("SIGKILL"), [])


# What the worker does meanwhile


def test_the_worker_sleeps_while_the_command_runs(tmp_path: Path) -> None:
    made = ran(tmp_path, shell("sleep 0.5"))
    assert made.looks < 100


def test_a_look_is_taken_when_its_time_has_come(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    given = start(tmp_path, shell(FOREVER), look=wanted_once(flag, Cancelled()))
    flag.touch()
    assert given.answer()["end"] == Cancelled()
    given.close()


def test_a_look_is_taken_when_one_of_the_descriptors_can_be_read(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def look() -> Look:
        try:
            return Look(wanted=Cancelled() if os.read(reader, 1) else None)
        except BlockingIOError:
            return Look()

    given = start(tmp_path, shell(FOREVER), look=look, fds=lambda: (reader,))
    os.write(writer, b"x")
    assert given.answer()["end"] == Cancelled()
    given.close()
    os.close(reader)
    os.close(writer)


def test_a_command_that_somebody_else_kills_has_ended_by_that_signal(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    given = start(tmp_path, shell(f"echo $$ > {pid_file}; {FOREVER}"))
    os.kill(number_in(pid_file), signal.SIGKILL)
    assert given.answer()["end"] == Signalled("SIGKILL")
    given.close()


def test_while_a_noisy_rest_is_ended_the_lease_is_renewed_and_the_output_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "TERM_GRACE_SECONDS", 1.0)
    begun, looked = tmp_path / "begun", tmp_path / "looked"
    look = Capture.look

    def looking(capture: Capture) -> None:
        if begun.exists():
            looked.touch()
        look(capture)

    monkeypatch.setattr(Capture, "look", looking)
    noise = tmp_path / "noise"
    noise.write_text(f"trap '' TERM; : > {begun}; while :; do echo noise; done")
    text = f"setsid sh {noise} & until [ -e {begun} ]; do :; done; exit 0"
    made = ran(tmp_path, shell(text), max_bytes=8192)
    assert (made.end, made.left) == (Exited(0), [])
    assert made.renewals > 3
    assert looked.exists()


def test_a_command_that_leaves_nothing_needs_no_renewal(tmp_path: Path) -> None:
    assert ran(tmp_path, shell("true")).renewals == 0
