"""What options of ``enqueue`` give to a spec that leaves it out, under the spec's own rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from flam_cli.options import pairs
from flam_store.durations import parse_duration
from flam_store.errors import SpecError
from flam_store.job import JobSpec, altered
from flam_store.names import new_id

if TYPE_CHECKING:
    from flam_store.spec import Template


@attrs.frozen(kw_only=True)
class Fill:
    """Values of ``JobSpec`` by field, and the caller's directory (None if that is gone)."""

    defaults: dict[str, Any]
    here: str | None

    def built(self, *, args: tuple[str, ...]) -> JobSpec:
        """The spec of a command that was given in words."""
        return self.placed(JobSpec(args=args, **self.defaults))

    def values(self, template: Template, text: bytes) -> dict[str, Any]:
        """What a JSON object gives to its spec, with an absolute directory and an id."""
        values = template.parsed(text)
        base = template.base
        cwd = values.get("cwd", base.cwd)
        if cwd is None or not cwd.startswith("/"):
            values["cwd"] = self.placed(template.spec(values)).cwd
        if "id" not in values:
            values["id"] = base.id or new_id()
        return values

    def placed(self, spec: JobSpec) -> JobSpec:
        """The same spec with an absolute directory."""
        if spec.cwd is not None and os.path.isabs(spec.cwd):
            return spec
        if self.here is None:
            problem = "the working directory is gone; name one that begins with /"
            raise SpecError(problem, field="cwd")
        return altered(spec, {"cwd": os.path.join(self.here, spec.cwd or "")})


def fill(
    *,
    delay: str | None,
    at: str | None,
    timeout: str | None,
    after: list[str] | None,
    label: list[str] | None,
    env: list[str] | None,
    cwd: str | None,
    success_codes: str | None,
    no_retry_on: str | None,
    **plain: str | int | None,
) -> Fill:
    """The options of ``enqueue`` as they were typed, None for those that were not.

    SpecError names the option. ``plain`` are fields whose options need no reading.
    """
    with said_of_options():
        values: dict[str, Any] = plain | {
            "delay": duration("delay", delay),
            "run_at": instant(at),
            "timeout": duration("timeout", timeout),
            "after": tuple(after or ()) or None,
            "labels": pairs("labels", label) or None,
            "env": _environment(env) or None,
            "cwd": cwd,
            "success_codes": _codes("success_codes", success_codes),
            "no_retry_on": _codes("no_retry_on", no_retry_on),
        }
        told = {field: value for field, value in values.items() if value is not None}
        JobSpec(command="true", **told)
    here = _here()
    if here is not None:
        told["cwd"] = os.path.join(here, cwd) if cwd else here
    return Fill(defaults=told, here=here)


@contextmanager
def said_of_options() -> Iterator[None]:
    """What breaks a rule is said of the option that was typed, not of the field that it fills."""
    try:
        yield
    except SpecError as error:
        if error.field is None:
            raise
        raise SpecError(error.problem, field=_option(error.field)) from None


def _option(field: str) -> str:
    return {"run_at": "--at", "labels": "--label"}.get(field, f"--{field.replace('_', '-')}")


def _here() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _codes(field: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    # isdecimal alone takes digits of every script.
    if not all(word.isascii() and word.isdecimal() and len(word) <= 3 for word in words):
        raise SpecError(f"{text[:60]!r} is no list of exit codes such as 0,3", field=field)
    return tuple(map(int, words))


def duration(field: str, text: str | None) -> timedelta | None:
    """A duration that was typed for a field; None stays None."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SpecError(str(error), field=field) from None


def instant(text: str | None) -> datetime | None:
    """The time that was typed for ``run_at``; None stays None."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SpecError(f"{text[:60]!r} is no time in ISO 8601", field="run_at") from None


def _environment(words: list[str] | None) -> dict[str, str]:
    return pairs("env", [word if "=" in word else _inherited(word) for word in words or ()])


def _inherited(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SpecError(f"{name!r} is not set here; give it as {name}=VALUE", field="env")
    return f"{name}={value}"
