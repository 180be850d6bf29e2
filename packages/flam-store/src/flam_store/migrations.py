"""Migrations: numbered steps from an empty database to the schema of this version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import attrs


class Kind(StrEnum):
    """Whether a step runs inside a transaction, or must run outside of one."""

    TRANSACTION = "transaction"
    PLAIN = "plain"


class Phase(StrEnum):
    """Whether a step is for before the new code runs everywhere, or for after."""

    BEFORE = "before"
    AFTER = "after"


@attrs.frozen(kw_only=True)
class Migration:
    """One step. ``number`` is the schema version that it leads to, from 1."""

    number: int
    name: str
    kind: Kind
    phase: Phase
    sql: str


def parse_migration(file_name: str, text: str) -> Migration:
    """A step from a file ``0001_name.sql`` that begins with its ``-- kind:`` and ``-- phase:``."""
    named = re.fullmatch(r"(\d{4})_(\w+)\.sql", file_name)
    if named is None:
        raise ValueError(f"{file_name} is no name of a migration")
    facts = dict(re.findall(r"^-- (kind|phase): (\w+)$", text, flags=re.MULTILINE))
    return Migration(
        number=int(named[1]),
        name=named[2],
        kind=Kind(facts["kind"]),
        phase=Phase(facts["phase"]),
        sql=text,
    )


def ordered(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """By number, and without a gap."""
    found = tuple(sorted(migrations, key=lambda migration: migration.number))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("the numbers of the migrations have a gap")
    return found
