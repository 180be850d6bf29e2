#!/usr/bin/env python3
"""Records docs/tour.svg: a session with the installed queuectl, laid out as a terminal.

Every command is run as it stands below, in an empty directory, and what is drawn under it is what
came out. The tests type the picture's commands again. Lines appear one after the other where a
viewer knows CSS animations and motion is wanted; everywhere else the whole session is there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

TARGET = Path(__file__).resolve().parents[1] / "docs" / "tour.svg"
PROMPT = "$ "

SESSION = (
    "queuectl enqueue --id report -- sh -c '[ $FLAM_ATTEMPT = 2 ] || sleep 60; echo ready'",
    "queuectl enqueue --id fetch --max-retries 1 -- sh -c 'echo no route; exit 7'",
    "queuectl enqueue --id publish --after report -- echo published",
    "queuectl worker start --count 2",
    "queuectl wait fetch",
    "kill -9 $(queuectl worker list | awk '/report/ { print $1 }')   # a worker, in mid-job",
    "queuectl wait report publish",
    "queuectl list",
    "queuectl logs fetch --attempt 1",
    "queuectl dlq retry fetch",
    "queuectl worker stop",
)

TITLE = "A session with queuectl"
DESCRIPTION = (
    "Three jobs are enqueued and two workers start. The job that fails each time ends in the dead "
    "letter queue, with its output kept. A worker is killed in mid-job: the job runs again and "
    "completes, and the one that waited for it follows."
)

SIZE, LINE, MARGIN, TITLE_BAR = 14, 20, 18, 34
WIDE = SIZE * 0.61
TYPING_SECONDS, READING_SECONDS = 0.9, 0.7


@dataclass(frozen=True)
class Step:
    """A command and the lines that it printed."""

    command: str
    lines: tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Run the session and draw it, into the file that is named or docs/tour.svg."""
    target = Path(arguments[0]) if arguments else TARGET
    with tempfile.TemporaryDirectory() as folder:
        steps = list(recorded(SESSION, Path(folder)))
    target.write_text(picture(steps), "utf-8")
    print(f"{target}: {len(steps)} commands")
    return 0


def recorded(commands: Iterable[str], folder: Path) -> Iterator[Step]:
    """Type the commands one after the other; no worker is left, whatever happens."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("FLAM_")}
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environ = {**kept, "PATH": path, "HOME": str(folder)}
    try:
        for command in commands:
            yield Step(command, tuple(_output(command, folder, environ).splitlines()))
    finally:
        _output("queuectl worker stop --now", folder, environ)


def _output(command: str, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        check=False,
        cwd=folder,
        env=environ,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


def picture(steps: Sequence[Step]) -> str:
    """The session as an SVG, which needs nothing but itself."""
    rows = list(_rows(steps))
    width = round(2 * MARGIN + WIDE * max(len(PROMPT) + len(row.text) for row in rows))
    height = TITLE_BAR + MARGIN + LINE * len(rows)
    head = _HEAD.substitute(
        width=width, height=height, right=width - 1, low=height - 1,
        title=TITLE, description=DESCRIPTION, size=SIZE,
    )  # fmt: skip
    return "".join(
        [head, *(_drawn(number, row) for number, row in enumerate(rows)), "</g>\n</svg>\n"]
    )


@dataclass(frozen=True)
class _Row:
    text: str
    typed: bool
    at_seconds: float


def _rows(steps: Iterable[Step]) -> Iterator[_Row]:
    now = 0.5
    for step in steps:
        yield _Row(step.command, typed=True, at_seconds=now)
        now += TYPING_SECONDS
        for line in step.lines:
            yield _Row(line, typed=False, at_seconds=now)
        now += READING_SECONDS + 0.15 * len(step.lines)


def _drawn(number: int, row: _Row) -> str:
    y = TITLE_BAR + MARGIN + LINE * number
    look = _TYPED if row.typed else _SHOWN
    prompt = f'<tspan class="prompt" fill="#1a7f37">{PROMPT}</tspan>' if row.typed else ""
    delay = f"animation-delay:{row.at_seconds:.2f}s"
    text = f"{prompt}{escape(_aligned(row.text))}"
    return f'<text {look} x="{MARGIN}" y="{y}" style="{delay}">{text}</text>\n'


def _aligned(text: str) -> str:
    """Viewers run blanks together unless they cannot be broken at."""
    return re.sub(" {2,}", lambda blanks: "\N{NO-BREAK SPACE}" * len(blanks[0]), text)


# Colours stand here and not only in the style, which some viewers do not read.
_TYPED = 'class="typed" fill="#1f2328" font-weight="600"'
_SHOWN = 'class="shown" fill="#424a53"'

_HEAD = Template("""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" \
height="$height" role="img" aria-labelledby="title desc">
<title id="title">$title</title>
<desc id="desc">$description</desc>
<style>
text { white-space: pre; }
@media (prefers-color-scheme: dark) {
  .back { fill: #0d1117; stroke: #3d444d; }
  .typed { fill: #f0f6fc; }
  .shown { fill: #b7bfc8; }
  .prompt { fill: #3fb950; }
}
@media (prefers-reduced-motion: no-preference) {
  text { animation: appear 0.01s linear both; }
  @keyframes appear { from { opacity: 0; } to { opacity: 1; } }
}
</style>
<rect class="back" x="0.5" y="0.5" width="$right" height="$low" rx="8" fill="#ffffff" \
stroke="#d0d7de"/>
<g fill="#8c959f">
<circle cx="20" cy="18" r="5"/>
<circle cx="38" cy="18" r="5"/>
<circle cx="56" cy="18" r="5"/>
</g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" \
font-size="$size" xml:space="preserve">
""")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
