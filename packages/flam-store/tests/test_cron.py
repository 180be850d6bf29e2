from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest

from flam_store.cron import ALIASES, Cron, fields_of, parse_cron, zone_named
from flam_store.zones import local_zone

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)  # a Saturday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def ticks(expression: str, after: datetime, count: int, zone: str = "UTC") -> list[datetime]:
    return list(islice(parse_cron(expression, zone).ticks(after), count))


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("* * * * *", "2026-01-31T12:01Z"),
        ("*/5 * * * *", "2026-01-31T12:05Z"),
        ("0 12 * * *", "2026-02-01T12:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00Z"),
        ("0 0 * * 7", "2026-02-01T00:00Z"),
        ("0 0 * * sun", "2026-02-01T00:00Z"),
        ("30 4 1,15 * 5", "2026-02-01T04:30Z"),
        ("0 0 L FEB *", "2026-02-28T00:00Z"),
        ("0 0 * * MON#2", "2026-02-09T00:00Z"),
        (" 0  1-3/2 \t * * * ", "2026-02-01T01:00Z"),
        ("@hourly", "2026-01-31T13:00Z"),
        ("@daily", "2026-02-01T00:00Z"),
        (" @Midnight ", "2026-02-01T00:00Z"),
        ("@weekly", "2026-02-01T00:00Z"),
        ("@monthly", "2026-02-01T00:00Z"),
        ("@yearly", "2027-01-01T00:00Z"),
        ("@annually", "2027-01-01T00:00Z"),
    ],
)
def test_an_expression_says_when_it_comes_next(expression: str, following: str) -> None:
    assert parse_cron(expression, "UTC").next(NOON) == at(following)


def test_every_alias_is_an_expression() -> None:
    for alias, fields in ALIASES.items():
        assert fields_of(alias) == fields_of(fields) == fields


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "no seconds"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("0 0 31 4 *", "bad day-of-month"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("1,,2 * * * *", "bad minute"),
        ("-1 * * * *", "bad minute"),
        ("9999999999999999999999 * * * *", "bad minute"),
        ("\u0663 * * * *", "sign"),
        ("* * ? * *", "sign"),
        ("* * * * \x1b[2J", "sign"),
        ("@reboot", "no alias"),
        ("@", "no alias"),
        ("* " * 200, "longer than 200"),
    ],
)
def test_what_is_no_expression_is_refused_in_one_line(expression: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        fields_of(expression)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "Europe/Berln", "../UTC", "/etc/passwd", "zone.tab", "\0", "x" * 500, "\udfff"],
)
def test_what_is_no_zone_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="time zone of this host") as refused:
        zone_named(name)
    assert "\n" not in str(refused.value)


def test_a_zone_that_was_meant_is_named() -> None:
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        zone_named("europe/berlin")


def test_utc_is_known_without_any_data() -> None:
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert zone_named("UTC") is UTC
        assert local_zone({"TZ": "UTC"}) == "UTC"
        if find_spec("tzdata") is None:
            with pytest.raises(ValueError, match="install tzdata"):
                zone_named("Europe/Berlin")
            assert local_zone({"TZ": "Europe/Berlin"}) == "UTC"
    finally:
        zoneinfo.reset_tzpath(to=before)


BERLIN = "Europe/Berlin"
SPRING, AUTUMN = at("2026-03-29T00:00+01:00"), at("2026-10-25T00:00+02:00")


def test_in_the_hour_that_is_left_out_a_daily_tick_comes_at_its_end() -> None:
    assert ticks("30 2 * * *", SPRING, 2, BERLIN) == [
        at("2026-03-29T03:00+02:00"), at("2026-03-30T02:30+02:00")
    ]  # fmt: skip


def test_in_the_hour_that_comes_twice_a_daily_tick_comes_once() -> None:
    first, second = at("2026-10-25T02:30+02:00"), at("2026-10-26T02:30+01:00")
    assert ticks("30 2 * * *", AUTUMN, 2, BERLIN) == [first, second]
    within = at("2026-10-25T02:10+01:00")
    assert ticks("30 2 * * *", within, 1, BERLIN) == [second]


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_hourly_ticks_go_by_the_time_that_passes(day: datetime, hours: int) -> None:
    found = ticks("0 * * * *", day, hours, BERLIN)
    assert found == [day + timedelta(hours=n + 1) for n in range(hours)]
    assert found[-1].astimezone(zone_named(BERLIN)).hour == 0


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/7 * * * *", "30 2 * * *", "0-59 1-3 * * *", "15 */6 * * 0"]
)
def test_ticks_grow_and_the_last_one_is_found_from_any_time(zone: str, expression: str) -> None:
    cron = parse_cron(expression, zone)
    for day in (SPRING, AUTUMN):
        begin = day - timedelta(days=1)
        found = list(islice(cron.ticks(begin), 200))
        assert found == sorted(set(found))
        for until in (begin + timedelta(minutes=37 * n) for n in range(100)):
            earlier = [tick for tick in found if tick <= until]
            if earlier and until < found[-1]:
                assert cron.latest(earlier[0], until) == earlier[-1]
                assert cron.next(until) == found[len(earlier)]


def test_the_last_of_a_million_ticks_is_found_in_few_steps() -> None:
    steps = 0

    class Counting(Cron):
        def next(self, after: datetime) -> datetime | None:
            nonlocal steps
            steps += 1
            return super().next(after)

    cron = Counting("* * * * *", UTC)
    until = NOON + timedelta(minutes=1_000_000, seconds=59)
    assert cron.latest(NOON, until) == NOON + timedelta(minutes=1_000_000)
    assert steps < 50


@pytest.mark.parametrize("zone", ["UTC", BERLIN])
def test_ticks_end_with_the_calendar_and_where_there_are_none(zone: str) -> None:
    end = datetime(9999, 12, 31, 22, 30, tzinfo=UTC)
    assert len(ticks("* * * * *", end, 1_000, zone)) < 100
    assert ticks("0 0 */31 2 MON#5", NOON, 1, zone) == []


def test_the_zone_of_the_host_is_named(tmp_path: Path) -> None:
    zones = tmp_path / "zoneinfo" / "Europe"
    zones.mkdir(parents=True)
    (zones / "Berlin").touch()
    link, file, none = tmp_path / "localtime", tmp_path / "timezone", tmp_path / "none"
    link.symlink_to(zones / "Berlin")
    file.write_text("Asia/Tokyo\n")
    assert local_zone({}, link=link, file=file) == BERLIN
    assert local_zone({"TZ": ""}, link=link, file=file) == BERLIN
    assert local_zone({}, link=none, file=file) == "Asia/Tokyo"
    assert local_zone({}, link=file, file=file) == "Asia/Tokyo"
    assert local_zone({}, link=none, file=none) == "UTC"
    assert local_zone({"TZ": ":America/New_York"}, link=link, file=file) == "America/New_York"
    assert local_zone({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}, link=link, file=file) == "UTC"
    file.write_bytes(b"\xff\xfe")
    assert local_zone({}, link=none, file=file) == "UTC"
