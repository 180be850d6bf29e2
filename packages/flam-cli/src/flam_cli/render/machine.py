"""JSON on standard output: one document, in ASCII, which no terminal takes for a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any


def document(value: Any) -> None:
    """Print one value."""
    print(_packed(value))


def array(items: Iterable[Any]) -> None:
    """Print an array while its items come; nothing before the first one is there."""
    mark = "["
    for item in items:
        sys.stdout.write(f"{mark}{_packed(item)}")
        mark = ",\n"
    print("[]" if mark == "[" else "]")


def _packed(value: Any) -> str:
    # The one control character that JSON leaves as it is, is DEL.
    return json.dumps(value, allow_nan=False).replace("\x7f", r"\u007f")
