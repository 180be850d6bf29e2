"""Whether a pool of this host does its work: for the health check of a container or a monitor."""

from __future__ import annotations

from datetime import UTC, datetime

from flam_store.durations import format_duration
from flam_store.worker import Role, WorkerRecord
from flam_worker.identity import Presence, host, presence


def ailment(records: tuple[WorkerRecord, ...], now: datetime) -> str | None:
    """What is wrong with the pools of this host, in a line; None when nothing is.

    All is well when a supervisor and at least one worker live and have renewed their leases.
    """
    ours = [each for each in records if each.process.host == host()]
    for role in (Role.SUPERVISOR, Role.WORKER):
        living = [each for each in ours if each.role is role and _lives(each)]
        if not living:
            return f"no {role} runs on this host"
        silent = min(now - each.heartbeat_at for each in living)
        lease = max(each.lease for each in living)
        if silent > lease:
            return f"no {role} has renewed its lease for {format_duration(silent)}"
    return None


def _lives(record: WorkerRecord) -> bool:
    return presence(record.process) is Presence.ALIVE


def now() -> datetime:
    return datetime.now(UTC)
