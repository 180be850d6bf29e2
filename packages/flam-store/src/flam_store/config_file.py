"""config.json, read and written."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flam_store.bounds import shown
from flam_store.config import KEYS, Config, Value, check_value, key_named, unknown_key
from flam_store.errors import ConfigError, UnsafeError

_LONGEST_FILE = 64 * 1024


def read_config(path: Path) -> Config:
    """The configuration in the file; the defaults if there is no file.

    Raises ConfigError, naming the file and the place or key, for a file that breaks a rule,
    and UnsafeError for a symbolic link.
    """
    return _config(explicit(path))


def explicit(path: Path) -> dict[str, Value]:
    """Only what the file sets, in its order. Errors as :func:`read_config`."""
    text = _read(path)
    return {} if text is None else _parse(text, path)


def set_value(path: Path, key: str, text: str) -> Config:
    """Set a key to what a person wrote; return the configuration as it is now.

    Takes ``none`` for an optional key, durations such as ``10m`` for seconds and sizes such as
    ``64MiB`` for bytes. The change is atomic, durable and never undoes a simultaneous one of
    another key. Raises as :func:`read_config`, and then leaves the file as it was.
    """
    from flam_store.config_words import value_of

    name = key_named(key)
    value = value_of(name, text)
    return _edit(path, lambda values: {**values, name: value})


def unset_value(path: Path, key: str) -> Config:
    """Take a key out of the file, so that its default holds; otherwise as :func:`set_value`."""
    name = key_named(key)
    return _edit(path, lambda values: {k: v for k, v in values.items() if k != name})


def _read(path: Path) -> str | None:
    try:
        content = _read_bytes(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise _link(path) from None
        raise ConfigError(f"cannot be read: {error.strerror}", path=path) from error
    if len(content) > _LONGEST_FILE:
        raise ConfigError(f"is longer than {_LONGEST_FILE:,} bytes", path=path)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line}: is not UTF-8{_LEFT}", path=path) from None


def _read_bytes(path: Path) -> bytes:
    # Without O_NONBLOCK the open would wait for the other end of a named pipe.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigError("is no regular file", path=path)
        with open(fd, "rb", closefd=False) as file:
            return file.read(_LONGEST_FILE + 1)
    finally:
        os.close(fd)


def _link(path: Path) -> UnsafeError:
    mend = "Put the file itself in its place."
    return UnsafeError(path, "is a symbolic link, which is not followed", mend)


_LEFT = ". The file was left as it is: mend it, or move it away to begin with the defaults"


def _parse(text: str, path: Path) -> dict[str, Value]:
    try:
        values = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{place}: {error.msg}{_LEFT}", path=path) from None
    except RecursionError:
        raise ConfigError(f"is nested too deeply{_LEFT}", path=path) from None
    except ConfigError as error:
        raise ConfigError(error.problem, key=error.key, path=path) from None
    except ValueError:
        raise ConfigError(f"has a number with too many digits{_LEFT}", path=path) from None
    return _checked(values, path)


def _checked(values: object, path: Path) -> dict[str, Value]:
    if not isinstance(values, dict):
        raise ConfigError(f"must be a JSON object, not {shown(values)}{_LEFT}", path=path)
    try:
        for key, value in values.items():
            if key not in KEYS:
                raise unknown_key(key)
            check_value(key, value)
    except ConfigError as error:
        raise ConfigError(error.problem, key=error.key, path=path) from None
    return values


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    from flam_store.text import one_line

    names = [key for key, _ in pairs]
    twice = next(key for key in names if names.count(key) > 1)
    raise ConfigError("is given twice", key=one_line(twice, limit=40))


def _no_constant(name: str) -> object:
    raise ConfigError(f"{name} is not a number of JSON")


def _config(values: dict[str, Any]) -> Config:
    return Config(**values)


def _edit(path: Path, change: Callable[[dict[str, Value]], dict[str, Value]]) -> Config:
    try:
        with _locked(path.parent) as directory:
            before = explicit(path)
            after = change(before)
            if after != before:
                _replace(path, json.dumps(after, indent=2) + "\n")
                os.fsync(directory)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=path) from error
    return _config(after)


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    # The directory itself carries the lock: it leaves no file behind, and it stays the same
    # one while the file in it is replaced.
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _replace(path: Path, text: str) -> None:
    # The lock makes the fixed name safe, and what a crash left is taken away by the next change.
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        _write(new, text)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
