"""Storing a file of specs: all of it or nothing, in bounded memory.

The producer may be slow, and others must not wait for it: everything is read and checked
first, into a spool that has no name, and only then stored in one step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

import attrs

from flam_cli.commands.enqueue import answering
from flam_cli.filling import Fill
from flam_cli.options import Call
from flam_cli.place import made
from flam_cli.render.progress import counted
from flam_cli.spool import BATCH, Batches, nameless, translated
from flam_store.errors import SpecError
from flam_store.job import JobSpec
from flam_store.names import new_id
from flam_store.spec import MAX_SPEC_BYTES, parse_spec
from flam_store.store import Store

Storing = Callable[[Store, Iterable[JobSpec]], Mapping[int, str]]
"""Stores specs, and tells by place (from 0) which ids stand in for those that were there."""


def all_new(store: Store, specs: Iterable[JobSpec]) -> Mapping[int, str]:
    """Store all of them, or none."""
    store.enqueue_many(specs)
    return {}


def absent_ones(store: Store, specs: Iterable[JobSpec]) -> Mapping[int, str]:
    """Store those whose id and unique key are free."""
    return store.enqueue_many_absent(specs)


def enqueue_file(call: Call, name: str, fill: Fill, storing: Storing) -> None:
    """Store the specs in the file, which are one a line, and print their ids."""
    place = made(call)
    with _source(name) as source, _spool(place.home.path) as spool:
        _read(source, spool, fill)
        with place.store() as store, counted("Storing: {done:,} jobs, {rate:,} a second") as tell:
            held = storing(store, _told(spool.batches.all(), tell))
        with answering("All jobs of the file are"):
            spool.print_ids(_JSON if call.json else _LINES, held)


@attrs.frozen(kw_only=True)
class _Layout:
    """How ids are written one after the other; no id needs an escape."""

    first: bytes
    between: bytes
    last: bytes
    empty: bytes


_LINES = _Layout(first=b"", between=b"\n", last=b"\n", empty=b"")
_JSON = _Layout(first=b'["', between=b'",\n"', last=b'"]\n', empty=b"[]\n")


@attrs.frozen
class _Spool:
    """Checked specs in batches, and their ids a line each."""

    batches: Batches[JobSpec]
    ids: IO[bytes]

    def add(self, specs: list[JobSpec]) -> None:
        self.batches.add(specs)
        with translated(self.batches.folder):
            self.ids.write("".join(f"{spec.id}\n" for spec in specs).encode())
            self.ids.flush()

    def print_ids(self, layout: _Layout, instead: Mapping[int, str]) -> None:
        """Those that were added, or at their place (from 0) what stands ``instead``."""
        self.ids.seek(0)
        out = sys.stdout.buffer
        mark = layout.first
        ids = (instead[place].encode() if place in instead else line[:-1]
               for place, line in enumerate(self.ids))  # fmt: skip
        while chunk := list(islice(ids, BATCH)):
            out.write(mark + layout.between.join(chunk))
            mark = layout.between
        out.write(layout.empty if mark == layout.first else layout.last)
        out.flush()


@contextmanager
def _spool(folder: Path) -> Iterator[_Spool]:
    with nameless(folder) as batches, nameless(folder) as ids:
        yield _Spool(Batches(folder, batches), ids)


@contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with _opened(name) as source:
        yield source


def _opened(name: str) -> BinaryIO:
    try:
        return open(name, "rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"{name}: {reason}", field="--file") from error


def _read(source: BinaryIO, spool: _Spool, fill: Fill) -> None:
    specs = _parsed(source, fill)
    read = 0
    with counted("Reading: {done:,} lines, {rate:,} a second") as tell:
        while batch := list(islice(specs, BATCH)):
            spool.add(batch)
            read += len(batch)
            tell(read)


def _told(specs: Iterator[JobSpec], tell: Callable[[int], None]) -> Iterator[JobSpec]:
    for number, spec in enumerate(specs):
        if number % BATCH == 0:
            tell(number)
        yield spec


def _parsed(source: BinaryIO, fill: Fill) -> Iterator[JobSpec]:
    for number, line in _lines(source):
        try:
            yield fill.placed(parse_spec(line, **{"id": new_id(), **fill.defaults}))
        except SpecError as error:
            raise error.at_line(number) from None


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, from 1, without the blank ones; none is read that is longer than allowed."""
    number = 0
    while line := source.readline(MAX_SPEC_BYTES + 2):
        number += 1
        if len(line) > MAX_SPEC_BYTES + 1 and not line.endswith(b"\n"):
            raise SpecError(f"is longer than {MAX_SPEC_BYTES:,} bytes", line=number)
        if text := line.strip():
            yield number, text
