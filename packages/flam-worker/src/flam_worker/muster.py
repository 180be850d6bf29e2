"""The register of workers, compared with the processes of this host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from flam_store import StoreReader
from flam_store.durations import format_duration
from flam_store.finding import Finding, counted, failed, passed, warned
from flam_store.worker import Role, WorkerRecord
from flam_worker.identity import Presence, boot, host, presence

_REPAIR = "queuectl doctor --repair, or start a pool"
_MOST_NAMED = 3


def examine(store: StoreReader) -> Iterator[Finding]:
    """Who is registered and gone, or silent; and which jobs wait for somebody who is gone."""
    running = store.running()  # first: whoever claims a job is registered by then
    records = store.workers()
    gone = [record for record in records if presence(record.process) is Presence.GONE]
    silent = [record for record in records if record not in gone and _is_overdue(record)]
    known = {record.id for record in records} - {record.id for record in gone}
    lost = [claim.job.id for claim in running if claim.worker not in known]
    if lost:
        more = ", …" if len(lost) > _MOST_NAMED else ""
        named = f"{counted(len(lost), 'job')} ({', '.join(lost[:_MOST_NAMED])}{more})"
        yield failed("workers", f"{named} processing, and whose worker is gone", _REPAIR)
    if gone:
        yield warned("workers", f"{_told(gone)} registered, and gone{_since_boot(gone)}", _REPAIR)
    for record in silent:
        yield warned("workers", _silence(record), _look_there(record))
    if not lost and not gone and not silent:
        told = f"{_told(list(records))}, all of them at work" if records else "nobody is registered"
        yield passed("workers", told)


def _is_overdue(record: WorkerRecord) -> bool:
    return datetime.now(UTC) - record.heartbeat_at > record.lease


def _told(records: list[WorkerRecord]) -> str:
    workers = sum(record.role is Role.WORKER for record in records)
    supervisors = len(records) - workers
    return f"{counted(workers, 'worker')} and {counted(supervisors, 'supervisor')}"


def _since_boot(gone: list[WorkerRecord]) -> str:
    earlier = all(record.process.boot != boot() for record in gone)
    return ", all from before this host was booted" if earlier else ""


def _silence(record: WorkerRecord) -> str:
    since = format_duration(datetime.now(UTC) - record.heartbeat_at)
    lease = format_duration(record.lease)
    who = f"{record.role.value} pid {record.process.pid} on {record.process.host}"
    return f"{who} has been silent for {since}, with a lease of {lease}"


def _look_there(record: WorkerRecord) -> str:
    if record.process.host != host():
        return f"Look at {record.process.host}; a pool on this host takes its job when that is due"
    return "Is it stopped, or the disk stalled? Its pool ends it and puts its job back"
