"""What a pool was asked to be."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import attrs

from flam_store import Config, Store, open_store
from flam_store.config_file import read_config
from flam_store.errors import FlamError, StoreLost
from flam_store.home import Home
from flam_store.opening import database_exists


@attrs.frozen(kw_only=True)
class Settings:
    """``queues`` None: all of them. ``supervisor`` is the id of the pool's supervisor.

    A pool in the ``background`` has nobody who would start it again should its supervisor die.
    ``config`` is as the pool found it when it began: what becomes of the file afterwards must
    not keep a running pool from recovering jobs.
    """

    home: Home
    config: Config
    store_url: str
    count: int
    queues: tuple[str, ...] | None
    drain: bool
    supervisor: str
    background: bool = False

    @property
    def run_folder(self) -> Path:
        """Where each worker notes which process it started last."""
        return self.home.run_path

    def renewed(self) -> Settings:
        """The same with the configuration as it is now, if that can be read."""
        try:
            return attrs.evolve(self, config=read_config(self.home.config_path))
        except (FlamError, OSError):
            return self

    def open(self, *, patience: timedelta | None = None) -> Store:
        """The pool's store. StoreLost when it was taken away: a worker makes no new one."""
        if not database_exists(self.store_url):
            raise StoreLost(self.store_url.rpartition("@")[2], "is gone.")
        return open_store(self.store_url, config=self.config, patience=patience)


def store_url_of(home: Home, given: str | None) -> str:
    """The URL that an argument gives, or else the environment, the config, the directory."""
    return given or home.resolve_store_url(read_config(home.config_path), os.environ)
