"""From JSON text to a JobSpec: strict, and with one clear sentence for what is refused.

``json`` alone takes NaN, the last of duplicate keys and numbers of any length; what passes
here is exactly what the rules of ``JobSpec`` allow. Conversion is done by cattrs without
details, which is fast; only text that was refused is converted again to say where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Never, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
)

from flam_store.durations import parse_duration
from flam_store.errors import SpecError
from flam_store.job import JobSpec, altered, given, restored

if TYPE_CHECKING:
    from collections.abc import Hashable

MAX_SPEC_BYTES = 1 << 20
FIELDS = tuple(field.name for field in attrs.fields(JobSpec))

_Form = Callable[[Any, Any], Any]


def parse_spec(text: str | bytes, **defaults: Any) -> JobSpec:
    """One spec from a JSON object of at most 1 MiB. SpecError.

    ``defaults`` are values of ``JobSpec`` for what the object leaves out.
    """
    _check_size(text)
    return structure(parse_json(text), **defaults)


def parse_specs(text: str | bytes, **defaults: Any) -> JobSpec | list[JobSpec]:
    """One spec from a JSON object, or a list of them from an array. SpecError."""
    value = parse_json(text)
    if not isinstance(value, list):
        _check_size(text)
        return structure(value, **defaults)
    if _size(text) > MAX_SPEC_BYTES:
        for item in value:
            _check_size(json.dumps(item, ensure_ascii=False))
    template = Template.of(JobSpec, defaults)
    return [_element(number, item, template) for number, item in enumerate(value, 1)]


def _element(number: int, item: object, template: Template) -> JobSpec:
    try:
        return template.spec(template.values(item))
    except SpecError as error:
        raise SpecError(f"{error} (element {number} of the array)") from None


def spec_text(spec: JobSpec) -> str:
    """The JSON object that ``parse_spec`` makes this spec of; for one without ``run_at``."""
    return json.dumps(given(spec), ensure_ascii=False, separators=(",", ":"))


def structure(value: object, kind: type[JobSpec] = JobSpec, **defaults: Any) -> JobSpec:
    """One spec, of this kind, from parsed JSON. SpecError."""
    # mypy takes the __hash__ of the instances for that of the class.
    plain = _without_defaults(cast("Hashable", kind))
    template = Template.of(kind, defaults) if defaults else plain
    return template.spec(template.values(value))


_COUNTERPARTS = (("command", "args"), ("args", "command"), ("run_at", "delay"), ("delay", "run_at"))
"""A default does not come beside its counterpart: a spec with args wants no command."""


@attrs.frozen(kw_only=True)
class Template:
    """What many specs share: each is then only judged by what it gives itself.

    ``base`` is a valid spec with the ``defaults`` and, as each gives its own, a command made up.
    """

    base: JobSpec
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, kind: type[JobSpec], defaults: Mapping[str, Any]) -> Template:
        """With values of ``kind`` for what a spec leaves out. SpecError."""
        runs = {} if "args" in defaults else {"command": "true"}
        return cls(base=kind(**{**runs, **defaults}), defaults=defaults)

    def parsed(self, text: str | bytes) -> dict[str, Any]:
        """The ``values`` of a JSON object of at most 1 MiB. SpecError."""
        _check_size(text)
        return self.values(parse_json(text))

    def values(self, value: object) -> dict[str, Any]:
        """What differs from the base in the spec of a parsed object. SpecError."""
        if not isinstance(value, dict):
            raise SpecError("a spec must be a JSON object")
        try:
            values = self._given(value)
            altered(self.base, values)
        except Exception:  # noqa: BLE001 - whatever it was, the second look says what is wrong
            spec = _filled(_judged(value, type(self.base)), value, self.defaults)
            return attrs.asdict(spec, recurse=False)
        return values

    def spec(self, values: Mapping[str, Any]) -> JobSpec:
        """The spec of these ``values``."""
        return restored(self.base, values)

    def _given(self, value: dict[str, Any]) -> dict[str, Any]:
        """Any exception for what is not as it should be."""
        forms = _forms()
        values = {
            field: item if (form := forms[field]) is None else form(item, None)
            for field, item in value.items()
        }
        if None in values.values():
            raise ValueError
        for field, other in _COUNTERPARTS:
            if field in values and other not in values and getattr(self.base, other) is not None:
                values[other] = None
        if "command" not in values and "args" not in values:
            raise ValueError
        return values


@cache
def _without_defaults(kind: Any) -> Template:
    return Template.of(kind, {})


@cache
def _forms() -> dict[str, _Form | None]:
    """What the converter does with a value of each field; None: it leaves it as it is."""
    hooks = {
        field: _converter(detailed=False).get_structure_hook(_besides_none(hint))
        for field, hint in get_type_hints(JobSpec).items()
    }
    return {field: None if hook is _unchanged else hook for field, hook in hooks.items()}


def _besides_none(hint: Any) -> Any:
    kinds = get_args(hint)
    return kinds[0] if NoneType in kinds else hint


def _judged(value: dict[str, Any], kind: type[JobSpec]) -> JobSpec:
    """The spec without defaults; SpecError for the first thing that is wrong with it."""
    for field, item in value.items():
        if item is None and field in FIELDS:
            raise SpecError("is null; leave it out instead", field=field)
    try:
        return _converter(detailed=False).structure(value, kind)
    except SpecError:
        raise
    except Exception:  # noqa: BLE001 - whatever it was, the second look says where
        _explain(value, kind)


def _filled(spec: JobSpec, value: dict[str, Any], defaults: Mapping[str, Any]) -> JobSpec:
    given = set(value)
    given.update(other for field, other in _COUNTERPARTS if field in value)
    missing = {field: item for field, item in defaults.items() if field not in given}
    return attrs.evolve(spec, **missing)


def _check_size(text: str | bytes) -> None:
    size = _size(text)
    if size > MAX_SPEC_BYTES:
        raise SpecError(f"a spec has at most {MAX_SPEC_BYTES:,} bytes; this one has {size:,}")


def _size(text: str | bytes) -> int:
    """In bytes of UTF-8."""
    if isinstance(text, bytes) or text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def parse_json(text: str | bytes) -> Any:
    """JSON, without what only Python takes for such, and without duplicate keys. SpecError."""
    try:
        if isinstance(text, bytes):
            text = text.decode()
        return _DECODER.decode(text) if text[:1] != _MARK else json.loads(text)
    except UnicodeDecodeError as error:
        raise SpecError(f"is no UTF-8: byte {error.start + 1} is wrong") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SpecError(f"is no JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise SpecError("is no spec: the JSON is nested too deeply") from None
    except ValueError as error:
        raise SpecError(f"is no spec: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecError("is given twice", field=twice[:60])
    return found


def _refuse_constant(name: str) -> Never:
    raise SpecError(f"is no JSON: {name} is not a number")


_MARK = "\ufeff"
"""A byte order mark, which ``json.loads`` refuses by that name."""

_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


@cache
def _converter(*, detailed: bool) -> Converter:
    """Hooks that only change a value's form: the rules of ``JobSpec`` judge it as it is."""
    converter = Converter(detailed_validation=detailed, forbid_extra_keys=True)
    for kind in (str, int, float):
        converter.register_structure_hook(kind, _unchanged)
    converter.register_structure_hook(timedelta, _duration)
    converter.register_structure_hook(datetime, _instant)
    converter.register_structure_hook_func(lambda kind: _is(kind, tuple), _array)
    converter.register_structure_hook_func(lambda kind: _is(kind, Mapping), _unchanged)
    return converter


def _is(kind: Any, origin: Any) -> bool:
    return get_origin(kind) is origin


def _unchanged(value: Any, _: object) -> Any:
    return value


def _array(value: Any, _: object) -> Any:
    return tuple(value) if type(value) is list else value


def _duration(value: Any, _: object) -> timedelta:
    if type(value) not in (int, float, str):
        raise ValueError('must be seconds, or a duration such as "90s" or "2h"')
    return parse_duration(value)


def _instant(value: Any, _: object) -> datetime:
    if type(value) is not str:
        raise ValueError("must be a time in ISO 8601, such as 2026-01-31T12:00:00Z")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:60]!r} is no time in ISO 8601") from None


def _explain(value: dict[str, Any], kind: type[JobSpec]) -> Never:
    try:
        _converter(detailed=True).structure(value, kind)
    except BaseValidationError as group:
        for error in group.exceptions:
            raise _as_spec_error(error) from None
    raise SpecError("is no valid spec")


def _as_spec_error(error: Exception) -> SpecError:
    if isinstance(error, SpecError):
        return error
    if isinstance(error, ForbiddenExtraKeysError):
        return unknown_field(min(error.extra_fields))
    notes = getattr(error, "__notes__", [])
    field = next((note.name for note in notes if isinstance(note, AttributeValidationNote)), None)
    return SpecError(str(error), field=field)


def unknown_field(name: str) -> SpecError:
    """The refusal of a field that a spec does not have, with the one that was meant."""
    from flam_store.text import suggest

    meant = suggest(name, FIELDS)
    hint = f"; did you mean {meant!r}?" if meant else f"; a spec has {', '.join(FIELDS)}"
    return SpecError(f"is no field of a spec{hint}", field=name[:60])
