"""The queue's verbs: what every engine can do, in values of the domain."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from flam_store.job import Order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from flam_store.change import JobChange
    from flam_store.copies import Backup, Progress
    from flam_store.finding import Finding, Repair
    from flam_store.job import Attempt, Claim, Expired, Job, JobFilter, JobSpec, Ledger, Page
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

        Under a limit a page also ends, with ``more``, when the texts of its jobs are longer than
        4 MiB together. It holds one job at least, if any match.
        JobNotFound when there is no job ``after``. ``since`` relies on the clock: where it was
        set back by more than five minutes, jobs stored before that may be left out.
        """

    def relatives(self, job_id: str, *, limit: int = 20) -> Relatives:
        """Up to ``limit`` parents and as many children with their states. JobNotFound."""

    def standing(self, job_id: str) -> Standing:
        """All that decides when the job runs; ``why.reasons`` says it in words. JobNotFound.

        Takes time for the relatives of the job, the queues and the workers, and no more where
        there are more jobs.
        """

    def newest_started(self) -> Job | None:
        """The job whose attempt started last, or None when nothing has been started."""

    def last_ended(self, *, limit: int) -> tuple[Ended, ...]:
        """The attempts that ended last, with their jobs; the newest first, at most ``limit``."""

    def statistics(self, *, by: By, since: datetime, queue: str | None = None) -> Statistics:
        """How attempts ended since then (aware), and what they took; of one queue or of all.

        Bounded: of all queues, the newest 100,000 ends are looked at, and the answer says when
        there were more. Jobs that were deleted have no attempts. SpecError for another ``by``.
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

    def schedules(self) -> tuple[Schedule, ...]:
        """Every schedule, by name; also one whose row cannot be read, with its ``problem``."""

    def schedule(self, name: str) -> Schedule:
        """The schedule of this name. ScheduleNotFound."""

    def ticks(self, name: str, *, limit: int = 10) -> tuple[Tick, ...]:
        """What became of the last ticks of a schedule, newest first. ScheduleNotFound.

        Those that were missed in a row are one, at the time of the first.
        """

    def ledger(self, first: int, last: int) -> Ledger:
        """What is stored under the numbers (``seq``) from ``first`` to ``last``, both included."""

    def export(
        self, which: JobFilter | None = None, *, progress: Progress | None = None
    ) -> Iterator[Record]:
        """Jobs with their whole history, oldest first; ``flam_store.portable`` makes lines of it.

        Of the jobs that are stored at the first step each is given once, as it is when its page
        of at most 500 is read, and not at all when it has been deleted by then. Pages are read as
        they are asked for, and nothing is held between them; ``backup`` has one moment of all.
        A parent that ``which`` leaves out, and that came to the end that its child waits for, is
        left out of the child's ``after``, as if it had been purged.
        ``progress`` is told numbers (``seq``). StoreError for a job that cannot be read.
        """

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

        Under the ``after_policy`` ``"any"``: while one has not ended, be it completed, dead or
        cancelled.
        IdTaken; KeyTaken; SpecError when ``after`` names an unknown job.
        """

    def enqueue_absent(self, spec: JobSpec) -> Job:
        """The stored job with this id, or the unfinished one with this unique key, or a new one.

        What stands in for the new one is left as it is. SpecError as ``enqueue``.
        """

    def enqueue_many(self, specs: Iterable[JobSpec]) -> int:
        """Store all of them, in their order, or none; return how many.

        Errors as ``enqueue``. Memory stays bounded. Others wait until it is done, so an
        iterable that is slow to answer belongs behind a spool.
        """

    def enqueue_many_absent(self, specs: Iterable[JobSpec]) -> Mapping[int, str]:
        """Store those, in their order, that ``enqueue_absent`` would; or none, on SpecError.

        Returns the ids of the jobs that stand in for others, by the place (from 0) of the spec.
        Memory grows with their number only.
        """

    def import_jobs(
        self, records: Iterable[Record], *, skip_existing: bool = False, dry_run: bool = False
    ) -> Imported:
        """Store jobs that another queue had, with their ids and history, all or none.

        They are numbered anew, in their order, and keep their states; a job whose parents stand
        differently here is blocked, or no longer. One that was processing has crashed (see
        ``portable.interrupted``). What ended elsewhere does not enter the rates of this queue.
        ``skip_existing`` leaves out records whose ids are stored; ``dry_run`` finds every error
        and stores nothing. Others wait until it is done, so a slow iterable belongs behind
        a spool.

        IdTaken, for the first of them; KeyTaken; SpecError for an id that comes twice or a
        parent that is neither stored nor came before, unless the job has begun or ended: for that
        one the parent is deleted.
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
        and only a note on its own attempt remains. With the outcome the jobs of its hooks are
        stored, which have none themselves. Claimed jobs become processing, highest
        priority first, then first in, first out; ``queues`` None means all. An
        unregistered worker gets nothing. Under ``Config.priority_ageing`` a job counts as one
        level higher for every such time since it was due.
        """

    def register(self, registration: Registration) -> None:
        """Make a worker or supervisor known, with a fresh lease. Again: renew all of it."""

    def renew(self, worker_id: str) -> Orders:
        """Extend the lease of a worker from now, and tell what is wanted of it."""

    def forget(self, worker_id: str) -> None:
        """Take a worker out of the register, unless it is unknown or still holds a job.

        Whoever waits is woken: the others of a pool that drains have waited for this one's job.
        """

    def add_schedule(self, spec: ScheduleSpec) -> Schedule:
        """Store a schedule; its first tick is later than now. ScheduleTaken; SpecError.

        SpecError also when the expression never comes true.
        """

    def pause_schedule(self, name: str, *, by: str) -> Schedule:
        """Let no tick of it come. Its jobs go on. ScheduleNotFound."""

    def resume_schedule(self, name: str) -> Schedule:
        """End its pause: the next tick is later than now, and those of the pause are no misses.

        Of one that is not paused the next tick is told anew if it was none, or came too late,
        as after a time in which the clock was ahead. ScheduleNotFound; SpecError when its row
        cannot be read.
        """

    def remove_schedule(self, name: str) -> None:
        """Delete the schedule with its ticks; its jobs stay. ScheduleNotFound."""

    def run_schedule(self, name: str) -> Job:
        """Enqueue its job now, also while it is paused or an earlier one is unfinished.

        ScheduleNotFound; KeyTaken; SpecError when its row cannot be read.
        """

    def enqueue_due(self, *, limit: int = 20) -> Ticked:
        """Enqueue what the schedules are due for, up to ``limit`` of them; tell when the next is.

        Each tick is enqueued at most once, whoever looks: in one step its schedule moves on to
        the next tick, and the job is stored, with retry, backoff and timeout values of now. A
        tick that nobody looked at within a minute is missed, and a schedule has at most one job
        for all that are due: the last tick, unless that was missed too and ``catch_up`` is
        ``none``. A tick is skipped, with the reason, when it was missed, when ``overlap`` is
        ``skip`` and an earlier job of the schedule is unfinished, and when its unique key is
        held. One whose row cannot be read is skipped too, and hinders no other.
        """

    def request_stop(self, worker_ids: Collection[str], stop: Stop) -> None:
        """Record the intent that these end. ``NOW`` outweighs ``GRACEFUL``, never back."""

    def cancel(self, job_id: str, *, by: str) -> Job:
        """Cancel a job for ``by``. One that waits, also for a retry, is cancelled at once.

        One that runs is still processing in what is returned: its worker is asked to end it,
        and whatever then becomes of the attempt, save completion, the job is cancelled.
        JobNotFound; WrongState when it is finished.
        """

    def cancel_selected(self, selection: Selection, *, by: str, limit: int = 500) -> Sweep:
        """Cancel, as ``cancel``, up to ``limit`` jobs of a selection in one step, newest first.

        Finished jobs are passed over, as are jobs that have left the states of the filter.
        Call it again with ``Sweep.rest``, until that is None.
        """

    def update(self, job_id: str, change: JobChange) -> Job:
        """Change what a job asks for that is pending, blocked or failed.

        A new time or delay makes it due then, also for a retry; a new queue or priority places
        it as if it had been enqueued with that. JobNotFound; WrongState; SpecError when its labels
        would make it longer than a spec may be.
        """

    def pause(self, queue: str, *, by: str, note: str | None = None) -> QueueInfo:
        """Let nobody claim jobs of the queue, which need not exist yet. Running ones go on."""

    def resume(self, queue: str) -> QueueInfo:
        """End the pause of a queue, if there is one. QueueNotFound."""

    def limit(self, queue: str, concurrency: int | None) -> QueueInfo:
        """Let at most ``concurrency`` (from 1) jobs of the queue run at once; None: no limit."""

    def retry(self, job_id: str) -> Job:
        """Make a dead, cancelled or completed job pending with 0 attempts; a failed one due.

        What waits for it, and is pending, is blocked until it is completed (or, as its
        ``after_policy`` is, has ended) again.
        JobNotFound; WrongState; KeyTaken.
        """

    def retry_dead_letter(self, job_id: str) -> Job:
        """``retry`` for a dead letter only: WrongState for a job in any other state."""

    def retry_selected(self, selection: Selection, *, limit: int = 500) -> Sweep:
        """Retry, as ``retry``, up to ``limit`` jobs of a selection in one step, newest first.

        Jobs that it would refuse are passed over. Call it again with ``Sweep.rest``, until
        that is None.
        """

    def retry_dead(self, *, limit: int = 500) -> int:
        """Retry up to ``limit`` dead letters, oldest first; return how many (0: none left).

        A dead letter whose unique key is held by an unfinished job stays dead.
        """

    def purge(
        self,
        which: JobFilter,
        *,
        older_than: timedelta = timedelta(0),
        after: int = 0,
        limit: int = 500,
    ) -> tuple[int, ...]:
        """Delete up to ``limit`` finished jobs that have not changed for ``older_than``.

        The oldest go first. Returns the ``seq`` of each, growing, whose output may then be
        deleted; empty when none is left. Given the last of them as ``after``, the next call
        does not look again at those that stay before it. Jobs that are not finished are never
        deleted, whatever the filter says, and no dead or cancelled one while a blocked job
        needs its success: retry it, or cancel that one. It goes by states, queue and labels;
        SpecError for a filter with more. ``older_than`` relies on the clock as ``since`` does:
        where it was set back by more than five minutes, old jobs may be left; with none, all go.
        """

    def expire(
        self, state: State, *, older_than: timedelta, after: int = 0, limit: int = 500
    ) -> Expired:
        """Go on with deleting jobs of a finished state that have not changed for ``older_than``.

        A look at some thousand jobs beyond the ``seq`` ``after``, of which up to ``limit`` are
        deleted as ``purge`` does. ``Expired.after`` is where to go on, None at the end of the
        jobs in that state; ``Expired.young`` tells that there is little hope of more.
        ValueError for a state that is not finished.
        """

    def forget_minutes(self, *, limit: int = 500) -> int:
        """Drop up to ``limit`` rates of minutes two days ago and before; return how many.

        Those of hours stay.
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
