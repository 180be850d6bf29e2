"""The process around a command: its exit code, its error lines, its standard streams.

Exit codes: 0 done · 1 the answer is no, or a fault of queuectl itself · 2 the words, the spec or
the config are wrong · 3 no such job · 4 a conflict · 5 the store cannot be used · 6 refused for
safety · 124 a ``--timeout`` ran out · 130 interrupted. A closed pipe is no error.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

_PROGRAM = "queuectl"
_COMPLETION = "_QUEUECTL_COMPLETE"

_OBJECTS_A_COLLECTION = 50_000
"""Python looks for garbage after 700 more objects; a command makes ten thousands that stay."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` None means the process's own words."""
    if sys.platform != "linux" and sys.platform != "darwin":
        print(f"{_PROGRAM}: Flam runs on Linux and macOS, not on {sys.platform}.", file=sys.stderr)
        return 2
    _open_missing_streams()
    if argv is not None:
        return _ended(list(argv))
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    try:
        return _ended(sys.argv[1:])
    finally:
        gc.freeze()  # the process ends, and its memory with it


def _ended(words: list[str]) -> int:
    try:
        return _closed(_run(words))
    except KeyboardInterrupt:
        return _closed(130)


def _run(words: list[str]) -> int:
    # Imported here, so that Ctrl-C is quiet from the first millisecond on.
    from flam_cli import plain

    debug = False
    try:
        called = None if _COMPLETION in os.environ else plain.understood(words)
        if called is not None:
            debug = called.debug
            code = called.run() or 0
        else:
            from flam_cli.root import root

            command = root()
            if _COMPLETION in os.environ:
                command.main(args=words, prog_name=_PROGRAM)
            with command.make_context(_PROGRAM, words) as context:
                debug = bool(context.params["debug"])
                code = command.invoke(context) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except Exception as error:  # noqa: BLE001, the one place where a fault becomes a line
        code = _code_of(error, debug=debug)
    return code


def _code_of(end: Exception, *, debug: bool) -> int:
    """The code that a command asked for in Typer's way, or that of a fault, which is told."""
    typer = sys.modules.get("typer")
    if typer is not None and isinstance(end, typer.Exit):
        return int(end.exit_code)
    from flam_cli import errors
    from flam_cli.render.human import complain

    if debug:
        import traceback

        for line in "".join(traceback.format_exception(end)).splitlines():
            complain(line, prefix="")
    complain(errors.line(end))
    return errors.exit_code(end)


def _closed(code: int) -> int:
    """Flush what is left, now: at the interpreter's end a closed pipe would be a complaint."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                _point_to_nothing(descriptor)
    return code


def _point_to_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def _open_missing_streams() -> None:
    """A standard stream that was closed goes nowhere, and its number to no other file."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # A locale without the letters of a job's command must not end the listing.
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
