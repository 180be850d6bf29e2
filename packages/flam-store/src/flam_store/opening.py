"""Opening a store by its URL; only that URL's engine is imported."""

from __future__ import annotations

import os
from datetime import timedelta

from flam_store.clock import Clock, system_clock
from flam_store.config import Config
from flam_store.errors import StoreUrlError
from flam_store.store import Store


def open_store(
    url: str,
    *,
    config: Config | None = None,
    create: bool = True,
    clock: Clock = system_clock,
    patience: timedelta | None = None,
) -> Store:
    """The store at ``url``: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    ``config`` gives the retry, backoff and timeout values of jobs whose spec has none; its
    defaults when left out. With ``create`` a missing database is made (mode 0600; its folder
    must exist); without, it is an empty queue that is kept nowhere. ``clock`` is the store's
    one clock. ``patience`` is how long a verb waits for other writers before StoreBusy,
    half a minute unless told.

    Raises StoreUrlError; UnsafeError for a file that others can write; and every StoreError.
    """
    if not url.startswith("sqlite:///"):
        raise StoreUrlError(without_password(url), "names no engine; it begins with sqlite:///")
    from flam_store.sqlite.engine import SqliteStore
    from flam_store.sqlite.place import make_file, path_of
    from flam_store.sqlite.session import Session

    path = path_of(url)
    if create:
        make_file(path)
    elif not os.path.lexists(path):
        return SqliteStore(Session(None), config or Config(), clock)
    given = {} if patience is None else {"patience_seconds": patience.total_seconds()}
    return SqliteStore(Session(path, **given), config or Config(), clock)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, mark, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    if not at:
        return url
    user, colon, _ = account.partition(":")
    return f"{scheme}{mark}{user}{':***' if colon else ''}@{place}"


def database_exists(url: str) -> bool:
    """Whether there is something where the URL points, so that opening would make nothing."""
    from flam_store.sqlite.place import path_of

    return os.path.lexists(path_of(url))
