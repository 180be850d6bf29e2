"""From the lines of an exported file to records: as strict as a spec, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from flam_store import rules
from flam_store.errors import SpecError
from flam_store.hooks import spec_kind
from flam_store.portable import END, FORMAT, HEADER, VERSION, PastAttempt, Record
from flam_store.rules import require_name
from flam_store.spec import parse_json, structure
from flam_store.state import AttemptState, State
from flam_store.text import suggest

MAX_LINE_BYTES = 64 << 20
"""A line holds a spec of a megabyte, whose escapes make it longer, and any number of attempts."""

_MOST = 2**63 - 1

Check = Callable[[str, Any], Any]


def parse_records(file: Iterable[bytes]) -> Iterator[Record]:
    """The records in the lines of a file. SpecError, which names the line and the field.

    What was given out counts for nothing before the last line has been reached.
    """
    numbered = enumerate(file, 1)
    _check_header(next(numbered, (1, b""))[1])
    number = 1
    for number, line in numbered:
        try:
            value = _parsed(line)
            if value == END:
                _check_end(numbered)
                return
            yield parse_record(value, line=number)
        except SpecError as error:
            raise error if error.line else error.at_line(number) from None
    problem = 'the file is cut short: its last line, {"end": "' + FORMAT + '"}, is missing'
    raise SpecError(problem, line=number)


def parse_record(value: Any, *, line: int | None = None) -> Record:
    """One record from parsed JSON. SpecError."""
    return Record(**_object("", value, _RECORD), line=line)


def _check_header(line: bytes) -> None:
    try:
        header = _parsed(line)
    except SpecError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        problem = f'is no export of Flam: its first line must say {{"format": "{FORMAT}"}}'
        raise SpecError(problem, line=1)
    version = header.get("version")
    if type(version) is int and version > VERSION:
        problem = f"is {version}; this Flam reads {VERSION}. Install a later flam-store"
        raise SpecError(problem, field="version", line=1)
    if header != HEADER or type(version) is not int:
        raise SpecError(
            f"must be {VERSION}, and nothing else stands there", field="version", line=1
        )


def _check_end(rest: Iterator[tuple[int, bytes]]) -> None:
    for number, line in rest:
        if line.strip():
            raise SpecError("stands behind the end of the export", line=number)


def _parsed(line: bytes) -> Any:
    if len(line) > MAX_LINE_BYTES:
        raise SpecError(f"is longer than {MAX_LINE_BYTES:,} bytes")
    return parse_json(line.rstrip(b"\n"))


def _object(where: str, value: Any, fields: dict[str, Check]) -> dict[str, Any]:
    """What the object has, each checked; all of it must be there, and nothing else."""
    if not isinstance(value, dict):
        raise SpecError("must be an object", field=where or None)
    if unknown := value.keys() - fields.keys():
        name = min(unknown)
        meant = suggest(name, fields)
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise SpecError(f"is no field of an export{hint}", field=f"{where}{name[:60]}")
    if missing := fields.keys() - value.keys():
        raise SpecError("is missing", field=f"{where}{min(missing)}")
    return {name: check(f"{where}{name}", value[name]) for name, check in fields.items()}


def _spec(where: str, value: Any) -> Any:
    try:
        return structure(value, spec_kind(value.get("env") if isinstance(value, dict) else None))
    except SpecError as error:
        field = f"{where}.{error.field}" if error.field else where
        raise SpecError(error.problem, field=field) from None


def _history(where: str, value: Any) -> tuple[PastAttempt, ...]:
    return tuple(
        _attempt(f"{where}.{number}.", item) for number, item in enumerate(_list(where, value), 1)
    )


def _attempt(where: str, value: Any) -> PastAttempt:
    given = _object(where, value, _ATTEMPT)
    try:
        return PastAttempt(**given)
    except SpecError as error:
        raise SpecError(error.problem, field=f"{where}{error.field}") from None


def _names(where: str, value: Any) -> tuple[str, ...]:
    for item in _list(where, value):
        require_name(where, item)
    return tuple(value)


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise SpecError("must be an array", field=where)
    return value


def _state(where: str, value: Any) -> State:
    return State(_one_of(where, value, [each.value for each in State]))


def _attempt_state(where: str, value: Any) -> AttemptState:
    return AttemptState(_one_of(where, value, [each.value for each in AttemptState]))


def _one_of(where: str, value: Any, words: list[str]) -> str:
    if type(value) is not str or value not in words:
        raise SpecError(f"must be one of {', '.join(words)}", field=where)
    return value


def _instant(where: str, value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value if type(value) is str else "")
        if at.utcoffset() is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise SpecError("must be a time in ISO 8601, such as 2026-01-31T12:00:00Z", field=where)


def _whole(where: str, value: Any) -> int:
    if type(value) is not int or abs(value) > _MOST:
        raise SpecError("must be an integer", field=where)
    return value


def _text(where: str, value: Any) -> str:
    rules.require_text(where, value)
    return str(value)


def _worker(where: str, value: Any) -> str:
    if not _text(where, value):
        raise SpecError("is empty", field=where)
    return str(value)


def _or_null(check: Check) -> Check:
    return lambda where, value: None if value is None else check(where, value)


_ATTEMPT: dict[str, Check] = {
    "attempt": _whole,
    "state": _attempt_state,
    "worker": _worker,
    "due_at": _instant,
    "started_at": _instant,
    "finished_at": _or_null(_instant),
    "exit_code": _or_null(_whole),
    "signal": _or_null(_text),
    "cause": _or_null(_text),
    "error": _or_null(_text),
    "cancel_requested_at": _or_null(_instant),
    "cancel_requested_by": _or_null(_text),
}

_RECORD: dict[str, Check] = {
    "spec": _spec,
    "state": _state,
    "attempts": _whole,
    "created_at": _instant,
    "updated_at": _instant,
    "run_at": _instant,
    "gone": _names,
    "history": _history,
}
