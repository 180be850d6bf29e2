"""``flam-worker``: the pool in the foreground."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from flam_worker import __version__

MOST_WORKERS = 256

_DESCRIPTION = """Run the jobs of a Flam queue.

The pool stays in the foreground and logs to standard error. The first SIGTERM or SIGINT lets
running jobs finish; a second one, or the end of the shutdown grace, ends them and puts them
back."""

_EPILOG = """examples:
  flam-worker --count 4
  flam-worker --home /srv/thumbs --queue images --queue mail
  flam-worker --drain        # run what is due, then stop
  flam-worker --check        # for a container's health check
  flam-worker --print-unit >/etc/systemd/system/flam-worker.service"""


class _Parser(argparse.ArgumentParser):
    """One whose errors are a line, as all others are."""

    def error(self, message: str) -> NoReturn:
        problem, mark, words = message.partition("unrecognized arguments: ")
        if mark and not problem:
            message = self._unknown(words.partition(" ")[0])
        stop = "" if message.endswith("?") else "."
        text = f'{message.removeprefix("argument ")}{stop} See "flam-worker --help".'
        sys.exit(_refuse(text, 2))

    def _unknown(self, word: str) -> str:
        from flam_store.text import suggest

        name = word.partition("=")[0]
        if not name.startswith("-"):
            return f"{word!r} is too much: flam-worker takes options only"
        known = (each.option_strings[0] for each in self._actions
                 if each.help is not argparse.SUPPRESS)  # fmt: skip
        meant = suggest(name, known)
        return f"No such option: {name}" + (f". Did you mean {meant}?" if meant else "")


def parser() -> argparse.ArgumentParser:
    words = _Parser(
        prog="flam-worker",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = words.add_argument
    add("--home", metavar="DIR", help="the data directory")
    add("--store-url", metavar="URL", help="the store, if not the one in the data directory")
    add("--count", metavar="N", type=_count, default=1, help="worker processes (default: 1)")
    add("--queue", metavar="Q", type=_queue, action="append", help="serve this queue; repeatable")
    add("--drain", action="store_true", help="stop when nothing is running, due or to be retried")
    add("--log-format", choices=("text", "json"), default="text", help="the log's lines (text)")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info",
        help="what is logged: this and worse (info)")  # fmt: skip
    add("--check", action="store_true",
        help="say whether a pool of this host is at work, and exit with 0 or 1")  # fmt: skip
    add("--print-unit", nargs="?", const="service", choices=("service", "template", "launchd"),
        help="print a unit for systemd (service; template: one a queue) or launchd")  # fmt: skip
    add("--version", action="version", version=f"flam-worker {__version__}")
    add("--ready-fd", type=int, help=argparse.SUPPRESS)
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    if problem := _unfit():
        print(f"flam-worker: {problem}", file=sys.stderr)
        return 2
    # Imported here and below, as elsewhere not even these can be.
    from flam_store.errors import FlamError
    from flam_store.exits import exit_code
    from flam_worker import journal

    given = parser().parse_args(arguments)
    if given.print_unit:
        from flam_worker.unit import unit

        print(unit(given.print_unit), end="")
        return 0
    journal.begin(given.log_level, given.log_format)
    if given.ready_fd is not None and os.fork():
        os._exit(0)  # whoever starts a pool in the background need not reap it
    try:
        return _check(given) if given.check else _run(given)
    except FlamError as error:
        code = _refuse(str(error), exit_code(error))
        _announce(given.ready_fd, code)
        return code


def _unfit() -> str | None:
    """Why this is no place for Flam. A standalone file meets whatever Python a host has."""
    if sys.platform not in ("linux", "darwin"):
        return f"Flam runs on Linux and macOS, not on {sys.platform}."
    if sys.version_info < (3, 11):  # noqa: UP036 - no installer has looked at it
        return f"Flam needs Python 3.11 or later, and this is {sys.version.split()[0]}."
    return None


def _run(given: argparse.Namespace) -> int:
    gc.disable()  # what is imported stays; the supervisor goes on with it
    from flam_store import open_store
    from flam_store.config_file import read_config
    from flam_store.home import Home, find_home, working_directory
    from flam_store.names import new_id
    from flam_worker.settings import Settings, store_url_of
    from flam_worker.supervisor import Supervisor

    home = Home(path=find_home(flag=given.home, environ=os.environ, cwd=working_directory()))
    home.ensure()
    home.check()
    settings = Settings(
        home=home,
        config=read_config(home.config_path),
        store_url=store_url_of(home, given.store_url),
        count=given.count,
        queues=tuple(dict.fromkeys(given.queue)) if given.queue else None,
        drain=given.drain,
        supervisor=new_id(),
        background=given.ready_fd is not None,
    )
    open_store(settings.store_url, config=settings.config).close()
    return Supervisor(settings, lambda pids: _announce(given.ready_fd, pids)).run()


def _check(given: argparse.Namespace) -> int:
    from flam_store.exits import DONE, NO
    from flam_store.home import Home, find_home, working_directory
    from flam_store.opening import looking_at
    from flam_worker import health
    from flam_worker.settings import store_url_of

    home = Home(path=find_home(flag=given.home, environ=os.environ, cwd=working_directory()))
    home.check()
    with looking_at(store_url_of(home, given.store_url)) as store:
        ailment = health.ailment(store.workers(), health.now())
    if ailment is None:
        return DONE
    return _refuse(ailment, NO)


def _announce(fd: int | None, answer: tuple[int, ...] | int) -> None:
    """Tell who started this pool in the background the workers' pids, or the exit code."""
    if fd is not None:
        with suppress(OSError), open(fd, "w", encoding="ascii") as ready:
            ready.write(json.dumps(answer) + "\n")


def _refuse(problem: str, code: int) -> int:
    from flam_store.text import one_line

    with suppress(OSError):  # the log's disk may be what is full
        print(f"flam-worker: {one_line(problem)}", file=sys.stderr, flush=True)
    return code


def _count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST_WORKERS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_WORKERS}")


def _queue(text: str) -> str:
    from flam_store.names import NAME_RULE, is_name

    if is_name(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no valid name: {NAME_RULE}")


if __name__ == "__main__":
    sys.exit(main())
