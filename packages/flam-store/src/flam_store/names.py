"""The rule for ids, names of queues and keys of labels; ids that Flam makes itself."""

from __future__ import annotations

import os
import re
import time

NAME_RULE = "letters, digits and ._:@+-, first a letter or digit, at most 200"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}", re.ASCII)

_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""Of a random digit two bits stay."""


def is_name(text: str) -> bool:
    """Whether the text may be an id, the name of a queue or the key of a label."""
    return _NAME.fullmatch(text) is not None


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits.

    The standard library has one from Python 3.14 on, behind a slower import.
    """
    text = f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
    variant = _VARIANTS[text[15]]
    return f"{text[:8]}-{text[8:12]}-7{text[12:15]}-{variant}{text[16:19]}-{text[19:31]}"
