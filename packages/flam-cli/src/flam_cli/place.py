"""Where a command works: the data directory, its configuration and its store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from flam_cli.options import Call
from flam_store.config import Config
from flam_store.config_file import read_config
from flam_store.errors import JobNotFound, ScheduleNotFound, StoreError
from flam_store.home import Home, find_home, working_directory
from flam_store.opening import open_store, without_password
from flam_store.text import suggest

if TYPE_CHECKING:
    from flam_store.output import Logs
    from flam_store.store import Store

_RECENT = 500


@attrs.frozen(kw_only=True)
class Place:
    """A data directory that is safe to use. ``creates``: what is missing may be made."""

    home: Home
    config: Config
    creates: bool

    @property
    def logs(self) -> Logs:
        from flam_store.output import Logs

        return Logs(self.home.logs_path)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store; an id that it does not know is answered with one that is near."""
        url = self.home.resolve_store_url(self.config, os.environ)
        try:
            opened = open_store(url, config=self.config, create=self.creates)
        except OSError as error:
            problem = f"cannot be made: {error.strerror}."
            raise StoreError(without_password(url), problem) from error
        with opened:
            try:
                yield opened
            except JobNotFound as error:
                hint_at_near_id(opened, error)
                raise
            except ScheduleNotFound as error:
                names = (each.name for each in opened.schedules())
                if meant := suggest(error.name, names):
                    error.add_note(f"Did you mean {meant!r}?")
                raise


def home_of(call: Call) -> Home:
    """The data directory as the options, the environment and the working directory name it."""
    return Home(path=find_home(flag=call.home, environ=os.environ, cwd=working_directory()))


def existing(call: Call) -> Place:
    """For a command that only reads: nothing is made, and a missing queue is an empty one."""
    home = home_of(call)
    home.check()
    return Place(home=home, config=read_config(home.config_path), creates=False)


def made(call: Call) -> Place:
    """For a command that writes: what is missing is made."""
    home = home_of(call)
    home.ensure()
    home.check()
    return Place(home=home, config=read_config(home.config_path), creates=True)


def hint_at_near_id(store: Store, error: JobNotFound) -> None:
    """Add the id that was probably meant, of the recent ones, to the error."""
    recent = (job.id for job in store.jobs(limit=_RECENT).jobs)
    if meant := suggest(error.job_id, recent):
        error.add_note(f"Did you mean {meant!r}?")
