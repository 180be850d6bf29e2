"""The program of a job under test. It tells a journal what it does, and knows nothing of Flam.

``python -I -S witness.py FOLDER [WORD...]``, as fast to start as Python can be. One line of the
journal, ``what job attempt pid born``, is one write with O_APPEND, synced. While it runs it
holds a lock of its job's own, so that a second process of the job notices the first.

Words: ``sleep=SECONDS``, ``until=PATH`` (exists), ``again-until=PATH`` (but not in the first
attempt), ``hang`` (only in the first attempt), ``fail=N`` (in the first N attempts exit 1),
``print=TEXT``, ``deaf`` (to SIGTERM).
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

JOURNAL = "journal"


def born(pid: int) -> str | None:
    """When a living process was started; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


class Witness:
    """One attempt of a job, in the folder of the journal and the locks."""

    def __init__(self, folder: str) -> None:
        self.job, self.attempt = os.environ["FLAM_JOB_ID"], os.environ["FLAM_ATTEMPT"]
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self.journal = os.open(f"{folder}/{JOURNAL}", flags, 0o600)
        self.lock = os.open(f"{folder}/{self.job}.lock", flags, 0o600)

    def start(self) -> None:
        """Say that the attempt has started, and whether another process of its job lives."""
        self.tell("start")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.tell("overlap")
        if any(self.is_of_another_attempt(line) for line in self.lines()):
            self.tell("overlap")

    def lines(self) -> list[str]:
        size = os.fstat(self.journal).st_size
        return os.pread(self.journal, size, 0).decode().splitlines()

    def is_of_another_attempt(self, line: str) -> bool:
        """Whether the line tells of a process of this job that lives, and should not."""
        _, job, attempt, pid, then = line.split()
        return job == self.job and attempt != self.attempt and born(int(pid)) == then

    def stop(self) -> None:
        self.tell("stop")

    def tell(self, what: str) -> None:
        """Also for processes that the command starts: each tells ``member`` before anything."""
        pid = os.getpid()
        line = f"{what} {self.job} {self.attempt} {pid} {born(pid)}\n"
        os.write(self.journal, line.encode())
        os.fsync(self.journal)


def act(word: str, attempt: int) -> int | None:
    """Do what a word says; the exit code if it says to exit."""
    name, _, value = word.partition("=")
    if name == "fail":
        return 1 if attempt <= int(value) else None
    if (name == "again-until" and attempt == 1) or (name == "hang" and attempt > 1):
        return None
    ACTIONS[name](value)
    return None


def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.01)


ACTIONS: dict[str, Callable[[str], object]] = {
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "until": wait_for,
    "again-until": wait_for,
    "hang": lambda _: time.sleep(1000),
    "print": lambda text: os.write(1, text.encode()),
    "deaf": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
}


def main(folder: str, *words: str) -> int:
    witness = Witness(folder)
    witness.start()
    codes = [act(word, int(witness.attempt)) for word in words]
    witness.stop()
    return next((code for code in codes if code is not None), 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
