"""Flam's store: a durable job queue in an SQLite file, as a typed library.

>>> import tempfile
>>> from flam_store import JobSpec, open_store
>>> folder = tempfile.TemporaryDirectory()
>>> with open_store(f"sqlite:///{folder.name}/queue.db") as store:
...     job = store.enqueue(JobSpec(command="echo hello"))
...     print(job.state, store.job(job.id).command)
pending echo hello
>>> folder.cleanup()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flam_store.change import JobChange
    from flam_store.config import Config
    from flam_store.errors import (
        Conflict,
        FlamError,
        IdTaken,
        JobNotFound,
        KeyTaken,
        NotFinished,
        NotFound,
        QueueNotFound,
        ScheduleNotFound,
        ScheduleTaken,
        SpecError,
        StoreBusy,
        StoreError,
        StoreFull,
        StoreLost,
        StoreMisused,
        UnsafeError,
        WrongState,
    )
    from flam_store.job import Attempt, Claim, Job, JobFilter, JobSpec, Order, Page
    from flam_store.joining import enqueue_in, transaction
    from flam_store.measures import By
    from flam_store.opening import open_store
    from flam_store.outcome import (
        Cancelled,
        Completed,
        Dead,
        Failure,
        Outcome,
        Released,
        Result,
        Retry,
    )
    from flam_store.schedule import ScheduleSpec
    from flam_store.selection import Selection, Sweep
    from flam_store.state import FINISHED, AttemptState, State
    from flam_store.store import Store, StoreReader
    from flam_store.waiting import wait_until_finished
    from flam_store.worker import Orders, ProcessId, Registration, Role, Stop, Turn, Woke

__version__ = "0.1.0"

__all__ = [
    "FINISHED",
    "Attempt",
    "AttemptState",
    "By",
    "Cancelled",
    "Claim",
    "Completed",
    "Config",
    "Conflict",
    "Dead",
    "Failure",
    "FlamError",
    "IdTaken",
    "Job",
    "JobChange",
    "JobFilter",
    "JobNotFound",
    "JobSpec",
    "KeyTaken",
    "NotFinished",
    "NotFound",
    "Order",
    "Orders",
    "Outcome",
    "Page",
    "ProcessId",
    "QueueNotFound",
    "Registration",
    "Released",
    "Result",
    "Retry",
    "Role",
    "ScheduleNotFound",
    "ScheduleSpec",
    "ScheduleTaken",
    "Selection",
    "SpecError",
    "State",
    "Stop",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreLost",
    "StoreMisused",
    "StoreReader",
    "Sweep",
    "Turn",
    "UnsafeError",
    "Woke",
    "WrongState",
    "enqueue_in",
    "open_store",
    "transaction",
    "wait_until_finished",
]

_MODULES = {
    "change": ("JobChange",),
    "config": ("Config",),
    "errors": (
        *("Conflict", "FlamError", "IdTaken", "JobNotFound", "KeyTaken", "NotFinished", "NotFound"),
        *("QueueNotFound", "ScheduleNotFound", "ScheduleTaken", "SpecError", "StoreBusy"),
        *("StoreError", "StoreFull", "StoreLost", "StoreMisused", "UnsafeError", "WrongState"),
    ),
    "job": ("Attempt", "Claim", "Job", "JobFilter", "JobSpec", "Order", "Page"),
    "joining": ("enqueue_in", "transaction"),
    "measures": ("By",),
    "opening": ("open_store",),
    "outcome": (
        *("Cancelled", "Completed", "Dead", "Failure", "Outcome", "Released", "Result", "Retry"),
    ),
    "schedule": ("ScheduleSpec",),
    "selection": ("Selection", "Sweep"),
    "state": ("FINISHED", "AttemptState", "State"),
    "store": ("Store", "StoreReader"),
    "waiting": ("wait_until_finished",),
    "worker": ("Orders", "ProcessId", "Registration", "Role", "Stop", "Turn", "Woke"),
}
"""Where each public name is. It and its module are imported when they are asked for: few programs
need all of them."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a checker that saw it would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"flam_store.{name}")
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"flam_store.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *__all__})
