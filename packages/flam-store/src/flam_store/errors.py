"""Everything that Flam raises on purpose.

FlamError
├── SpecError            a job's spec breaks a rule
├── ConfigError          config.json or a value for it breaks a rule
├── StoreUrlError        a store URL that no engine understands
├── NotFound
│   ├── JobNotFound
│   ├── AttemptNotFound
│   ├── QueueNotFound
│   └── ScheduleNotFound
├── Conflict
│   ├── IdTaken          the id belongs to a stored job
│   ├── KeyTaken         an unfinished job holds the unique key
│   ├── ScheduleTaken    a schedule has the name
│   ├── WrongState       the job's state does not allow the verb
│   ├── FileTaken        a file that would be overwritten
│   └── StoreInUse       processes use the store
├── NotFinished          jobs that were waited for were not finished in time
├── StoreError           the store cannot be used
│   ├── StoreBusy        somebody else held it for too long; the verb may be tried again
│   ├── StoreFull        no space; nothing was changed
│   ├── StoreLost        an I/O error or a replaced file; close the store and open it anew
│   ├── StoreDamaged     the file is no sound database
│   ├── StoreForeign     a database, but not one of Flam's
│   ├── StoreNewer       made by a later version of Flam
│   ├── StoreUnfit       a place where the database would not be safe (a network file system)
│   └── StoreMisused     used after close, or in a process that did not open it
└── UnsafeError          the data directory is open to somebody else

An error takes facts, keeps them as attributes and writes its own message: what is wrong,
with the value, then what to do. Which command helps, is for whoever has commands to say. A job
that fails is no error; it is an outcome.
"""

from __future__ import annotations

from pathlib import Path


class FlamError(Exception):
    """The root of all errors that Flam raises on purpose."""


class SpecError(FlamError):
    """A spec breaks a rule. ``field`` is the field's name, or None for the spec as a whole."""

    def __init__(self, problem: str, *, field: str | None = None, line: int | None = None) -> None:
        self.problem = problem
        self.field = field
        self.line = line
        where = f"line {line}: " if line is not None else ""
        super().__init__(f"{where}{field}: {problem}" if field else f"{where}{problem}")

    def at_line(self, line: int) -> SpecError:
        """The same error, said of one line of a file (from 1)."""
        return SpecError(self.problem, field=self.field, line=line)


class ConfigError(FlamError):
    """A config value, or the config file, breaks a rule."""

    def __init__(self, problem: str, *, key: str | None = None, path: Path | None = None) -> None:
        self.problem = problem
        self.key = key
        self.path = path
        parts = [str(path)] if path else []
        parts += [key] if key else []
        super().__init__(": ".join([*parts, problem]))


class StoreUrlError(FlamError):
    """A store URL that no engine understands. The URL's password is never in the message."""

    def __init__(self, url: str, problem: str, *, mend: str | None = None) -> None:
        self.url = url
        self.problem = problem
        self.mend = mend
        sentence = f"The store URL {url!r} {problem}."
        super().__init__(f"{sentence} {mend}" if mend else sentence)


class NotFound(FlamError):
    """What was named does not exist."""


class JobNotFound(NotFound):
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"No job has the id {job_id!r}.")


class AttemptNotFound(NotFound):
    def __init__(self, job_id: str, attempt: int | None = None) -> None:
        self.job_id = job_id
        self.attempt = attempt
        if attempt is None:
            problem = f"Job {job_id!r} has not been started yet, so it has no output."
        else:
            problem = f"Job {job_id!r} has no attempt {attempt}."
        super().__init__(problem)


class QueueNotFound(NotFound):
    def __init__(self, queue: str) -> None:
        self.queue = queue
        super().__init__(f"No queue is named {queue!r}.")


class ScheduleNotFound(NotFound):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"No schedule is named {name!r}.")


class Conflict(FlamError):
    """What is stored already does not allow it."""


class IdTaken(Conflict):
    """``others`` is how many more ids of an import belong to stored jobs; None for a new job.

    ``twice``: no job is stored under it, but two of those that were to be stored had it.
    """

    def __init__(self, job_id: str, *, others: int | None = None, twice: bool = False) -> None:
        self.job_id = job_id
        self.others = others
        self.twice = twice
        problem = f"The id {job_id!r} belongs to a stored job"
        if twice:
            problem = f"The id {job_id!r} is given twice"
            mend = "Give each job its own, or none; nothing was stored."
        elif others is None:
            mend = "Give another, or none."
        else:
            problem += f", and so do {others:,} more of these" if others else ""
            mend = "Nothing was imported; --skip-existing leaves such jobs out."
        super().__init__(f"{problem}. {mend}")


class KeyTaken(Conflict):
    def __init__(self, unique_key: str, holder: str) -> None:
        self.unique_key = unique_key
        self.holder = holder
        super().__init__(
            f"The unfinished job {holder!r} holds the unique key {unique_key!r}. "
            "Wait until it has finished, or cancel it."
        )


class ScheduleTaken(Conflict):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"A schedule is named {name!r} already. Name another, or remove that one first."
        )


class WrongState(Conflict):
    """``allowed`` names the states in which the verb would have been possible."""

    def __init__(self, job_id: str, state: str, verb: str, allowed: tuple[str, ...]) -> None:
        self.job_id = job_id
        self.state = state
        self.verb = verb
        self.allowed = allowed
        super().__init__(
            f"Job {job_id!r} is {state}; {verb} takes a job that is {' or '.join(allowed)}."
        )


class FileTaken(Conflict):
    def __init__(self, path: str, problem: str, mend: str) -> None:
        self.path = path
        self.problem = problem
        self.mend = mend
        super().__init__(f"{path} {problem}. {mend}")


class StoreInUse(Conflict):
    """``users`` names the processes, as far as they can be told."""

    def __init__(self, place: str, users: tuple[str, ...]) -> None:
        self.place = place
        self.users = users
        super().__init__(
            f"{place} is in use by {', '.join(users)}. Nothing was changed; "
            "stop the workers, then try again."
        )


class NotFinished(FlamError):
    """``job_ids`` are those that were not finished when the time ran out."""

    exit_code = 124

    def __init__(self, job_ids: tuple[str, ...], seconds: float) -> None:
        self.job_ids = job_ids
        self.seconds = seconds
        named = ", ".join(job_ids[:3]) + (", …" if len(job_ids) > 3 else "")
        jobs = "1 job was" if len(job_ids) == 1 else f"{len(job_ids):,} jobs were"
        super().__init__(f"{jobs} not finished after {seconds:g} s: {named}.")


class StoreError(FlamError):
    """The store cannot be used. ``place`` is the database as a person would name it."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        super().__init__(f"{place} {problem}")


class StoreBusy(StoreError):
    def __init__(self, place: str, waited_seconds: float) -> None:
        self.waited_seconds = waited_seconds
        super().__init__(
            place, f"was locked by another process for {waited_seconds:.1f} s. Try again."
        )


class StoreFull(StoreError):
    def __init__(self, place: str) -> None:
        super().__init__(
            place, "cannot grow: the disk is full. Nothing was changed; make room and try again."
        )


class StoreLost(StoreError):
    """After this the handle is of no more use: what the last commit did is not known."""


class StoreDamaged(StoreError):
    def __init__(self, place: str, detail: str) -> None:
        self.detail = detail
        super().__init__(
            place,
            f"is damaged or no database ({detail}). It was left as it is; "
            "restore a backup, or move it away to begin with an empty queue.",
        )


class StoreForeign(StoreError):
    def __init__(self, place: str, detail: str) -> None:
        self.detail = detail
        super().__init__(place, f"is a database of another program ({detail}). Name another file.")


class StoreNewer(StoreError):
    def __init__(self, place: str, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            place,
            f"was made by schema {found}; this Flam knows up to {known}. "
            "Install a later flam-store.",
        )


class StoreUnfit(StoreError):
    """The database lies where its locks would not hold."""


class StoreMisused(StoreError):
    """A fault of the calling program, not of the store."""


class UnsafeError(FlamError):
    """Somebody else could write the file or directory, and with it run commands as this user."""

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        self.path = path
        self.problem = problem
        self.mend = mend
        super().__init__(f"{path} {problem}. Nothing was done. {mend}")
