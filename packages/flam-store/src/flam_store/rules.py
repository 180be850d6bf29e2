"""The rules that a job's spec obeys, as validators of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from flam_store.bounds import BOUNDS
from flam_store.durations import MAX_DURATION
from flam_store.errors import SpecError
from flam_store.names import NAME_RULE, is_name

if TYPE_CHECKING:
    import attrs

MAX_ARGUMENT_BYTES = 131_071
"""Linux refuses a longer argument or environment string (MAX_ARG_STRLEN, with its NUL)."""

AFTER_POLICIES = ("all", "any")
MAX_KEY_BYTES = 200
MAX_LABEL_BYTES = 1_000
RESERVED_ENV = frozenset({"FLAM_JOB_ID", "FLAM_ATTEMPT", "FLAM_QUEUE", "FLAM_COOKIE"})
HOOK_ENV = "FLAM_HOOK"
"""How the names of variables begin by which a hook knows what has happened."""

Field: TypeAlias = "attrs.Attribute[Any]"


def command(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    _argument(field.name, value)
    if not str(value).strip():
        raise SpecError("is empty", field=field.name)


def args(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, tuple):
        raise SpecError("must be an array of strings", field=field.name)
    for item in value:
        _argument(field.name, item)
    if not value or not value[0]:
        raise SpecError("is empty", field=field.name)


def name(_: object, field: Field, value: Any) -> None:
    if value is not None or field.name != "id":
        _name(field.name, value)


def priority(_: object, field: Field, value: Any) -> None:
    _integer(field.name, value, -(2**31), 2**31 - 1)


def policy(_: object, field: Field, value: Any) -> None:
    """A number of the retry policy: its bounds are the configuration's."""
    if value is None:
        return
    try:
        BOUNDS[field.name].check(value)
    except ValueError as error:
        raise SpecError(str(error), field=field.name) from None


def timeout(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    _duration(field.name, value)
    if value.total_seconds() < BOUNDS["timeout"].low:
        raise SpecError("must be more than 0", field=field.name)


def delay(_: object, field: Field, value: Any) -> None:
    if value is not None:
        _duration(field.name, value)


def instant(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, datetime):
        raise SpecError("must be a time in ISO 8601", field=field.name)
    if value.utcoffset() is None:
        raise SpecError("needs an offset from UTC, such as Z or +02:00", field=field.name)
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise SpecError("lies outside the years 1 to 9999", field=field.name) from None


def directory(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    _text(field.name, value)
    if not value:
        raise SpecError("is empty", field=field.name)


def text(_: object, field: Field, value: Any) -> None:
    if value is not None:
        _text(field.name, value)


def env(instance: object, field: Field, value: Any) -> None:
    hook_env(instance, field, value)
    for key in value:
        if key.startswith(HOOK_ENV):
            raise SpecError(f"{key} is set by Flam itself", field=field.name)


def hook_env(_: object, field: Field, value: Any) -> None:
    for key, item in _pairs(field.name, value):
        _text(field.name, key)
        if not key or "=" in key:
            raise SpecError(f"{key!r} cannot name a variable", field=field.name)
        if key in RESERVED_ENV:
            raise SpecError(f"{key} is set by Flam itself", field=field.name)
        _text(f"{field.name}.{key}", item)
        if len(key.encode()) + len(item.encode()) + 1 > MAX_ARGUMENT_BYTES:
            raise SpecError(f"{key} is longer than {MAX_ARGUMENT_BYTES:,} bytes", field=field.name)


def labels(_: object, field: Field, value: Any) -> None:
    for key, item in _pairs(field.name, value):
        _name(field.name, key)
        _text(f"{field.name}.{key}", item)
        if len(item.encode()) > MAX_LABEL_BYTES:
            raise SpecError(f"{key} is longer than {MAX_LABEL_BYTES:,} bytes", field=field.name)


def after(_: object, field: Field, value: Any) -> None:
    if not isinstance(value, tuple):
        raise SpecError("must be an array of ids", field=field.name)
    for item in value:
        _name(field.name, item)
    if len(set(value)) != len(value):
        raise SpecError("names a job twice", field=field.name)


def after_policy(_: object, field: Field, value: Any) -> None:
    if value not in AFTER_POLICIES:
        raise SpecError(f"must be {' or '.join(AFTER_POLICIES)}", field=field.name)


def exit_codes(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, tuple):
        raise SpecError("must be an array of exit codes", field=field.name)
    for item in value:
        _integer(field.name, item, 0, 255)
    if not value and field.default is None:
        raise SpecError("is empty, so that nothing would be a success", field=field.name)


def unique_key(_: object, field: Field, value: Any) -> None:
    if value is None:
        return
    _text(field.name, value)
    if not 1 <= len(str(value).encode()) <= MAX_KEY_BYTES:
        raise SpecError(f"must have 1 to {MAX_KEY_BYTES} bytes", field=field.name)


def require_name(field: str, value: Any) -> None:
    """Raise SpecError for what is no name of a queue or job."""
    _name(field, value)


def require_concurrency(value: Any) -> None:
    """Raise SpecError for what is no limit of a queue."""
    if value is not None:
        _integer("concurrency", value, 1, 2**31 - 1)


def require_text(field: str, value: Any) -> None:
    """Raise SpecError for what could not be stored as text."""
    _text(field, value)


def _text(field: str, value: Any) -> None:
    if type(value) is not str:
        raise SpecError("must be a string", field=field)
    if "\0" in value:
        raise SpecError("contains a NUL byte", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SpecError("contains a lone surrogate, which is no character", field=field) from None


def _argument(field: str, value: Any) -> None:
    _text(field, value)
    if len(str(value).encode()) > MAX_ARGUMENT_BYTES:
        raise SpecError(f"is longer than {MAX_ARGUMENT_BYTES:,} bytes", field=field)


def _name(field: str, value: Any) -> None:
    if type(value) is not str:
        raise SpecError("must be a string", field=field)
    if not is_name(value):
        raise SpecError(f"{value[:60]!r} is no valid name: {NAME_RULE}", field=field)


def _integer(field: str, value: Any, low: int, high: int) -> None:
    if type(value) is not int:
        raise SpecError("must be an integer", field=field)
    if not low <= value <= high:
        raise SpecError(f"must be from {low} to {high}", field=field)


def _duration(field: str, value: Any) -> None:
    if not isinstance(value, timedelta):
        raise SpecError('must be seconds, or a duration such as "90s" or "2h"', field=field)
    if not timedelta(0) <= value <= MAX_DURATION:
        raise SpecError(f"must be from 0 to {MAX_DURATION.days:,} days", field=field)


def _pairs(field: str, value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        raise SpecError("must be an object of strings", field=field)
    return list(value.items())
