"""The rule for ids, names of queues and keys of labels; ids that Flam makes itself."""

from __future__ import annotations

import os
import re
import time

NAME_RULE = "letters, digits and ._:@+-, first a letter or digit, at most 200"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether the text may be an id, the name of a queue or the key of a label."""
    return _NAME.fullmatch(text) is not None


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits.

    The standard library has one from Python 3.14 on, behind a slower import.
    """
    millis = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    random = int.from_bytes(os.urandom(10), "big")
    high, low = random >> 68, random & 0x3FFF_FFFF_FFFF_FFFF
    value = millis << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
