from __future__ import annotations

import re
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flam_store.text import TerminalFilter, mask, mask_env, one_line, suggest, visible

# Unicode calls these format characters, but they are signs that a reader sees.
SEEN_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
SEEN_FORMATS |= set(range(0x13430, 0x13440))
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    b"\x1b",
                    b"\x1b[",
                    b"\x1b[31m",
                    b"\x1b[0m",
                    b"\x1b[2J",
                    b"\x1b]0;x\x07",
                    b"\x1bP",
                ),
                *(b"\x9b", b"\xc2\x9b", b"\r", b"\n", b"\r\n", b"\x08", b"m", b"3", b";", b"\xe2"),
                *("\u202e".encode(), "\u200b".encode(), "é€😀".encode(), b"\xf0\x9f", b"1" * 70),
            ]
        ),
        st.binary(max_size=6),
    ),
    max_size=12,
).map(b"".join)


def is_harmful(character: str) -> bool:
    if unicodedata.category(character) == "Cf":
        return ord(character) not in SEEN_FORMATS
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def filtered(*pieces: bytes) -> str:
    output = TerminalFilter()
    return "".join([*map(output.feed, pieces), output.finish()])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\0\x08\x7f", r"\x00\x08\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u200bb\u200db\ufeff", r"a\u200bb\u200db\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164\u115f\u034f\xad", r"\u3164\u115f\u034f\xad"),
    ],
)
def test_fields_show_what_a_terminal_would_obey_or_hide(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        "größer, 日本語, עברית, العربية",
        "e\u0301",
        "⚠\ufe0f ✅ 😀",
        "a\xa0b\u3000c",
        r"C:\new\x1b",
        "[bold]{x}%s",
    ],
)
def test_fields_keep_what_prints(text: str) -> None:
    assert visible(text) == text


def test_no_character_of_unicode_that_is_harmful_stays_in_a_field() -> None:
    everything = map(chr, range(sys.maxunicode + 1))
    left = [f"U+{ord(c):04X}" for c in everything if is_harmful(c) and c in visible(c)]
    assert left == []


def test_every_letter_digit_mark_and_symbol_but_the_unseen_stays_in_a_field() -> None:
    unseen = re.compile(r"FILLER|VARIATION SELECTOR|GRAPHEME JOINER|INHERENT|SHORTHAND|BEAM|SLUR")
    printing = (chr(c) for c in range(sys.maxunicode + 1))
    lost = [
        unicodedata.name(c)
        for c in printing
        if unicodedata.category(c)[0] in "LNMPS" and visible(c) != c
    ]
    assert [name for name in lost if not unseen.search(name)] == []


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_fields_are_one_harmless_line_and_stay_as_they_are_when_shown_again(text: str) -> None:
    shown = visible(text)
    assert not any(map(is_harmful, shown))
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


def test_one_line_drops_the_last_line_feed_and_shows_the_others() -> None:
    assert one_line("first\nsecond\n") == r"first\nsecond"


def test_one_line_is_cut_at_its_limit() -> None:
    assert one_line("abcdef", limit=6) == "abcdef"
    assert one_line("abcdef\n", limit=6) == "abcdef"
    assert one_line("abcdefg", limit=6) == "abcde…"
    assert one_line("\n" * 10_000, limit=7) == r"\n\n\n…"


def test_plain_text_line_feeds_tabs_and_colours_pass_to_the_terminal() -> None:
    text = "\x1b[1;38;5;208mhot\x1b[0m\tgrün\n\x1b[38:2::1:2:3mx\x1b[m"
    assert filtered(text.encode()) == text


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (b"\x1b[2J", r"\x1b[2J"),
        (b"\x1b[?25l", r"\x1b[?25l"),
        (b"\x1b[>4;1m", r"\x1b[>4;1m"),
        (b"\x1b[31 m", r"\x1b[31 m"),
        (b"\x1b[3\n1m", "\\x1b[3\n1m"),
        (b"\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
        (b"\x1b]8;;http://x\x1b\\link", r"\x1b]8;;http://x\x1b\link"),
        (b"\x1bPq\x1b\\", r"\x1bPq\x1b\\"[:-1]),
        (b"\x1b_x\x1b^y\x1bXz", r"\x1b_x\x1b^y\x1bXz"),
        (b"\x1bc", r"\x1bc"),
        (b"\x1b[" + b"1" * 65 + b"m", r"\x1b[" + "1" * 65 + "m"),
        (b"\x1b", r"\x1b"),
        (b"\xc2\x9b31m", r"\x9b31m"),
        (b"good\rbad", r"good\rbad"),
        (b"good\b\b", r"good\x08\x08"),
        (b"\a\v\f\0\x7f", r"\x07\x0b\x0c\x00\x7f"),
        ("\u202e\u200b\u2028\ufeff\U000e0041".encode(), r"\u202e\u200b\u2028\ufeff\U000e0041"),
    ],
)
def test_every_other_sequence_is_shown_and_not_sent(output: bytes, shown: str) -> None:
    assert filtered(output) == shown


def test_bytes_that_are_not_utf_8_become_replacement_characters() -> None:
    assert filtered(b"a\xff\x9b31mb\xe2\x82") == "a\ufffd\ufffd31mb\ufffd"


def test_a_carriage_return_at_the_end_of_a_line_is_left_out() -> None:
    assert filtered(b"one\r\ntwo\r", b"\nthree\r\r\n") == "one\ntwo\nthree\\r\n"


def test_a_sequence_split_over_writes_is_still_one() -> None:
    output = TerminalFilter()
    assert output.feed(b"a\x1b") == "a"
    assert output.feed(b"[3") == ""
    assert output.feed(b"1mb") == "\x1b[31mb"


def test_an_unfinished_sequence_is_held_back_only_so_long() -> None:
    output = TerminalFilter()
    held = output.feed(b"\x1b[" + b"1" * 64)
    assert held == ""
    assert output.feed(b"1") == r"\x1b[" + "1" * 65
    assert output.feed(b"m") == "m"


def test_plain_text_is_not_held_back() -> None:
    assert TerminalFilter().feed(b"Password: ") == "Password: "


def test_the_end_shows_what_was_held_back_and_puts_colours_back() -> None:
    assert filtered(b"\x1b[31mred") == "\x1b[31mred\x1b[0m"
    assert filtered(b"\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert filtered(b"\x1b[31") == r"\x1b[31"


def test_the_filter_begins_anew_after_its_end() -> None:
    output = TerminalFilter()
    output.feed(b"\x1b[31mred\xe2\x82")
    output.finish()
    assert output.feed(b"[0m\xacplain") + output.finish() == "[0m\ufffdplain"


def test_colours_can_be_taken_out() -> None:
    output = TerminalFilter(colours=False)
    assert output.feed(b"\x1b[31mred\x1b[2J") + output.finish() == r"red\x1b[2J"


@settings(deadline=None)
@given(HOSTILE, st.lists(st.integers(0, 200), max_size=6))
def test_output_is_the_same_wherever_it_is_split(output: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    pieces = [output[a:b] for a, b in pairwise(edges)]
    assert b"".join(pieces) == output
    assert filtered(*pieces) == filtered(output)


@settings(deadline=None)
@given(HOSTILE)
def test_output_byte_by_byte_is_the_same_as_in_one_piece(output: bytes) -> None:
    assert filtered(*(bytes([byte]) for byte in output)) == filtered(output)


@settings(deadline=None)
@given(HOSTILE)
def test_nothing_but_colours_line_feeds_and_tabs_reaches_the_terminal(output: bytes) -> None:
    rest = COLOUR.sub("", filtered(output))
    assert not any(is_harmful(c) for c in rest if c not in "\n\t")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("C", "Z", "M")) | st.sampled_from(" \n\t")))
def test_output_that_prints_is_not_changed(text: str) -> None:
    harmless = "".join(c for c in text if visible(c) == c or c in "\n\t")
    assert filtered(harmless.encode()) == harmless


def test_a_mask_tells_nothing_of_the_value() -> None:
    assert mask("hunter2") == mask("") == "***"
    assert mask_env({"TOKEN": "hunter2", "EMPTY": ""}) == {"TOKEN": "***", "EMPTY": "***"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("max-retries", "max_retries"),
        ("maxretries", "max_retries"),
        ("TIMEOUT", "timeout"),
        ("timout", "timeout"),
        ("zebra", None),
        ("", None),
        pytest.param("timeout" * 100_000, None, id="700000 letters"),
    ],
)
def test_a_near_miss_is_told_from_nonsense(word: str, meant: str | None) -> None:
    assert suggest(word, ["max_retries", "timeout", "queue"]) == meant
