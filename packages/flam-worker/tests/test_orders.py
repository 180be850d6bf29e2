from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from children import Children
from commands import ran, shell

from flam_store.worker import Stop
from flam_worker.executor import Look
from flam_worker.orders import GRACEFUL, NOW, Inbox
from flam_worker.signals import Signals


def alone(children: Children, look: Callable[[Inbox, int], Any]) -> Any:
    """What the function returns for an inbox and the other end of its pipe."""

    def run() -> Any:
        reader, writer = os.pipe()
        return look(Inbox(Signals(), reader), writer)

    return children.fork(run).answer()


def ready(inbox: Inbox) -> bool:
    return bool(select.select(inbox.fds, [], [], 0)[0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (b"", None),
        (GRACEFUL, Stop.GRACEFUL),
        (NOW, Stop.NOW),
        (GRACEFUL + GRACEFUL, Stop.GRACEFUL),
        (GRACEFUL + NOW, Stop.NOW),
        (NOW + GRACEFUL, Stop.NOW),
    ],
)
def test_the_supervisor_s_words_are_obeyed(
    children: Children, words: bytes, told: Stop | None
) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        if words:
            os.write(writer, words)
        inbox.read()
        return inbox.stop()

    assert alone(children, look) == told


def test_a_later_word_can_only_be_stronger(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        heard = []
        for word in (GRACEFUL, GRACEFUL, NOW, GRACEFUL):
            os.write(writer, word)
            inbox.read()
            heard.append(inbox.stop())
        return heard

    now = Stop.NOW
    assert alone(children, look) == [Stop.GRACEFUL, Stop.GRACEFUL, now, now]


def test_one_sigterm_is_graceful_and_a_second_is_at_once(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        heard = [inbox.stop()]
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            inbox.read()
            heard.append(inbox.stop())
        return heard

    assert alone(children, look) == [None, Stop.GRACEFUL, Stop.NOW]


def test_a_word_and_a_signal_are_one_wish_and_not_two(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        os.write(writer, GRACEFUL)
        signal.raise_signal(signal.SIGTERM)
        inbox.read()
        return inbox.stop()

    assert alone(children, look) == Stop.GRACEFUL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_what_a_terminal_sends_to_all_is_the_supervisor_s_to_interpret(
    children: Children, number: int
) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        signal.raise_signal(number)
        signal.raise_signal(number)
        inbox.read()
        return inbox.stop()

    assert alone(children, look) is None


def test_a_worker_whose_supervisor_is_gone_stops_after_its_job(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        os.close(writer)
        inbox.read()
        first = inbox.stop()
        inbox.read()
        return first, inbox.stop()

    assert alone(children, look) == (Stop.GRACEFUL, Stop.GRACEFUL)


def test_the_last_word_of_a_supervisor_that_is_gone_counts(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        os.write(writer, NOW)
        os.close(writer)
        inbox.read()
        inbox.read()
        return inbox.stop()

    assert alone(children, look) == Stop.NOW


def test_what_was_read_wakes_nobody_again(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        seen = [ready(inbox)]
        for tell in (lambda: os.write(writer, GRACEFUL), lambda: signal.raise_signal(15),
                     lambda: os.close(writer)):  # fmt: skip
            tell()
            seen.append(ready(inbox))
            inbox.read()
            seen.append(ready(inbox))
        return seen

    assert alone(children, look) == [False, True, False, True, False, True, False]


def test_a_worker_that_is_alone_sleeps_while_its_command_runs(tmp_path: Path) -> None:
    # The descriptors that a command began with are watched until it ends.
    made: list[Inbox] = []

    def fds() -> tuple[int, ...]:
        reader, writer = os.pipe()
        inbox = Inbox(Signals(), reader)
        made.append(inbox)
        os.close(writer)
        return inbox.fds

    def look() -> Look:
        made[0].read()
        return Look()

    assert ran(tmp_path, shell("sleep 0.5"), look=look, fds=fds).looks < 100


def test_a_nudge_is_taken_once(children: Children) -> None:
    def look(inbox: Inbox, writer: int) -> Any:
        before = inbox.nudged()
        signal.raise_signal(signal.SIGUSR1)
        inbox.read()
        return before, inbox.nudged(), inbox.nudged()

    assert alone(children, look) == (False, True, False)
