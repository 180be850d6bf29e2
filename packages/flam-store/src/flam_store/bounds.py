"""The numbers that a job's policy and the configuration may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from flam_store.durations import MAX_DURATION


@attrs.frozen(kw_only=True)
class Bounds:
    """The numbers that a field may hold, both ends included."""

    low: float
    high: float
    noun: str = "a number"
    whole: bool = False

    def check(self, value: object) -> None:
        """Raise ValueError, with words that can follow the field's name, for any other value.

        A bool is no number, and a float is no integer.
        """
        # NaN is refused as well: every comparison with it is false.
        is_number = type(value) is int or (type(value) is float and not self.whole)
        if not (is_number and self.low <= value <= self.high):  # type: ignore[operator]
            raise ValueError(f"must be {self}, not {shown(value)}")

    def __str__(self) -> str:
        return f"{self.noun} from {self.low:.15g} to {self.high:.15g}"


def _seconds(low: float, high: float = MAX_DURATION.total_seconds()) -> Bounds:
    return Bounds(low=low, high=high, noun="a number of seconds")


BOUNDS: Mapping[str, Bounds] = {
    "max_retries": Bounds(low=0, high=2**31 - 1, noun="an integer", whole=True),
    "backoff_base": Bounds(low=0, high=1e6),
    "backoff_max": _seconds(0),
    "backoff_jitter": Bounds(low=0, high=1),
    "timeout": _seconds(0.001),
    # Less could not hold the head, the tail and the note about the gap between them.
    "log_max_bytes": Bounds(low=512, high=2**40, noun="an integer (bytes)", whole=True),
    # A heartbeat is a third of a lease; jobs of a dead host wait as long as one lasts.
    "lease_seconds": _seconds(3, 86_400),
    "shutdown_grace": _seconds(0),
    "keep_completed": _seconds(0),
    "keep_dead": _seconds(0),
    "priority_ageing": _seconds(0.001),
}
"""What each key with a number allows. A job's spec has the same bounds for the same names."""


def shown(value: object) -> str:
    """A value as an error names it: short, and in JSON's words."""
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
