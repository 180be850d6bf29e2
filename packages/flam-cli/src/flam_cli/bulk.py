"""Storing a file of specs: all of it or nothing, in bounded memory.

The producer may be slow, and others must not wait for it: everything is read and checked
first, into a spool that has no name, and only then stored in one step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO

import attrs

from flam_cli.commands.enqueue import answering, tell_of_none
from flam_cli.filling import Fill
from flam_cli.options import Call
from flam_cli.place import made
from flam_cli.render.progress import counted
from flam_cli.spool import BATCH, Batches, Lines, nameless, translated
from flam_store.errors import SpecError
from flam_store.job import JobSpec
from flam_store.spec import MAX_SPEC_BYTES, Template
from flam_store.store import Store

_Values = dict[str, Any]
_Line = tuple[int, _Values]
"""The number of a line, from 1, and what it gives to its spec."""

_EXAMPLE = 'such as {"command": "make test"}'
_MARK = b"\xef\xbb\xbf"
"""A byte order mark, with which some programs begin a file."""

_Making = Callable[[bytes], _Values]

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
    template = Template.of(JobSpec, fill.defaults)
    with _source(name) as source, _spool(place.home.path) as spool:
        read = _read(Lines(source, MAX_SPEC_BYTES + 2), spool, partial(fill.values, template))
        with place.store() as store, counted("Storing: {done:,} jobs, {rate:,} a second") as tell:
            specs = _Specs(template, spool.batches, tell)
            try:
                held = storing(store, specs)
            except SpecError as error:  # it names no job that is there
                raise error.at_line(specs.line) from None
        with answering("All jobs of the file are"):
            spool.print_ids(_JSON if call.json else _LINES, held)
    if not read:
        tell_of_none(call)


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
    """What was checked of the specs, in batches, and their ids a line each."""

    batches: Batches[_Line]
    ids: IO[bytes]

    def add(self, batch: list[_Line]) -> None:
        self.batches.add(batch)
        with translated(self.batches.folder):
            self.ids.write("".join(f"{values['id']}\n" for _, values in batch).encode())
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


def _read(lines: Lines, spool: _Spool, made_of: _Making) -> int:
    """Put what all lines give into the spool; how many they are."""
    read = 0
    with counted("Reading: {done:,} lines, {rate:,} a second") as tell:
        for batch in lines.batches(_checked(lines, made_of)):
            spool.add(batch)
            read += len(batch)
            tell(read)
    return read


@attrs.define
class _Specs:
    """The specs of the lines, and the ``line`` of the one that was taken last."""

    _template: Template
    _batches: Iterable[list[_Line]]
    _tell: Callable[[int], None]
    line: int = attrs.field(default=0, init=False)

    def __iter__(self) -> Iterator[JobSpec]:
        done = 0
        for batch in self._batches:
            for self.line, values in batch:
                yield self._template.spec(values)
            done += len(batch)
            self._tell(done)


def _checked(lines: Lines, made_of: _Making) -> Iterator[_Line]:
    """What each line gives to its spec; blank ones give nothing."""
    for number, line in lines:
        if len(line) > MAX_SPEC_BYTES + 1 and not line.endswith(b"\n"):
            raise SpecError(f"is longer than {MAX_SPEC_BYTES:,} bytes", line=number)
        if text := (line.removeprefix(_MARK) if number == 1 else line).strip():
            try:
                yield number, made_of(text)
            except SpecError as error:
                raise _of_line(text, error).at_line(number) from None


def _of_line(text: bytes, error: SpecError) -> SpecError:
    """What is said of a line, with how a file is written where it is written in another way."""
    if text.startswith(b"["):
        return SpecError(f"begins an array; a file has one spec a line, {_EXAMPLE}")
    if error.problem.startswith("is no JSON") and not text.startswith(b"{"):
        return SpecError(f"is no JSON; each line is an object {_EXAMPLE}")
    return error
