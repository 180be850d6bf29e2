from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import bench
from benchmarks import plot, table
from benchmarks.figures import Line, Note, Row, Spread, paired, percentile, shown
from benchmarks.processes import Unmeasured, running, timed


def row(**changes: object) -> Row:
    fields = {"part": "p", "what": "w", "unit": "/s", "flam": Spread.of([1.0])} | changes
    return Row(**fields)  # type: ignore[arg-type]


def test_one_value_is_its_own_quartiles() -> None:
    assert Spread.of([7.0]) == Spread(low=7.0, median=7.0, high=7.0)


def test_the_median_of_an_even_number_of_values_lies_between_two() -> None:
    assert Spread.of([1, 2, 3, 4]).median == 2.5


def test_a_ratio_is_the_median_of_the_pairs_and_not_of_the_medians() -> None:
    flam, against = [1.0, 10.0, 100.0], [2.0, 100.0, 10.0]
    found = paired(flam, against, part="p", what="w", unit="s", against_what="a")
    assert found.ratio is not None
    assert found.ratio.median == 0.5
    assert found.against is not None
    assert found.flam.median / found.against.median == 1.0


def test_there_is_no_ratio_to_nothing() -> None:
    assert paired([1, 1], [0, 1], part="p", what="w", unit="s", against_what="a").ratio is None


def test_values_without_their_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired([1, 2], [1], part="p", what="w", unit="s", against_what="a")


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [(0.0000123, "s", "12.3 µs"), (2.5, "s", "2.50 s"), (0.129, "%", "0.129 %")],
)
def test_a_value_is_shown_in_its_unit(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected


def test_the_table_names_each_part_once_and_says_what_was_not_measured() -> None:
    lines: list[Line] = [
        row(goal="much"),
        row(what="x"),
        Note(part="q", what="y", why="nq: absent"),
    ]
    shown_lines = table.text(lines).splitlines()
    assert [line for line in shown_lines if line in "pq"] == ["", "p", "", "q"]
    assert shown_lines[0].split() == ["WHAT", "FLAM", "AGAINST", "RATIO", "GOAL"]
    assert "nq: absent" in shown_lines[-1]


def test_the_document_has_every_line_and_the_machine() -> None:
    answer = json.loads(table.document({"cpus": 2}, [row(), Note(part="q", what="y", why="z")]))
    assert answer["machine"] == {"cpus": 2}
    assert [line["measured"] for line in answer["rows"]] == [True, False]
    assert answer["rows"][0]["flam"] == {"low": 1.0, "median": 1.0, "high": 1.0}


def test_the_figure_is_svg_with_a_line_for_each_of_the_series() -> None:
    series = {"a < b": [0.001, 0.002], "c": [0.001, 0.02]}
    document = ET.fromstring(plot.figure("title", [1_000, 10_000], series))
    lines = document.findall("{*}polyline")
    assert len(lines) == 2
    assert all(len((line.get("points") or "").split()) == 2 for line in lines)
    assert "a < b" in [text.text for text in document.findall("{*}text")]


def test_a_figure_of_one_value_can_be_drawn() -> None:
    assert ET.fromstring(plot.figure("title", [1_000], {"a": [1.0]})) is not None


def test_what_is_still_running_at_the_end_is_ended() -> None:
    with running(["sleep", "1000"]) as process:
        assert process.poll() is None
    assert process.returncode is not None


def test_a_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(Unmeasured, match="sh exited with 3"):
        timed(["sh", "-c", "exit 3"])


def test_a_part_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["enqueue", "claim", "--rounds=1", "--operations=6", f"--dir={tmp_path}", "--json"]
    assert bench.main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [line["measured"] for line in answer["rows"]] == [True] * 3
    assert answer["machine"]["synchronous"] == "FULL"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["nothing"], ["--rounds", "0"], ["--rows", "x"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(words)
    assert "bench.py: error: " in capsys.readouterr().err
