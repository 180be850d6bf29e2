"""Finding and reading the output of attempts, once or while it grows."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from flam_cli.options import job_id as named
from flam_cli.render import human
from flam_cli.render.output import idle
from flam_store.errors import AttemptNotFound, NotFound, UnsafeError
from flam_store.job import Attempt, Job
from flam_store.output import Logs, last_lines, read_from
from flam_store.state import FINISHED, AttemptState
from flam_store.store import StoreReader

_LOOK_SECONDS = 0.1
_NOT_STARTED = "not started"
"""So begins the error of an attempt whose command could not be started."""


class OutputGone(NotFound):
    """The file of an attempt's output is not there."""

    def __init__(self, job_id: str, attempt: int) -> None:
        self.job_id = job_id
        self.attempt = attempt
        super().__init__(
            f"Attempt {attempt} of job {job_id!r} has no output file: it was deleted, or the job "
            "was imported, and what jobs print is not part of an export."
        )


@attrs.frozen
class Found:
    """One attempt, and the job that it belongs to."""

    job: Job
    attempt: Attempt


@attrs.define
class Source:
    """An open output and how far it has been read."""

    fd: int
    offset: int

    def pieces(self) -> Iterator[bytes]:
        """What was written since the last call."""
        while True:
            piece, self.offset = read_from(self.fd, self.offset)
            if not piece:
                return
            yield piece


@attrs.frozen
class Reader:
    """Outputs of the jobs in a store."""

    store: StoreReader
    logs: Logs

    def find(self, job_id: str | None, number: int | None) -> Found:
        """The attempt that is meant; the latest one for None. NotFound."""
        job = self.job(job_id)
        wanted = job.attempt if number is None else number
        for attempt in self.store.attempts(job.id):
            if attempt.attempt == wanted:
                return Found(job, attempt)
        raise AttemptNotFound(job.id, number)

    def job(self, job_id: str | None) -> Job:
        """The job with this id, or the one started last for None."""
        job = self.store.newest_started() if job_id is None else self.store.job(named(job_id))
        if job is None:
            raise NotFound("There is no output: no job that is stored has been started.")
        return job

    @contextmanager
    def opened(self, found: Found, tail: int | None) -> Iterator[Source]:
        """The attempt's output from its last ``tail`` lines on (None: all). OutputGone."""
        fd = self._open(found)
        try:
            yield Source(fd, 0 if tail is None else last_lines(fd, tail))
        finally:
            os.close(fd)

    def document(self, found: Found, tail: int | None) -> dict[str, Any]:
        """The output with what it belongs to, as a script reads it."""
        with self.opened(found, tail) as source:
            output = b"".join(source.pieces())
        return {
            "id": found.job.id,
            "attempt": found.attempt.attempt,
            "state": found.attempt.state.value,
            "bytes": len(output),
            "text": output.decode(errors="replace"),
        }

    def why_silent(self, found: Found) -> str | None:
        """What to say of an attempt whose command was never there to write anything."""
        error = found.attempt.error or ""
        if not error.startswith(_NOT_STARTED) or found.attempt.output_bytes:
            return None
        number, job_id = found.attempt.attempt, found.job.id
        return f"Attempt {number} of job {job_id!r} wrote nothing: {error}."

    def exists(self, found: Found) -> bool:
        """Whether the attempt has an output already."""
        return os.path.lexists(self.logs.path_of(found.job.seq, found.attempt.attempt))

    def _open(self, found: Found) -> int:
        place = found.job.seq, found.attempt.attempt
        try:
            return self.logs.open(*place)
        except FileNotFoundError:
            if not _may_be_silent(found.attempt):
                raise OutputGone(found.job.id, found.attempt.attempt) from None
            return os.open(os.devnull, os.O_RDONLY)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            problem = "is a symbolic link, which is not followed"
            path = self.logs.path_of(*place)
            raise UnsafeError(path, problem, "Put the file itself in its place.") from error


def _may_be_silent(attempt: Attempt) -> bool:
    """Whether it is right that there is no file: a short job has one only if it wrote anything."""
    silent = (AttemptState.RUNNING, AttemptState.RELEASED)
    return attempt.output_bytes == 0 or attempt.state in silent


@attrs.frozen
class Follower:
    """Writes outputs while they grow, attempt after attempt, until the job is finished."""

    reader: Reader
    write: Callable[[bytes], None]

    def one(self, found: Found, tail: int | None) -> None:
        """Follow an attempt to its end."""
        with self._awaited(found, tail) as source:
            ended = False
            while not ended:
                # Asked before the last look, so that nothing written before the end is missed.
                ended = self._has_ended(found)
                for piece in source.pieces():
                    self.write(piece)
                if not ended:
                    idle(_LOOK_SECONDS)

    def all(self, job: Job, tail: int | None) -> None:
        """Follow the latest attempt, or the first when it comes, and all after it."""
        shown = max(0, job.attempt - 1)
        while job.attempt > shown or job.state not in FINISHED:
            if job.attempt > shown:
                shown += 1
                self._tell(shown, of=job)
                self._one_of_many(self.reader.find(job.id, shown), tail)
                if told := self.reader.why_silent(self.reader.find(job.id, shown)):
                    human.complain(told, prefix="")
                tail = None
            else:
                idle(_LOOK_SECONDS)
            job = self.reader.job(job.id)

    def _one_of_many(self, found: Found, tail: int | None) -> None:
        """One that wrote nothing, as its worker was killed before, does not end the following."""
        try:
            self.one(found, tail)
        except OutputGone as error:
            job = self.reader.job(found.job.id)
            if job.state in FINISHED and job.attempt == found.attempt.attempt:
                raise
            human.complain(str(error))

    def _tell(self, number: int, *, of: Job) -> None:
        if number > 1 and human.is_terminal(sys.stderr):
            human.complain(f"attempt {number} of {of.id}:", prefix="")

    @contextmanager
    def _awaited(self, found: Found, tail: int | None) -> Iterator[Source]:
        """An attempt that has just been claimed may have no output for a moment."""
        while not self._has_ended(found) and not self.reader.exists(found):
            idle(_LOOK_SECONDS)
        with self.reader.opened(found, tail) as source:
            yield source

    def _has_ended(self, found: Found) -> bool:
        now = self.reader.find(found.job.id, found.attempt.attempt)
        return now.attempt.state is not AttemptState.RUNNING
