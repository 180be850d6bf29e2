"""The write gate: one writer or checkpoint of Flam at a time, in the order of asking.

A ``flock`` on a file beside the database. The kernel wakes waiters fairly and costs
nothing while nobody waits; SQLite's own busy wait polls and starves. The gate also keeps a
checkpoint from ever overlapping a commit, which is what the WAL-reset race of SQLite
before 3.51.3 needs. It guards no data by itself: a writer that does not know it is still
kept out by SQLite's lock.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flam_store.errors import StoreBusy, StoreError

_STOPS = frozenset({signal.SIGTSTP})

_COUNT = 8
"""The gate's file holds one number of this many bytes: changes since the last checkpoint."""


class Gate:
    """The gate beside the database at ``path``. One handle serves one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = self._open()
        self._waiter: _Waiter | None = None

    @contextmanager
    def held(self, patience_seconds: float) -> Iterator[None]:
        """Hold the gate. StoreBusy when it does not open within ``patience_seconds``.

        Ctrl-Z in a terminal stops this thread's process only when the gate is open again:
        inside, it would keep everybody from writing until somebody says ``fg``.
        """
        fd = self._enter(patience_seconds)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def count(self, changes: int) -> int:
        """Add to the number of changes since the last checkpoint; return it. Held only.

        What stands in the file, and whether it can be written, is of no consequence to a
        commit that has been made.
        """
        total = int.from_bytes(os.pread(self._fd, _COUNT, 0), "little") + changes
        with suppress(OSError, OverflowError):
            os.pwrite(self._fd, total.to_bytes(_COUNT, "little"), 0)
        return total

    def reset_count(self) -> None:
        """Say that a checkpoint has been made. Held only."""
        os.pwrite(self._fd, bytes(_COUNT), 0)

    def close(self) -> None:
        os.close(self._fd)
        if self._waiter is not None:
            self._waiter.close()

    def _open(self) -> int:
        try:
            return _open_or_make(f"{self._path}-gate")
        except OSError as error:
            problem = f"cannot be used: its -gate cannot be opened: {error.strerror}."
            raise StoreError(self._path, problem) from error

    def _enter(self, patience_seconds: float) -> int:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patience_seconds <= 0:
                raise StoreBusy(self._path, 0) from None
        else:
            return self._fd
        if self._waiter is None or not self._waiter.is_alive():
            self._waiter = _Waiter(self._open())
        if not self._waiter.wait(patience_seconds):
            raise StoreBusy(self._path, patience_seconds)
        return self._waiter.fd


def _open_or_make(path: str) -> int:
    """Opened, or made with mode 0600 whatever the umask, which may take rights from us too."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was faster
        return os.open(path, flags)
    os.fchmod(fd, 0o600)
    return fd


class _Waiter:
    """Waits in the kernel's queue, in a thread: only so has a blocking ``flock`` an end.

    The lock belongs to a descriptor of its own. When patience ends first, the thread stays in
    the queue, for whoever waits next; getting the lock while nobody waits, it gives it back. It
    serves its gate for as long as that is open: a thread for each wait would cost more than most
    waits.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._decide = threading.Lock()
        self._asked, self._got = threading.Semaphore(0), threading.Semaphore(0)
        self._stands_in_queue = self._wanted = self._ends = False
        self._thread = threading.Thread(target=self._run, name="flam-gate", daemon=True)
        # A signal to the process must find the threads that mean to hear it, or that block it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def is_alive(self) -> bool:
        """Whether it can be asked. In a forked child there is no such thread."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Whether the lock has been got for the caller within this time."""
        self._ask()
        try:
            if self._got.acquire(timeout=seconds):
                return True
        except BaseException:
            if not self._abandon():
                fcntl.flock(self.fd, fcntl.LOCK_UN)
            raise
        return not self._abandon()

    def close(self) -> None:
        """End the thread: now, or as soon as it stands in the queue no longer."""
        with self._decide:
            self._ends = True
            stands_in_queue = self._stands_in_queue
        self._asked.release()
        if not stands_in_queue:
            self._thread.join()  # so that a fork soon after finds one thread

    def _ask(self) -> None:
        with self._decide:
            self._wanted = True
            if self._stands_in_queue:
                return
            self._stands_in_queue = True
        self._asked.release()

    def _abandon(self) -> bool:
        """Give up, unless it has been got already; whether it was given up."""
        with self._decide:
            self._wanted = False
            return not self._got.acquire(blocking=False)

    def _run(self) -> None:
        while True:
            self._asked.acquire()
            if self._stands_in_queue:
                fcntl.flock(self.fd, fcntl.LOCK_EX)
                self._hand_over()
            if self._ends:
                os.close(self.fd)
                return

    def _hand_over(self) -> None:
        with self._decide:
            self._stands_in_queue = False
            if self._wanted:
                self._wanted = False
                self._got.release()
            else:
                # By word: a child forked meanwhile has the descriptor too, and would keep the lock.
                fcntl.flock(self.fd, fcntl.LOCK_UN)
