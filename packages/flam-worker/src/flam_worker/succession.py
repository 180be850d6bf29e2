"""A pool in the background outlives its supervisor: one of its workers starts the next."""

from __future__ import annotations

import logging
import os
import subprocess

from flam_store.errors import FlamError
from flam_worker import kernel
from flam_worker.pool import PoolOptions, start_pool
from flam_worker.recovery import HEIR
from flam_worker.settings import Settings

log = logging.getLogger(__name__)


def succeed(settings: Settings) -> None:
    """Start a pool like the one whose supervisor died, unless another worker of it does.

    For a worker that has done with its last job: the new pool must not become its child, so
    it gives up adopting orphans.
    """
    with settings.open() as store:
        orders = store.orders(settings.supervisor)
    if not orders.known or orders.stop is not None or not _is_first(settings):
        return
    log.warning("the supervisor died; starting another pool")
    kernel.leave_orphans()
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


def _is_first(settings: Settings) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(settings.run_folder / f"{settings.supervisor}{HEIR}", flags, 0o600))
    except FileExistsError:
        return False
    return True
