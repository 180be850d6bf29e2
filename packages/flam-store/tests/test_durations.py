from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flam_store.durations import MAX_DURATION, format_duration, parse_duration

durations = st.timedeltas(timedelta(), MAX_DURATION)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86_400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1d2h3m4s5ms", 93_784.005),
        ("5ms", 0.005),
        ("0", 0),
        ("0s", 0),
        (90, 90),
        (0, 0),
        (0.25, 0.25),
    ],
)
def test_words_and_numbers_of_seconds_become_durations(words: object, seconds: float) -> None:
    assert parse_duration(words) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "words",
    [
        "",
        " ",
        " 5m",
        "5m ",
        "5m  3s",
        "m",
        "10x",
        "10M",
        "1h30",
        "30 m",
        "1.h",
        ".5h",
        "1..5h",
        "1e3",
        "1_000",
        "+5s",
        "-5s",
        "nan",
        "inf",
        "5m\n",
        "٣s",
        pytest.param("9" * 5000, id="5000 digits"),
        pytest.param("1h" * 1000, id="1000 parts"),
    ],
)
def test_words_that_are_no_duration_are_refused_in_one_line(words: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; give seconds") as caught:
        parse_duration(words)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("words", ["30m1h", "1h1h", "5ms1s", "1m2m"])
def test_units_out_of_order_or_given_twice_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="each unit once, the larger first"):
        parse_duration(words)


@pytest.mark.parametrize("value", [True, False, None, [5], {"s": 5}, b"5s"])
def test_what_is_neither_number_nor_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, -0.001, float("-inf")])
def test_negative_numbers_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        parse_duration(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        1e300,
        pytest.param(10**5000, id="5000 digits"),
        "36501d",
        "9" * 60,
        "36500d1s",
    ],
)
def test_what_no_instant_could_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be at most 36,500 days"):
        parse_duration(value)


def test_the_longest_duration_is_accepted() -> None:
    assert parse_duration("36500d") == MAX_DURATION


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.25, "250ms"),
        (0.9999, "999ms"),
        (1, "1s"),
        (1.25, "1.2s"),
        (10, "10s"),
        (59.96, "59.9s"),
        (60, "1m"),
        (61.9, "1m 1s"),
        (3599.9, "59m 59s"),
        (7503, "2h 5m"),
        (7200, "2h"),
        (86_399, "23h 59m"),
        (273_600, "3d 4h"),
        (-90, "-1m 30s"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
    assert format_duration(timedelta(seconds=seconds)) == words


@settings(deadline=None)
@given(durations)
def test_what_is_said_can_be_read_and_is_rounded_down(duration: timedelta) -> None:
    words = format_duration(duration)
    again = parse_duration(words)
    assert again <= duration
    assert format_duration(again) == words


@settings(deadline=None)
@given(durations)
def test_a_number_of_seconds_is_kept_to_the_microsecond(duration: timedelta) -> None:
    assert parse_duration(duration.total_seconds()) == duration


@settings(deadline=None)
@given(st.text(alphabet="0123456789.dhms -", max_size=12))
def test_any_text_is_a_bounded_duration_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert timedelta() <= duration <= MAX_DURATION
