"""What no declaration of the programs holds: exit codes in words, environment and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flam_store import exits

Rows = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a program's page has beside its commands. ``one_line`` is for the page's NAME."""

    one_line: str
    exits: Mapping[int, str]
    environment: Rows
    files: Rows
    near: tuple[str, ...]
    notes: tuple[str, ...]


_HOME = (
    "The data directory, unless --home names one. Otherwise it is the nearest .queuectl_data in "
    "the working directory or above it, or else the user's own."
)
_URL = (
    "The store, such as sqlite:////srv/thumbs/queue.db, before the store_url of the "
    "configuration. A URL that holds a password belongs here and not into an argument."
)
_GLOBAL = (
    "Global options stand before the command; --json is also taken after it. Every command has -h "
    "and --help. Durations are seconds, or such as 90s, 10m, 1h30m, 7d."
)
_RUN = (
    '"queuectl run" exits as its job does: with the exit code of its last attempt, 128 and the '
    "number of the signal that ended it, or 124 after a timeout."
)
_RELOAD = (
    "SIGHUP, from a service manager, reads the configuration anew: each worker finishes its job, "
    "and one with the new values follows it. Without a service manager SIGHUP stops the pool."
)
_JOBS = (
    "A job finds FLAM_JOB_ID, FLAM_ATTEMPT, FLAM_QUEUE and FLAM_HOME in its environment, and "
    "FLAM_COOKIE, by which its processes are found again; a hook finds FLAM_HOOK, "
    "FLAM_HOOK_JOB_ID, FLAM_HOOK_ATTEMPT, FLAM_HOOK_STATE, FLAM_HOOK_EXIT_CODE, FLAM_HOOK_SIGNAL "
    "and FLAM_HOOK_ERROR as well."
)
_FILES = {
    ".queuectl_data/": 'The data directory of a project; "queuectl init" makes it.',
    "~/.local/share/flam/": "The data directory of a user, below $XDG_DATA_HOME if that is set; "
    "on macOS ~/Library/Application Support/flam/.",
    "config.json": 'In the data directory: the configuration, as "queuectl config" shows it.',
    "queue.db": "In the data directory: the queue, an SQLite database. Beside it lie -wal, -shm, "
    '-gate and -bells, which belong to it. Do not copy it by hand: "queuectl backup" does.',
    "logs/": "In the data directory: the output of every attempt that wrote any.",
    "run/": "In the data directory: what each worker is about to run, runs and has run, for "
    "whoever has to recover it.",
}

QUEUECTL = Told(
    one_line="enqueue shell commands, run them with workers, retry what fails",
    exits={
        exits.DONE: "Done.",
        exits.NO: "The answer is no: a job that was waited for did not complete, doctor found a "
        "fault. Also for a fault of queuectl itself.",
        exits.WRONG: "The words, the spec or the configuration are wrong.",
        exits.UNKNOWN: "There is no such job, worker, queue or schedule.",
        exits.CONFLICT: "A conflict: the id is taken, the state of the job does not allow it, the "
        "file is there already.",
        exits.STORE: "The store cannot be used: it is missing, locked, full, damaged or newer; or "
        "a file cannot be written.",
        exits.UNSAFE: "Refused for safety: the data directory is open to others.",
        exits.TIMED_OUT: "The time of a --timeout or --wait-timeout ran out.",
        exits.INTERRUPTED: "Interrupted by Ctrl-C.",
    },
    environment={
        "FLAM_HOME": _HOME,
        "FLAM_STORE_URL": _URL,
        "NO_COLOR": "If it is set and not empty, nothing is coloured.",
        "TERM": "On a terminal that is called dumb nothing is coloured and no screen is drawn.",
        "TZ": "The time zone of schedules that name none.",
    },
    files=_FILES,
    near=("flam-worker(1)",),
    notes=(
        _GLOBAL,
        _RUN,
    ),
)

FLAM_WORKER = Told(
    one_line="run the jobs of a Flam queue",
    exits={
        exits.DONE: "A clean stop. With --check: a pool of this host is at work.",
        exits.NO: "With --check: no pool is at work. Otherwise a fault of flam-worker itself.",
        exits.WRONG: "The words or the configuration are wrong, or the system is not supported.",
        exits.STORE: "The store cannot be used: it is missing, locked, full, damaged or newer.",
        exits.UNSAFE: "Refused for safety: the data directory is open to others.",
    },
    environment={
        "FLAM_HOME": _HOME,
        "FLAM_STORE_URL": _URL,
        "NOTIFY_SOCKET": "Where a service manager is told that the pool is ready, reloads, or "
        "stops. Jobs do not see it.",
        "WATCHDOG_USEC": "How often a service manager wants a sign of life.",
        "SHIV_ROOT": "Where the standalone file unpacks itself, instead of ~/.shiv.",
    },
    files=_FILES,
    near=("queuectl(1)", "systemd.service(5)"),
    notes=(
        _RELOAD,
        _JOBS,
    ),
)
