from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from typing import Any

from children import Children, until

from flam_worker.signals import HANDLED, Signals


def alone(children: Children, look: Callable[[], Any]) -> Any:
    """What the function returns in a process whose signals it may change."""
    return children.fork(look).answer()


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_signals_are_counted_by_their_number(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        both = signals.seen(signal.SIGTERM, signal.SIGINT)
        return both, signals.seen(signal.SIGTERM), signals.seen(signal.SIGHUP)

    assert alone(children, look) == (4, 3, 0)


def test_what_was_taken_is_not_taken_again(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        before = signals.take(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        return before, signals.take(signal.SIGUSR1), signals.take(signal.SIGUSR1)

    assert alone(children, look) == (False, True, False)


def test_a_signal_wakes_whoever_waits_until_it_is_drained(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        before = readable(signals.fd)
        signal.raise_signal(signal.SIGTERM)
        woken = readable(signals.fd)
        signals.drain()
        after = readable(signals.fd)
        signals.drain()
        return before, woken, after, signals.seen(signal.SIGTERM)

    assert alone(children, look) == (False, True, False, 1)


def test_a_flood_of_signals_neither_blocks_nor_warns(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        for _ in range(100_000):
            signal.raise_signal(signal.SIGUSR1)
        signals.drain()
        return signals.seen(signal.SIGUSR1), readable(signals.fd)

    assert alone(children, look) == (100_000, False)


def test_every_handled_signal_is_counted_and_ends_nothing(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        for number in HANDLED:
            signal.raise_signal(number)
        return [signals.seen(number) for number in HANDLED]

    assert alone(children, look) == [1] * len(HANDLED)


def test_a_child_that_ends_wakes_whoever_waits(children: Children) -> None:
    def look() -> Any:
        signals = Signals()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        until(lambda: readable(signals.fd), "SIGCHLD")
        os.waitpid(pid, 0)
        return signals.seen(signal.SIGCHLD)

    assert alone(children, look) == 1


def test_what_the_parent_ignored_is_set_right(children: Children) -> None:
    ignored = (signal.SIGUSR2, signal.SIGALRM, signal.SIGTTIN, signal.SIGWINCH)

    def look() -> Any:
        for number in (*ignored, *HANDLED):
            signal.signal(number, signal.SIG_IGN)
        signals = Signals()
        signal.raise_signal(signal.SIGINT)
        defaults = [signal.getsignal(number) is signal.SIG_DFL for number in ignored]
        return defaults, signals.seen(signal.SIGINT)

    assert alone(children, look) == ([True] * len(ignored), 1)


def test_what_the_parent_blocked_is_let_through(children: Children) -> None:
    def look() -> Any:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        signal.raise_signal(signal.SIGTERM)
        signals = Signals()
        until(lambda: signals.seen(signal.SIGTERM), "the signal that was held back")
        return signal.pthread_sigmask(signal.SIG_BLOCK, ()), signals.seen(signal.SIGTERM)

    assert alone(children, look) == (set(), 1)


def test_a_broken_pipe_and_a_full_quota_stay_errors(children: Children) -> None:
    def look() -> Any:
        Signals()
        reader, writer = os.pipe()
        os.close(reader)
        try:
            os.write(writer, b"x")
        except BrokenPipeError:
            return "an error"
        return "nothing"

    assert alone(children, look) == "an error"


def test_closing_leaves_no_descriptor(children: Children) -> None:
    def look() -> Any:
        before = os.listdir("/dev/fd")
        Signals().close()
        return before == os.listdir("/dev/fd")

    assert alone(children, look) is True
