"""One worker process, as its supervisor sees it, and its first steps after the fork."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import attrs

from flam_store.errors import FlamError
from flam_store.exits import exit_code
from flam_worker import kernel
from flam_worker.loop import Worker
from flam_worker.orders import Inbox
from flam_worker.settings import Settings
from flam_worker.signals import Signals
from flam_worker.spawn import keep_files
from flam_worker.succession import succeed

log = logging.getLogger(__name__)

_READY = b"r"
_FAULT = 70
"""The exit code of a worker that met a fault of Flam itself (EX_SOFTWARE of sysexits.h)."""


@attrs.define
class Child:
    """A running worker: ``orders_fd`` is written to it, ``ready_fd`` is read from it."""

    pid: int
    orders_fd: int
    ready_fd: int
    started: float
    ready: bool = False
    is_replaced: bool = False
    """Whether another with a newer configuration is to follow it."""

    def hear(self) -> None:
        """Learn whether the worker has registered."""
        if not self.ready:
            with suppress(BlockingIOError):
                self.ready = os.read(self.ready_fd, 1) == _READY

    def tell(self, word: bytes) -> None:
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(self.orders_fd, word)

    def close(self) -> None:
        os.close(self.orders_fd)
        os.close(self.ready_fd)


def fork_worker(settings: Settings, siblings: Sequence[Child]) -> Child:
    """Fork a worker, which returns from here only in the supervisor. OSError if none can be."""
    with ExitStack() as undo:
        orders_read, orders_write = _pipe(undo)
        ready_read, ready_write = _pipe(undo)
        os.set_blocking(ready_read, False)
        os.set_blocking(orders_write, False)
        pid = os.fork()
        undo.pop_all()
    if pid:
        os.close(orders_read)
        os.close(ready_write)
        return Child(pid, orders_write, ready_read, time.monotonic())
    code = _FAULT
    try:
        for fd in (orders_write, ready_read, *(each.orders_fd for each in siblings),
                   *(each.ready_fd for each in siblings)):  # fmt: skip
            os.close(fd)
        code = _live(settings, orders_read, ready_write)
    finally:
        os._exit(code)


def _pipe(undo: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for fd in ends:
        undo.callback(os.close, fd)
    return ends


def _live(settings: Settings, orders: int, ready: int) -> int:
    """The worker's whole life; its exit code. Here, and nowhere else, any error is caught."""
    kernel.adopt_orphans()
    keep_files()
    inbox = Inbox(Signals(), orders)
    try:
        with settings.open() as store:
            worker = Worker(settings, settings.config, store, inbox)
            worker.register()
            with suppress(BrokenPipeError):  # a dead supervisor is noticed by the other pipe
                os.write(ready, _READY)
            worker.run()
            if inbox.bereft and settings.background:
                succeed(settings, store, worker.id, inbox)
            worker.leave()
    except FlamError as error:
        log.error("%s", error)
        return exit_code(error)
    except Exception:
        log.exception("a fault in Flam; what was running is left to recovery")
        return _FAULT
    return 0
