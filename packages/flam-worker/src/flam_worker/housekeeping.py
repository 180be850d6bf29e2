"""Deleting what is older than the configuration keeps it, a little at every look."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from flam_store import Config, State, Store
from flam_store.config_file import read_config
from flam_store.errors import FlamError
from flam_store.home import Home
from flam_store.job import Expired
from flam_store.output import Logs

log = logging.getLogger(__name__)

_MOST_SLICES = 20
"""At most so many short transactions a look, in turns for each state."""

_MOST_SECONDS = 1.0
"""For so long a supervisor may be deaf to whoever asks it to stop."""


class Housekeeping:
    """Goes through the finished jobs, a stretch at a time, from the oldest on.

    Each look begins with the oldest and ends where jobs are young. Beyond there an old one is
    rare, be it imported or behind one that is dated ahead: each look goes on with a stretch.

    The configuration is read at every look. While it cannot be read, the last good one holds.
    """

    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._config = config
        self._logs = Logs(home.logs_path)
        self._problem: str | None = None
        self._after = {State.COMPLETED: 0, State.DEAD: 0}
        self._beyond = {State.COMPLETED: 0, State.DEAD: 0}
        self._deleted = 0

    def look(self, store: Store, within: timedelta) -> None:
        """Delete for about this long, and never for more than a second or so.

        What fails is a line in the log, and tried again at the next look.
        """
        self._read_config()
        until = time.monotonic() + min(within.total_seconds(), _MOST_SECONDS)
        try:
            done = _in_turns([lambda: store.forget_minutes() > 0, *self._slices(store)], until)
            if done and self._deleted:
                store.tidy()
                log.info("old jobs deleted: %s", self._deleted)
                self._deleted = 0
        except (FlamError, OSError) as error:
            log.error("old jobs cannot be deleted: %s", error)

    def _slices(self, store: Store) -> Iterator[Callable[[], bool]]:
        kept = {State.COMPLETED: self._config.keep_completed, State.DEAD: self._config.keep_dead}
        ages = {
            state: timedelta(seconds=seconds)
            for state, seconds in kept.items()
            if seconds is not None
        }
        for expire in (self._expire_oldest, self._expire_beyond):
            for state, older_than in ages.items():
                yield partial(expire, store, state, older_than)

    def _expire_oldest(self, store: Store, state: State, older_than: timedelta) -> bool:
        """Delete some; whether there may be more."""
        expired = self._expire(store, state, older_than, after=self._after[state])
        goes_on = expired.after is not None and (bool(expired.seqs) or not expired.young)
        self._after[state] = (expired.after or 0) if goes_on else 0
        return goes_on

    def _expire_beyond(self, store: Store, state: State, older_than: timedelta) -> bool:
        """Delete some, going through all in the course of many looks; whether that was worth it."""
        expired = self._expire(store, state, older_than, after=self._beyond[state])
        self._beyond[state] = expired.after or 0
        return expired.after is not None and bool(expired.seqs)

    def _expire(self, store: Store, state: State, older_than: timedelta, *, after: int) -> Expired:
        expired = store.expire(state, older_than=older_than, after=after)
        self._deleted += len(expired.seqs)
        self._logs.remove(expired.seqs)
        return expired

    def _read_config(self) -> None:
        try:
            self._config, self._problem = read_config(self._home.config_path), None
        except (FlamError, OSError) as error:
            if str(error) != self._problem:
                log.error("%s; until then the settings of before hold", error)
            self._problem = str(error)


def _in_turns(slices: list[Callable[[], bool]], until: float) -> bool:
    """Go on with each in turn while it has more and there is time; whether all came to an end."""
    left = list(slices)
    for _ in range(_MOST_SLICES):
        if not left or time.monotonic() >= until:
            break
        first = left.pop(0)
        if first():
            left.append(first)
    return not left
