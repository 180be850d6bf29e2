"""The queue's verbs: what every engine can do, in values of the domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from flam_store.job import Attempt, Claim, Job, JobFilter, JobSpec, Ledger, Order, Page
from flam_store.outcome import Result
from flam_store.overview import Overview, QueueInfo
from flam_store.worker import Orders, Registration, Stop, Turn, Woke, WorkerRecord

if TYPE_CHECKING:
    from flam_store.copies import Backup, Progress
    from flam_store.finding import Finding, Repair
    from flam_store.measures import By, Ended, Statistics, Total


class StoreReader(Protocol):
    """Looking at the queue. Each answer is one consistent state of it."""

    def job(self, job_id: str) -> Job:
        """The job with this id. JobNotFound."""

    def attempts(self, job_id: str) -> tuple[Attempt, ...]:
        """Every start of the job, oldest first. JobNotFound."""

    def jobs(
        self,
        which: JobFilter | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        order: Order = Order.NEWEST,
    ) -> Page:
        """Jobs in the order: those that follow the job ``after``; ``limit`` 0 means all.

        JobNotFound when there is no job ``after``. ``since`` relies on the clock: where it was
        set back by more than five minutes, jobs stored before that may be left out.
        """

    def newest_started(self) -> Job | None:
        """The job whose attempt started last, or None when nothing has been started."""

    def last_ended(self, *, limit: int) -> tuple[Ended, ...]:
        """The attempts that ended last, with their jobs; the newest first, at most ``limit``."""

    def statistics(self, *, by: By, since: datetime, queue: str | None = None) -> Statistics:
        """How attempts ended since then (aware), and what they took; of one queue or of all.

        Bounded: of all queues, the newest 100,000 ends are looked at, and the answer says when
        there were more. Jobs that were deleted have no attempts.
        """

    def totals(self) -> tuple[Total, ...]:
        """How many attempts ever ended, for each queue and outcome. Deleted jobs stay counted."""

    def overview(self) -> Overview:
        """Counts, queues, the oldest due job and rates. Constant time in the number of jobs."""

    def workers(self) -> tuple[WorkerRecord, ...]:
        """Every registered worker and supervisor, oldest first, living or not."""

    def running(self) -> tuple[Claim, ...]:
        """What is held now, and by whom; in the order of enqueueing."""

    def orders(self, worker_id: str) -> Orders:
        """What the store wants of this worker, without renewing its lease."""

    def ledger(self, first: int, last: int) -> Ledger:
        """What is stored under the numbers (``seq``) from ``first`` to ``last``, both included."""

    def examine(self) -> tuple[Finding, ...]:
        """Say whether the database is whole, and whether what it holds agrees with itself.

        Damage is a finding and no error. Reads every row.
        """


class Store(StoreReader, Protocol):
    """A queue. Each verb is atomic and durable when it returns.

    Any verb may raise a StoreError: StoreBusy when it may be tried again, StoreFull with
    nothing changed, StoreLost when the handle must be closed. A handle may be used from
    several threads, which take turns, and never in a forked child (StoreMisused). A process
    that forks and does not exec closes its stores first: a child that inherits one cannot
    open the same queue either (StoreMisused), as its locks would not hold.
    """

    def enqueue(self, spec: JobSpec) -> Job:
        """Store a job: pending, or blocked while a job of ``after`` is not completed.

        IdTaken; KeyTaken; SpecError when ``after`` names an unknown job.
        """

    def enqueue_many(self, specs: Iterable[JobSpec]) -> int:
        """Store all of them, in their order, or none; return how many.

        Errors as ``enqueue``. Memory stays bounded. Others wait until it is done, so an
        iterable that is slow to answer belongs behind a spool.
        """

    def finish(
        self,
        results: Sequence[Result],
        *,
        worker_id: str,
        want: int = 0,
        queues: Collection[str] | None = None,
    ) -> Turn:
        """Record outcomes, then claim up to ``want`` due jobs, in one step.

        A result counts while its attempt holds its job: processing becomes completed,
        failed, dead, cancelled or (released) pending. Otherwise it is in ``Turn.refused``
        and only a note on its own attempt remains. Claimed jobs become processing, highest
        priority first, then first in, first out; ``queues`` None means all. An
        unregistered worker gets nothing.
        """

    def register(self, registration: Registration) -> None:
        """Make a worker or supervisor known, with a fresh lease. Again: renew all of it."""

    def renew(self, worker_id: str) -> Orders:
        """Extend the lease of a worker from now, and tell what is wanted of it."""

    def forget(self, worker_id: str) -> None:
        """Take a worker out of the register, unless it is unknown or still holds a job."""

    def request_stop(self, worker_ids: Collection[str], stop: Stop) -> None:
        """Record the intent that these end. ``NOW`` outweighs ``GRACEFUL``, never back."""

    def cancel(self, job_id: str, *, by: str) -> Job:
        """Cancel a job for ``by``. One that waits, also for a retry, is cancelled at once.

        One that runs is still processing in what is returned: its worker is asked to end it,
        and whatever then becomes of the attempt, save completion, the job is cancelled.
        JobNotFound; WrongState when it is finished.
        """

    def pause(self, queue: str, *, by: str, note: str | None = None) -> QueueInfo:
        """Let nobody claim jobs of the queue, which need not exist yet. Running ones go on."""

    def resume(self, queue: str) -> QueueInfo:
        """End the pause of a queue, if there is one. QueueNotFound."""

    def limit(self, queue: str, concurrency: int | None) -> QueueInfo:
        """Let at most ``concurrency`` (from 1) jobs of the queue run at once; None: no limit."""

    def retry(self, job_id: str, *, only_dead: bool = False) -> Job:
        """Make a dead, cancelled or completed job pending with 0 attempts; a failed one due.

        What waits for it, and has not been started, is blocked until it is completed again.
        ``only_dead`` refuses all states but dead. JobNotFound; WrongState; KeyTaken.
        """

    def retry_dead(self, *, limit: int = 500) -> int:
        """Retry up to ``limit`` dead letters, oldest first; return how many (0: none left).

        A dead letter whose unique key is held by an unfinished job stays dead.
        """

    def purge(
        self, which: JobFilter, *, older_than: timedelta = timedelta(0), limit: int = 500
    ) -> tuple[int, ...]:
        """Delete up to ``limit`` finished jobs that have not changed for ``older_than``.

        Returns the ``seq`` of each, whose output may then be deleted; empty when none is
        left. Jobs that are not finished are never deleted, whatever the filter says. It goes by
        states, queue and labels; SpecError for a filter with more.
        """

    def tidy(self) -> None:
        """Leave nothing of deleted text behind, as far as that is possible while others work."""

    def mend(self) -> tuple[Repair, ...]:
        """Put right what ``examine`` finds wrong and the rows themselves can tell.

        Counters, ready flags, bells of the dead. No job, attempt or worker is deleted, and
        none that is held changes.
        """

    def backup(
        self, path: Path, *, replace: bool = False, progress: Progress | None = None
    ) -> Backup:
        """Copy the queue into one file of mode 0600, as it is at one moment, while others work.

        The file has its name only when it is complete, checked and on the disk. Its folder
        must exist. ``replace`` overwrites a file, at once.

        FileTaken when there is one; StoreDamaged, with nothing left at ``path``, when the copy
        is not sound, and so the queue is not.
        """

    def wait(self, timeout: timedelta, *, watch: Collection[int] = ()) -> Woke:
        """Wait until something may have changed, a watched descriptor can be read, or time ran out.

        A change made after this handle's last ``finish`` wakes it at once.
        """

    def close(self) -> None:
        """Let go of everything. Closing twice is fine."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
