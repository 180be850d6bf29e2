from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import recording
from documents import picture_as_console


def test_what_was_typed_and_printed_can_be_read_from_the_picture(tmp_path: Path) -> None:
    steps = [
        recording.Step("cat <a & b>", ("A   B", "x & <y>")),
        recording.Step("true", ()),
    ]
    path = tmp_path / "picture.svg"
    path.write_text(recording.picture(steps), "utf-8")
    assert picture_as_console(path) == "$ cat <a & b>\nA   B\nx & <y>\n$ true\n"
    assert ET.parse(path).getroot().get("role") == "img"


def test_a_recording_runs_every_command_in_its_folder(tmp_path: Path) -> None:
    steps = list(recording.recorded(["pwd", "echo one; echo two >&2"], tmp_path))
    assert steps[0].lines == (str(tmp_path.resolve()),)
    assert steps[1].lines == ("one", "two")
