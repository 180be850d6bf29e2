"""Text of jobs made harmless for a terminal, a log line or an error."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping

MASK = "***"

# Controls with C1, what turns the direction of text, what takes no room (Unicode's default
# ignorables), what ends a line, and halves of surrogate pairs. U+FE0E and U+FE0F are left out:
# they only choose how the sign before them is drawn, and half of all emoji carry one.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_UNSEEN = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_HARMFUL = f"[{_CONTROL}{_UNSEEN}]"

_PARAMETERS = r"\[[0-9;:]{0,64}"
_COLOUR = rf"\x1b{_PARAMETERS}m"
_HARMFUL_IN_OUTPUT = rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_UNSEEN}]"
_TOKEN = rf"{_COLOUR}|\r\n|{_HARMFUL_IN_OUTPUT}"
_UNFINISHED = rf"(?:\r|\x1b(?:{_PARAMETERS})?)\Z"
# Patterns are compiled where they are used, and kept by re: together they take a millisecond,
# and most commands need none.
_LONGEST_UNFINISHED = 66
_RESET = "\x1b[0m"
_RESETS = {"\x1b[m", _RESET}
_SHORT_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def visible(text: str) -> str:
    r"""The text on one line, with every character that a terminal would obey or hide escaped.

    What prints stays as it is, a backslash too: the result is for the eye and is not read back.

    >>> visible("a\x1b[2J\n\u202eb")
    'a\\x1b[2J\\n\\u202eb'
    """
    if text.isascii() and text.isprintable():
        return text  # nearly every one
    return re.compile(_HARMFUL).sub(_escape, text)


def one_line(text: str, *, limit: int = 1000) -> str:
    """The text for one line of a log, as :func:`visible` gives it.

    A line feed at its end is left out. At most ``limit`` characters; a last ``…`` says it was cut.
    """
    line = visible(text[: limit + 2].removesuffix("\n"))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class TerminalFilter:
    r"""A job's output, piece by piece, as a terminal may see it.

    Plain text, line feeds, tabs and colours pass; of every other sequence the escape is shown
    as text, so that the terminal obeys none. The pieces may be cut anywhere: what is unfinished
    (at most 66 characters) is kept for the next one. With ``colours=False`` colours are taken
    out. A carriage return before a line feed is left out, any other is shown.

    >>> output = TerminalFilter()
    >>> output.feed(b"\x1b[3") + output.feed(b"1mred\x1b[2J") + output.finish()
    '\x1b[31mred\\x1b[2J\x1b[0m'
    """

    def __init__(self, *, colours: bool = True) -> None:
        self._colours = colours
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unfinished = ""
        self._coloured = False

    def feed(self, piece: bytes) -> str:
        """What may be written now. Bytes that are not UTF-8 become U+FFFD."""
        text = self._unfinished + self._decoder.decode(piece)
        self._unfinished = ""
        if not re.compile(_HARMFUL_IN_OUTPUT).search(text):
            return text
        begin = max(0, len(text) - _LONGEST_UNFINISHED)
        if unfinished := re.compile(_UNFINISHED).search(text, begin):
            self._unfinished = unfinished[0]
            text = text[: unfinished.start()]
        return re.compile(_TOKEN).sub(self._harmless, text)

    def finish(self) -> str:
        """What was kept back, and a reset if a colour is still on. The filter begins anew."""
        text = self._unfinished + self._decoder.decode(b"", final=True)
        end = re.compile(_TOKEN).sub(self._harmless, text)
        if self._coloured:
            end += _RESET
        self._unfinished = ""
        self._coloured = False
        return end

    def _harmless(self, token: re.Match[str]) -> str:
        found = token[0]
        if found == "\r\n":
            return "\n"
        if len(found) == 1:
            return _escape(token)
        if not self._colours:
            return ""
        self._coloured = found not in _RESETS
        return found


def mask(_value: str) -> str:
    """What stands for a secret, whatever its length."""
    return MASK


def mask_env(env: Mapping[str, str]) -> dict[str, str]:
    """The names of a job's environment, with every value masked."""
    return {name: mask(value) for name, value in env.items()}


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None if none is near.

    >>> suggest("max-retry", ["max_retries", "timeout"])
    'max_retries'
    """
    # Only an error needs it, and comparing takes the square of the length.
    from difflib import get_close_matches

    if len(word) > 64:
        return None
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[near[0]] if near else None


def _escape(character: re.Match[str]) -> str:
    code = ord(character[0])
    if character[0] in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character[0]]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
