"""What a person may still change of a job that waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

import attrs

from flam_store import rules
from flam_store.errors import SpecError


class Unchanged(Enum):
    """Stands for what is left as it is, where None has a meaning of its own."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


def _timeout(change: object, field: rules.Field, value: object) -> None:
    if value is not UNCHANGED:
        rules.timeout(change, field, value)


def _keys(_: object, field: rules.Field, value: tuple[str, ...]) -> None:
    for key in value:
        rules.require_name(field.name, key)


@attrs.frozen(kw_only=True)
class JobChange:
    """New values for a job, under the rules of ``JobSpec``. SpecError for a wrong one, or none.

    None leaves a field as it is, save for ``timeout``, where it takes the limit away.
    ``labels`` are added to those that the job has, or replace them; ``unlabel`` names keys of
    labels to take away. ``delay`` counts from the moment of the change.
    """

    priority: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(rules.priority)
    )
    queue: str | None = attrs.field(default=None, validator=attrs.validators.optional(rules.name))
    run_at: datetime | None = attrs.field(default=None, validator=rules.instant)
    delay: timedelta | None = attrs.field(default=None, validator=rules.delay)
    max_retries: int | None = attrs.field(default=None, validator=rules.policy)
    timeout: timedelta | Unchanged | None = attrs.field(default=UNCHANGED, validator=_timeout)
    labels: Mapping[str, str] = attrs.field(factory=dict, validator=rules.labels)
    unlabel: tuple[str, ...] = attrs.field(default=(), validator=_keys)

    def __attrs_post_init__(self) -> None:
        fields = attrs.asdict(self, recurse=False)
        timeout = fields.pop("timeout")
        if timeout is UNCHANGED and all(value in (None, {}, ()) for value in fields.values()):
            names = ", ".join([*fields, "timeout"])
            raise SpecError(f"Nothing is to be changed; give at least one of {names}.")
        if self.run_at is not None and self.delay is not None:
            raise SpecError("give one of run_at and delay, not both", field="delay")
        if both := sorted(set(self.unlabel).intersection(self.labels)):
            raise SpecError(f"{both[0]} is to be set and to be taken away", field="unlabel")
