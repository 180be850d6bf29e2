"""The configuration: its keys, their types, bounds and defaults.

Every command and every worker imports this module, so it stands on attrs alone: nine keys do
not pay for the import of a converter.
"""

from __future__ import annotations

import attrs

from flam_store.bounds import BOUNDS
from flam_store.errors import ConfigError

Value = int | float | str | None

_LONGEST_URL = 4096
_LONGEST_COMMAND = 16_384


@attrs.frozen(kw_only=True)
class Config:
    """What holds where nobody said otherwise. ConfigError, naming the key, for a wrong value."""

    max_retries: int = 3
    """Retries after the first attempt."""
    backoff_base: float = 2
    """The delay after failed attempt n is this to the power of n, in seconds."""
    backoff_max: float = 3600
    """The longest delay before a retry, in seconds."""
    backoff_jitter: float = 0.1
    """The delay varies at random by this share of itself, up and down; 0 to 1."""
    timeout: float | None = None
    """Seconds after which an attempt is ended; None: never."""
    log_max_bytes: int = 64 * 1024 * 1024
    """How much of the output of an attempt is kept, in bytes."""
    lease_seconds: float = 30
    """Seconds after which a silent worker's job is somebody else's."""
    shutdown_grace: float = 30
    """Seconds that running jobs have to finish when the pool is stopped."""
    keep_completed: float | None = None
    """Seconds for which completed jobs are kept after their end; None: until they are purged."""
    keep_dead: float | None = None
    """The same for dead letters."""
    priority_ageing: float | None = None
    """Seconds of waiting that count as one level of priority; None: waiting changes nothing."""
    on_success: str | None = None
    """A shell command that is run, as a job of its own, after a job's success."""
    on_failure: str | None = None
    """The same after every attempt that has failed."""
    on_dead: str | None = None
    """The same when a job has become a dead letter."""
    store_url: str | None = attrs.field(default=None, repr=False)
    """Where the jobs are; None: in the data directory. It may hold a password."""

    def __attrs_post_init__(self) -> None:
        for key in KEYS:
            check_value(key, getattr(self, key))


KEYS = tuple(field.name for field in attrs.fields(Config))
"""The names of all keys, in the order in which they are shown."""

OPTIONAL = frozenset(
    {"timeout", "keep_completed", "keep_dead", "priority_ageing",
     "on_success", "on_failure", "on_dead", "store_url"}
)  # fmt: skip
_COMMANDS = frozenset({"on_success", "on_failure", "on_dead"})


def key_named(text: str) -> str:
    """The key that a person means: ``max-retries`` is ``max_retries``. ConfigError if none is."""
    name = text.replace("-", "_")
    if name not in KEYS:
        raise unknown_key(text)
    return name


def check_value(key: str, value: object) -> None:
    """Raise ConfigError, naming the key, for a value that it may not have."""
    if value is None and key in OPTIONAL:
        return
    try:
        if key in BOUNDS:
            BOUNDS[key].check(value)
        elif key in _COMMANDS:
            _check_command(value)
        else:
            _check_url(value)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from None


def _check_command(value: object) -> None:
    if type(value) is not str or not value.strip() or "\0" in value:
        raise ValueError("must be a shell command or none (null in config.json)")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("contains a lone surrogate, which is no character")
    if len(value.encode()) > _LONGEST_COMMAND:
        raise ValueError(f"must have at most {_LONGEST_COMMAND:,} bytes")


def _check_url(value: object) -> None:
    # The value is in no message: it may hold a password.
    if type(value) is not str:
        raise ValueError("must be a URL or null")
    scheme, mark, place = value.partition("://")
    if not (scheme and mark and place and value.isprintable()):
        raise ValueError("must be a URL such as sqlite:////var/lib/flam/queue.db")
    if len(value) > _LONGEST_URL:
        raise ValueError(f"must have at most {_LONGEST_URL:,} characters")


def unknown_key(key: str) -> ConfigError:
    """The refusal of a key that there is not, with the one that was meant."""
    from flam_store.text import one_line, suggest

    meant = suggest(key, KEYS)
    known = f"did you mean {meant}?" if meant else f"the keys are {', '.join(KEYS)}"
    return ConfigError(f"no such key; {known}", key=one_line(key, limit=40))
