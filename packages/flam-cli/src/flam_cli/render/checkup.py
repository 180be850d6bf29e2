"""What an examination found, line by line, for a person."""

from __future__ import annotations

from collections.abc import Sequence

from flam_cli.render import human
from flam_store.finding import Finding, Level, Repair, counted

_SUBJECT_WIDTH = 11
_INDENT = " " * 6


def print_finding(finding: Finding) -> None:
    human.marked(finding.level.value, f"{finding.subject:{_SUBJECT_WIDTH}}  {finding.text}")
    if finding.mend is not None:
        human.line(f"{_INDENT}{'':{_SUBJECT_WIDTH}}  Mend: {finding.mend}")


def print_repair(repair: Repair) -> None:
    human.marked("mended", f"{repair.subject:{_SUBJECT_WIDTH - 2}}  {repair.text}")


def print_sum(findings: Sequence[Finding]) -> None:
    """The answer in one line."""
    faults = sum(each.level is Level.FAIL for each in findings)
    warnings = sum(each.level is Level.WARN for each in findings)
    if not faults and not warnings:
        human.line("All is well.")
    else:
        human.line(f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}.")
