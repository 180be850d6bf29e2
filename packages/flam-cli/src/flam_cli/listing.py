"""Printing many jobs, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flam_cli.options import Call, job_id
from flam_cli.place import existing
from flam_cli.render import human, machine
from flam_cli.render.columns import USUAL, Columns
from flam_store.job import JobFilter, Order, Page
from flam_store.state import WAITING

if TYPE_CHECKING:
    from flam_store.store import StoreReader

_PAGE = 500


def print_jobs(
    call: Call, which: JobFilter, *, limit: int, after: str | None,
    order: Order = Order.NEWEST, columns: Columns = USUAL,
) -> None:  # fmt: skip
    """Print the jobs that match, at most ``limit`` (0: all), that follow the job ``after``."""
    with existing(call).store() as store:
        pages = _Pages(store, which, order)
        found = pages.read(limit, after and job_id(after))
        if call.json:
            machine.array(columns.shape(job) for page in found for job in page.jobs)
        else:
            _print_table(found, columns)
            _tell_of_pauses(store, which)
    if pages.rest_after is not None:
        human.complain(
            f"there are more jobs: --after {pages.rest_after} goes on from here, --limit 0 is all.",
            prefix="",
        )


def _tell_of_pauses(store: StoreReader, which: JobFilter) -> None:
    """Where jobs were listed that a pause may keep waiting."""
    if not which.states or set(which.states).intersection(WAITING):
        from flam_cli.pauses import tell_of_pauses

        tell_of_pauses(store, None if which.queue is None else {which.queue})


class _Pages:
    """Jobs page by page; ``rest_after`` is the last id when others match as well."""

    def __init__(self, store: StoreReader, which: JobFilter, order: Order) -> None:
        self._store = store
        self._which = which
        self._order = order
        self.rest_after: str | None = None

    def read(self, limit: int, after: str | None) -> Iterator[Page]:
        left = limit
        while True:
            size = min(left, _PAGE) if limit else _PAGE
            page = self._store.jobs(self._which, limit=size, after=after, order=self._order)
            yield page
            left -= len(page.jobs)
            if not page.more:
                return
            after = page.jobs[-1].id
            if limit and left <= 0:
                self.rest_after = after
                return


def _print_table(pages: Iterator[Page], columns: Columns) -> None:
    now = datetime.now(UTC)
    first = next(pages)
    rows = [columns.row(job, now) for job in first.jobs]
    layout = human.table(columns.headers, rows, columns.yields)
    for page in pages:
        human.more_rows((columns.row(job, now) for job in page.jobs), layout)
