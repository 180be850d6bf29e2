"""Values of the configuration as a person writes them: ``10m``, ``64MiB``, ``none``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from flam_store.bounds import shown
from flam_store.config import OPTIONAL, Value, check_value
from flam_store.durations import format_duration, parse_duration
from flam_store.errors import ConfigError, StoreUrlError

_SIZE_UNITS: Mapping[str, int] = {"": 1, "b": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for ending, base in (("b", 1000), ("ib", 1024))
}


def value_of(key: str, text: str) -> Value:
    """The value that the text means for the key. ConfigError."""
    if text in ("none", "null") and key in OPTIONAL:
        return None
    try:
        value = _READERS.get(key, _read_number)(text)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from None
    check_value(key, value)
    if isinstance(value, str) and key == "store_url":
        _check_engine(value)
    return value


def in_words(key: str, value: Value) -> str:
    """The other way: a text that :func:`value_of` reads, and a person as well.

    >>> in_words("keep_completed", 2_592_000), in_words("log_max_bytes", 64 << 20)
    ('30d', '64MiB')
    >>> in_words("max_retries", 3), in_words("timeout", None)
    ('3', 'none')
    """
    if value is None:
        return "none"
    reader = _READERS.get(key, _read_number)
    if isinstance(value, str) or reader is _read_number:
        return str(value)
    text = _size_words(int(value)) if reader is _read_size else format_duration(value)
    return text if reader(text) == value else str(value)


def _size_words(count: int) -> str:
    """The largest unit of which it is a whole number."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count and count % 1024**power == 0:
            return f"{count // 1024**power}{unit}"
    return str(count)


def _read_number(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", text):
        raise ValueError(f"{shown(text)} is not a number")
    return float(text) if "." in text else int(text)


def _read_seconds(text: str) -> float:
    return _plain(parse_duration(text).total_seconds())


def _read_size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}) ?([a-z]*)", text.lower())
    if not match or match[2] not in _SIZE_UNITS:
        raise ValueError(f'{shown(text)} is not a size; give bytes, or such as "10MB" or "64MiB"')
    return int(match[1]) * _SIZE_UNITS[match[2]]


def _check_engine(url: str) -> None:
    """Not a rule of the file: there a URL of a later Flam must not stop what needs no store."""
    from flam_store.opening import database_path

    try:
        database_path(url)
    except StoreUrlError as error:
        raise ConfigError(f"{error.url!r} {error.problem}", key="store_url") from None


def _plain(number: float) -> float:
    return int(number) if number.is_integer() else number


_READERS: Mapping[str, Callable[[str], Value]] = {
    "backoff_max": _read_seconds,
    "timeout": _read_seconds,
    "log_max_bytes": _read_size,
    "lease_seconds": _read_seconds,
    "shutdown_grace": _read_seconds,
    "keep_completed": _read_seconds,
    "keep_dead": _read_seconds,
    "priority_ageing": _read_seconds,
    "on_success": str,
    "on_failure": str,
    "on_dead": str,
    "store_url": str,
}
