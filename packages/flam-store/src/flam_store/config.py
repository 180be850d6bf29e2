"""The configuration: keys, types, bounds and defaults; config.json read and written.

Every command and every worker imports this module, so it stands on json and attrs alone:
nine keys do not pay for the import of a converter (10 ms).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from flam_store.durations import MAX_DURATION, parse_duration
from flam_store.errors import ConfigError, UnsafeError

Value = int | float | str | None

_LONGEST_FILE = 64 * 1024
_LONGEST_URL = 4096
_SIZE_UNITS: Mapping[str, int] = {"": 1, "b": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for ending, base in (("b", 1000), ("ib", 1024))
}


@attrs.frozen(kw_only=True)
class Bounds:
    """The numbers that a field may hold, both ends included."""

    low: float
    high: float
    noun: str = "a number"
    whole: bool = False

    def check(self, value: object) -> None:
        """Raise ValueError, with words that can follow the field's name, for any other value.

        A bool is no number, and a float is no whole number.
        """
        # NaN is refused as well: every comparison with it is false.
        is_number = type(value) is int or (type(value) is float and not self.whole)
        if not (is_number and self.low <= value <= self.high):  # type: ignore[operator]
            raise ValueError(f"must be {self}, not {_shown(value)}")

    def __str__(self) -> str:
        return f"{self.noun} from {self.low:.15g} to {self.high:.15g}"


def _seconds(low: float, high: float = MAX_DURATION.total_seconds()) -> Bounds:
    return Bounds(low=low, high=high, noun="a number of seconds")


BOUNDS: Mapping[str, Bounds] = {
    "max_retries": Bounds(low=0, high=2**31 - 1, noun="a whole number", whole=True),
    "backoff_base": Bounds(low=0, high=1e6),
    "backoff_max": _seconds(0),
    "backoff_jitter": Bounds(low=0, high=1),
    "timeout": _seconds(0.001),
    # Less could not hold the head, the tail and the note about the gap between them.
    "log_max_bytes": Bounds(low=512, high=2**40, noun="a whole number of bytes", whole=True),
    # A heartbeat is a third of a lease; jobs of a dead host wait as long as one lasts.
    "lease_seconds": _seconds(3, 86_400),
    "shutdown_grace": _seconds(0),
}
"""What each key with a number allows. A job's spec has the same bounds for the same names."""


@attrs.frozen(kw_only=True)
class Config:
    """What holds where nobody said otherwise. ConfigError, naming the key, for a wrong value."""

    max_retries: int = 3
    """Retries after the first attempt."""
    backoff_base: float = 2
    """The delay after failed attempt n is this to the power of n, in seconds."""
    backoff_max: float = 3600
    """The longest delay before a retry, in seconds."""
    backoff_jitter: float = 0.1
    """The delay varies at random by this share of itself, up and down; 0 to 1."""
    timeout: float | None = None
    """Seconds after which an attempt is ended; None: never."""
    log_max_bytes: int = 64 * 1024 * 1024
    """How much of the output of an attempt is kept, in bytes."""
    lease_seconds: float = 30
    """Seconds after which a silent worker's job is somebody else's."""
    shutdown_grace: float = 30
    """Seconds that running jobs have to finish when the pool is stopped."""
    store_url: str | None = attrs.field(default=None, repr=False)
    """Where the jobs are; None: in the data directory. It may hold a password."""

    def __attrs_post_init__(self) -> None:
        for key in KEYS:
            _check(key, getattr(self, key))


KEYS = tuple(field.name for field in attrs.fields(Config))
"""The names of all keys, in the order in which they are shown."""

_OPTIONAL = frozenset({"timeout", "store_url"})


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
    name = key_named(key)
    value = _value_of(name, text)
    return _edit(path, lambda values: {**values, name: value})


def unset_value(path: Path, key: str) -> Config:
    """Take a key out of the file, so that its default holds; otherwise as :func:`set_value`."""
    name = key_named(key)
    return _edit(path, lambda values: {k: v for k, v in values.items() if k != name})


def key_named(text: str) -> str:
    """The key that a person means: ``max-retries`` is ``max_retries``. ConfigError if none is."""
    name = text.replace("-", "_")
    if name not in KEYS:
        raise _unknown(text)
    return name


def _check(key: str, value: object) -> None:
    if value is None and key in _OPTIONAL:
        return
    try:
        check = BOUNDS[key].check if key in BOUNDS else _check_url
        check(value)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from None


def _check_url(value: object) -> None:
    # The value is in no message: it may hold a password.
    if type(value) is not str:
        raise ValueError("must be a URL or null")
    scheme, mark, place = value.partition("://")
    if not (scheme and mark and place and value.isprintable()):
        raise ValueError("must be a URL such as sqlite:////var/lib/flam/queue.db")
    if len(value) > _LONGEST_URL:
        raise ValueError(f"must have at most {_LONGEST_URL:,} characters")


def _config(values: Mapping[str, Any]) -> Config:
    return Config(**values)


def _unknown(key: str) -> ConfigError:
    from flam_store.text import one_line, suggest

    meant = suggest(key, KEYS)
    known = f"did you mean {meant}?" if meant else f"the keys are {', '.join(KEYS)}"
    return ConfigError(f"no such key; {known}", key=one_line(key, limit=40))


def _shown(value: object) -> str:
    match value:
        case bool() | None:
            return json.dumps(value)
        case int() if abs(value) >= 10**18:
            return "a number that large"
        case int() | float():
            return str(value)
        case str():
            return json.dumps(value if len(value) <= 40 else f"{value[:40]}...")
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return f"a {type(value).__name__}"


def _value_of(key: str, text: str) -> Value:
    if text == "none" and key in _OPTIONAL:
        return None
    try:
        value = _READERS.get(key, _read_number)(text)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from None
    _check(key, value)
    return value


def _read_number(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", text):
        raise ValueError(f"{_shown(text)} is not a number")
    return float(text) if "." in text else int(text)


def _read_seconds(text: str) -> float:
    return _plain(parse_duration(text).total_seconds())


def _read_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}) ?([a-z]*)", text.lower())
    if not match or match[2] not in _SIZE_UNITS:
        raise ValueError(f'{_shown(text)} is not a size; give bytes, or such as "10MB" or "64MiB"')
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _plain(number: float) -> float:
    return int(number) if number.is_integer() else number


_READERS: Mapping[str, Callable[[str], Value]] = {
    "backoff_max": _read_seconds,
    "timeout": _read_seconds,
    "log_max_bytes": _read_size,
    "lease_seconds": _read_seconds,
    "shutdown_grace": _read_seconds,
    "store_url": str,
}


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
        raise ConfigError(f"must be a JSON object, not {_shown(values)}{_LEFT}", path=path)
    try:
        for key, value in values.items():
            if key not in KEYS:
                raise _unknown(key)
            _check(key, value)
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
