"""A pool in the background outlives its supervisor: one of its workers starts the next.

Every worker that has done with its last job stays, registered, until another pool runs or none
is wanted: ``worker stop`` finds it, and should the one that starts the pool die, another does.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from flam_store import Store
from flam_store.errors import FlamError, StoreBusy, StoreFull
from flam_worker import footprint, kernel
from flam_worker.orders import Inbox
from flam_worker.pool import PoolOptions, start_pool
from flam_worker.recovery import HEIR
from flam_worker.settings import Settings

log = logging.getLogger(__name__)

_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.1, 30.0
_LOOK_SECONDS = 1.0
"""How often a waiting worker renews its lease: at least three times in the shortest of them."""


def succeed(settings: Settings, store: Store, worker_id: str, inbox: Inbox) -> None:
    """See to it that a pool like the one whose supervisor died runs, unless it shall not.

    The new pool must not become this worker's child, so it gives up adopting orphans.
    """
    kernel.leave_orphans()
    pause, left = _LEAST_PAUSE_SECONDS, 0.0
    with _heirs_file(settings) as file:
        while _is_wanted(settings, store, worker_id, inbox):
            if left <= 0 and _is_first(file):
                # Another may have been first until now, and done.
                if not _is_wanted(settings, store, worker_id, inbox):
                    return
                log.warning("the supervisor died; starting another pool")
                if _start(settings):
                    _settle(settings, store)
                    return
                pause = left = min(pause * 2, _MOST_PAUSE_SECONDS)
            step = min(pause, _LOOK_SECONDS)
            select.select(inbox.fds, [], [], step)
            left -= step


def _is_wanted(settings: Settings, store: Store, worker_id: str, inbox: Inbox) -> bool:
    """Whether nobody told the pool to stop, and no other has taken over what it left."""
    inbox.read()
    if inbox.is_signalled():
        return False
    try:
        if store.renew(worker_id).stop is not None:
            return False
        orders = store.orders(settings.supervisor)
    except (StoreBusy, StoreFull) as error:
        log.warning("%s", error)
        return True
    if not orders.known:
        footprint.erase(settings.run_folder, f"{settings.supervisor}{HEIR}")
    return orders.known and orders.stop is None


def _start(settings: Settings) -> bool:
    options = PoolOptions(
        home=settings.home.path,
        store_url=settings.store_url,
        count=settings.count,
        queues=settings.queues,
        drain=settings.drain,
    )
    try:
        start_pool(options)
    except (FlamError, OSError, subprocess.SubprocessError) as error:
        log.error("no other pool could be started: %s", error)
        return False
    return True


def _settle(settings: Settings, store: Store) -> None:
    """Take the dead supervisor out of the register, so that no other heir starts a pool too.

    The new pool would do it as well, but only once it has looked around.
    """
    try:
        store.forget(settings.supervisor)
        footprint.erase(settings.run_folder, f"{settings.supervisor}{HEIR}")
    except (StoreBusy, StoreFull) as error:
        log.warning("%s", error)


@contextmanager
def _heirs_file(settings: Settings) -> Iterator[int]:
    """The file on which the one who starts the next pool has a lock."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(settings.run_folder / f"{settings.supervisor}{HEIR}", flags, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_first(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
