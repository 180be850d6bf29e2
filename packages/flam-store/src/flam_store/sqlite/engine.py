"""The queue's verbs on SQLite."""

from __future__ import annotations

import contextlib
import os
import select
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from flam_store.clock import Clock, system_clock
from flam_store.config import Config
from flam_store.job import JobFilter, Order
from flam_store.names import new_id
from flam_store.rules import require_concurrency, require_name
from flam_store.sqlite import bells, enqueueing, reading
from flam_store.sqlite.session import Session, version_of

if TYPE_CHECKING:
    from flam_store.change import JobChange
    from flam_store.copies import Backup, Progress
    from flam_store.finding import Finding, Repair
    from flam_store.job import Attempt, Claim, Expired, Job, JobSpec, Ledger, Page
    from flam_store.measures import By, Ended, Statistics, Total
    from flam_store.outcome import Result
    from flam_store.overview import Overview, QueueInfo
    from flam_store.portable import Imported, Record
    from flam_store.relatives import Relatives
    from flam_store.schedule import Schedule, ScheduleSpec, Tick, Ticked
    from flam_store.selection import Selection, Sweep
    from flam_store.standing import Standing
    from flam_store.state import State
    from flam_store.worker import Orders, Registration, Stop, Turn, Woke, WorkerRecord

T = TypeVar("T")

_LOOK_SECONDS = 0.5
"""How often a waiting handle looks for commits of writers that ring no bell."""


class SqliteStore:
    """A ``Store`` in one SQLite file, or, for a ``session`` in memory, an empty one."""

    def __init__(self, session: Session, config: Config, clock: Clock = system_clock) -> None:
        self._session = session
        self._config = config
        self._clock = clock
        self._bells = f"{session.place}-bells"
        self._bell: bells.Bell | None = None
        self._seen_version = 0

    def job(self, job_id: str) -> Job:
        return self._session.read(lambda db: reading.job(db, job_id))

    def attempts(self, job_id: str) -> tuple[Attempt, ...]:
        return self._session.read(lambda db: reading.attempts(db, job_id))

    def jobs(
        self,
        which: JobFilter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        order: Order = Order.NEWEST,
    ) -> Page:
        from flam_store.sqlite import paging

        wanted = which or JobFilter()
        return self._session.read(
            lambda db: paging.page(db, wanted, order, limit=limit, after=after)
        )

    def relatives(self, job_id: str, *, limit: int = 20) -> Relatives:
        from flam_store.sqlite.standing import relatives

        return self._session.read(lambda db: relatives(db, reading.seq_of(db, job_id), limit))

    def standing(self, job_id: str) -> Standing:
        from flam_store.sqlite.standing import standing

        return self._session.read(lambda db: standing(db, job_id, self._config, self._clock()))

    def newest_started(self) -> Job | None:
        return self._session.read(reading.newest_started)

    def last_ended(self, *, limit: int) -> tuple[Ended, ...]:
        from flam_store.sqlite import measuring

        return self._session.read(lambda db: measuring.last_ended(db, limit))

    def statistics(self, *, by: By, since: datetime, queue: str | None = None) -> Statistics:
        from flam_store.sqlite import measuring

        return self._session.read(lambda db: measuring.statistics(db, by, since, queue))

    def totals(self) -> tuple[Total, ...]:
        from flam_store.sqlite import measuring

        return self._session.read(measuring.totals)

    def overview(self) -> Overview:
        return self._session.read(lambda db: reading.overview(db, self._clock()))

    def workers(self) -> tuple[WorkerRecord, ...]:
        from flam_store.sqlite import registry

        return self._session.read(registry.workers)

    def running(self) -> tuple[Claim, ...]:
        return self._session.read(reading.running)

    def orders(self, worker_id: str) -> Orders:
        from flam_store.sqlite import registry

        return self._session.read(lambda db: registry.orders(db, worker_id))

    def schedules(self) -> tuple[Schedule, ...]:
        from flam_store.sqlite import scheduling

        return self._session.read(scheduling.schedules)

    def schedule(self, name: str) -> Schedule:
        from flam_store.sqlite import scheduling

        return self._session.read(lambda db: scheduling.schedule(db, name))

    def ticks(self, name: str, *, limit: int = 10) -> tuple[Tick, ...]:
        from flam_store.sqlite import scheduling

        return self._session.read(lambda db: scheduling.ticks(db, name, limit))

    def ledger(self, first: int, last: int) -> Ledger:
        return self._session.read(lambda db: reading.ledger(db, first, last))

    def export(
        self, which: JobFilter | None = None, *, progress: Progress | None = None
    ) -> Iterator[Record]:
        from flam_store.sqlite.exporting import export

        return export(self._session, which or JobFilter(), progress)

    def examine(self) -> tuple[Finding, ...]:
        from flam_store.sqlite.examining import examine

        return examine(self._session, self._clock())

    def enqueue(self, spec: JobSpec) -> Job:
        named = spec.named()

        def change(db: sqlite3.Connection) -> Job:
            enqueueing.insert(db, (named,), self._config, self._clock())
            return reading.job(db, str(named.id))

        return self._ringing(self._session.write(change))

    def enqueue_many(self, specs: Iterable[JobSpec]) -> int:
        named = (spec.named() for spec in specs)
        return self._ringing(
            self._session.write(
                lambda db: enqueueing.insert(db, named, self._config, self._clock())
            )
        )

    def enqueue_absent(self, spec: JobSpec) -> Job:
        named = spec.named()

        def change(db: sqlite3.Connection) -> Job:
            held = enqueueing.insert_absent(db, (named,), self._config, self._clock())
            return reading.job(db, held.get(0, str(named.id)))

        return self._ringing(self._session.write(change))

    def enqueue_many_absent(self, specs: Iterable[JobSpec]) -> Mapping[int, str]:
        named = (spec.named() for spec in specs)
        return self._ringing(
            self._session.write(
                lambda db: enqueueing.insert_absent(db, named, self._config, self._clock())
            )
        )

    def import_jobs(
        self, records: Iterable[Record], *, skip_existing: bool = False, dry_run: bool = False
    ) -> Imported:
        from flam_store.sqlite.importing import Import

        return self._ringing(
            self._session.write(
                lambda db: Import(db, self._clock(), skips=skip_existing).run(records),
                keeps=not dry_run,
            )
        )

    def finish(
        self,
        results: Sequence[Result],
        *,
        worker_id: str,
        want: int = 0,
        queues: Collection[str] | None = None,
    ) -> Turn:
        from flam_store.sqlite import claiming

        reported_at = self._clock()  # before there may be a wait for others

        def change(db: sqlite3.Connection) -> tuple[Turn, int]:
            turn, freed = claiming.turn(
                db, results, worker_id=worker_id, want=want, queues=queues,
                config=self._config, now=self._clock(), reported_at=reported_at,
            )  # fmt: skip
            if len(turn.claims) < want:  # the caller may wait now, for changes after this one
                self._seen_version = version_of(db)
            return turn, freed

        turn, freed = self._session.write(change)
        return self._ringing(turn) if freed else turn

    def register(self, registration: Registration) -> None:
        from flam_store.sqlite import registry

        self._session.write(lambda db: registry.register(db, registration, self._clock()))

    def renew(self, worker_id: str) -> Orders:
        from flam_store.sqlite import registry

        return self._session.write(lambda db: registry.renew(db, worker_id, self._clock()))

    def forget(self, worker_id: str) -> None:
        from flam_store.sqlite import registry

        # Who waits for the end of all work has to hear of it, too.
        self._ringing(self._session.write(lambda db: registry.forget(db, worker_id)))

    def add_schedule(self, spec: ScheduleSpec) -> Schedule:
        from flam_store.sqlite import scheduling

        return self._session.write(lambda db: scheduling.add(db, spec, self._clock()))

    def pause_schedule(self, name: str, *, by: str) -> Schedule:
        from flam_store.sqlite import scheduling

        return self._session.write(lambda db: scheduling.pause(db, name, by, self._clock()))

    def resume_schedule(self, name: str) -> Schedule:
        from flam_store.sqlite import scheduling

        return self._session.write(lambda db: scheduling.resume(db, name, self._clock()))

    def remove_schedule(self, name: str) -> None:
        from flam_store.sqlite import scheduling

        self._session.write(lambda db: scheduling.remove(db, name))

    def run_schedule(self, name: str) -> Job:
        from flam_store.sqlite import ticking

        def change(db: sqlite3.Connection) -> Job:
            return reading.job(db, ticking.run(db, name, self._config, self._clock()))

        return self._ringing(self._session.write(change))

    def enqueue_due(self, *, limit: int = 20) -> Ticked:
        from flam_store.sqlite.due import next_tick

        seen = self._session.read(lambda db: next_tick(db, self._clock()))
        if seen.next_in != timedelta(0):
            return seen
        from flam_store.sqlite import ticking

        ticked = self._session.write(
            lambda db: ticking.enqueue_due(db, limit, self._config, self._clock())
        )
        return self._ringing(ticked) if ticked.jobs else ticked

    def request_stop(self, worker_ids: Collection[str], stop: Stop) -> None:
        from flam_store.sqlite import registry

        self._ringing(self._session.write(lambda db: registry.request_stop(db, worker_ids, stop)))

    def cancel(self, job_id: str, *, by: str) -> Job:
        from flam_store.sqlite import steering

        def change(db: sqlite3.Connection) -> Job:
            seq = steering.cancel(db, job_id, by, self._clock())
            return reading.job_by_seq(db, seq)

        return self._ringing(self._session.write(change))

    def cancel_selected(self, selection: Selection, *, by: str, limit: int = 500) -> Sweep:
        from flam_store.sqlite import selecting

        now = self._clock()
        return self._ringing(
            selecting.cancel(self._session, selection, by=by, limit=limit, now=now)
        )

    def update(self, job_id: str, change: JobChange) -> Job:
        from flam_store.sqlite import changing

        def write(db: sqlite3.Connection) -> Job:
            return reading.job_by_seq(db, changing.update(db, job_id, change, self._clock()))

        return self._ringing(self._session.write(write))

    def pause(self, queue: str, *, by: str, note: str | None = None) -> QueueInfo:
        from flam_store.sqlite import steering

        require_name("queue", queue)
        return self._session.write(lambda db: steering.pause(db, queue, by, note, self._clock()))

    def resume(self, queue: str) -> QueueInfo:
        from flam_store.sqlite import steering

        require_name("queue", queue)
        return self._ringing(self._session.write(lambda db: steering.resume(db, queue)))

    def limit(self, queue: str, concurrency: int | None) -> QueueInfo:
        from flam_store.sqlite import steering

        require_name("queue", queue)
        require_concurrency(concurrency)
        return self._ringing(self._session.write(lambda db: steering.limit(db, queue, concurrency)))

    def retry(self, job_id: str) -> Job:
        from flam_store.sqlite import finished

        def change(db: sqlite3.Connection) -> Job:
            return reading.job_by_seq(db, finished.retry(db, job_id, self._clock()))

        return self._ringing(self._session.write(change))

    def retry_dead_letter(self, job_id: str) -> Job:
        from flam_store.sqlite import finished

        def change(db: sqlite3.Connection) -> Job:
            return reading.job_by_seq(db, finished.retry_dead_letter(db, job_id, self._clock()))

        return self._ringing(self._session.write(change))

    def retry_selected(self, selection: Selection, *, limit: int = 500) -> Sweep:
        from flam_store.sqlite import selecting

        now = self._clock()
        return self._ringing(selecting.retry(self._session, selection, limit=limit, now=now))

    def retry_dead(self, *, limit: int = 500) -> int:
        from flam_store.sqlite import finished

        return self._ringing(
            self._session.write(lambda db: finished.retry_dead(db, limit, self._clock()))
        )

    def purge(
        self,
        which: JobFilter,
        *,
        older_than: timedelta = timedelta(0),
        after: int = 0,
        limit: int = 500,
    ) -> tuple[int, ...]:
        from flam_store.sqlite.purging import Portion, purge

        portion = Portion(which=which, older_than=older_than, after=after, limit=limit)
        return purge(self._session, portion, self._clock())

    def expire(
        self, state: State, *, older_than: timedelta, after: int = 0, limit: int = 500
    ) -> Expired:
        from flam_store.sqlite.expiring import Stretch, expire

        which = Stretch(state=state, older_than=older_than, after=after, limit=limit)
        return expire(self._session, which, self._clock())

    def forget_minutes(self, *, limit: int = 500) -> int:
        from flam_store.sqlite.expiring import forget_minutes

        return forget_minutes(self._session, limit, self._clock())

    def tidy(self) -> None:
        self._session.truncate_log()

    def mend(self) -> tuple[Repair, ...]:
        from flam_store.sqlite.mending import mend

        return self._ringing(mend(self._session, self._clock()))

    def backup(
        self, path: Path, *, replace: bool = False, progress: Progress | None = None
    ) -> Backup:
        from flam_store.sqlite.copying import back_up

        return back_up(self._session, os.path.abspath(path), replace=replace, progress=progress)

    def wait(self, timeout: timedelta, *, watch: Collection[int] = ()) -> Woke:
        from flam_store.worker import Woke

        bell = self._own_bell()  # before the look: who commits after it rings
        if self._changed(rung=False):
            return Woke.CHANGED
        poller = select.poll()
        for fd in watch:
            poller.register(fd, select.POLLIN)
        if bell is not None:
            poller.register(bell.fileno(), select.POLLIN)
        end = time.monotonic() + timeout.total_seconds()
        while True:
            left = end - time.monotonic()
            ready = {fd for fd, _ in poller.poll(max(0.0, min(left, _LOOK_SECONDS)) * 1000)}
            if ready.intersection(watch):
                return Woke.WATCHED
            if self._changed(rung=bool(ready)):
                return Woke.CHANGED
            if left <= 0:
                return Woke.TIMEOUT

    def close(self) -> None:
        if self._bell is not None:
            self._bell.close()
            self._bell = None
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ringing(self, answer: T) -> T:
        if self._session.lasting:
            bells.ring(self._bells)
        return answer

    def _own_bell(self) -> bells.Bell | None:
        """None in memory, and where none can be made: then the slow look has to do."""
        if self._bell is None and self._session.lasting:
            self._session.data_version()  # refuses a handle that is of no more use
            with contextlib.suppress(OSError):
                self._bell = bells.Bell(self._bells, new_id())
        return self._bell

    def _changed(self, *, rung: bool) -> bool:
        if rung and self._bell is not None:
            self._bell.quiet()
        before, self._seen_version = self._seen_version, self._session.data_version()
        return rung or before != self._seen_version
