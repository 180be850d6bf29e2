"""Flam's store: a durable job queue in an SQLite file, as a typed library.

>>> from flam_store import JobSpec, open_store
>>> with open_store("sqlite:///:memory-example.db") as store:  # doctest: +SKIP
...     job = store.enqueue(JobSpec(command="echo hello"))
"""

from flam_store.config import Config
from flam_store.job import Attempt, Claim, Job, JobFilter, JobSpec, Page
from flam_store.opening import open_store
from flam_store.state import FINISHED, AttemptState, State
from flam_store.store import Store, StoreReader

__version__ = "0.1.0"

__all__ = [
    "FINISHED",
    "Attempt",
    "AttemptState",
    "Claim",
    "Config",
    "Job",
    "JobFilter",
    "JobSpec",
    "Page",
    "State",
    "Store",
    "StoreReader",
    "open_store",
]
