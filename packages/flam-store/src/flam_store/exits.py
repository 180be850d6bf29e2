"""The exit codes of Flam's executables."""

from __future__ import annotations

from flam_store.errors import (
    ConfigError,
    Conflict,
    FlamError,
    NotFound,
    SpecError,
    StoreError,
    StoreUrlError,
    UnsafeError,
)

DONE = 0
NO = 1
WRONG = 2
UNKNOWN = 3
CONFLICT = 4
STORE = 5
UNSAFE = 6
TIMED_OUT = 124
INTERRUPTED = 130


def exit_code(error: FlamError) -> int:
    """The code that a program ends with when this error ends it."""
    match error:
        case SpecError() | ConfigError() | StoreUrlError():
            return WRONG
        case NotFound():
            return UNKNOWN
        case Conflict():
            return CONFLICT
        case StoreError():
            return STORE
        case UnsafeError():
            return UNSAFE
        case _:
            return getattr(error, "exit_code", NO)
