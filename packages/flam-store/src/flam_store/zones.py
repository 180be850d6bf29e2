"""The time zone of this host, by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from flam_store.cron import zone_named

_LINK = Path("/etc/localtime")
_FILE = Path("/etc/timezone")


def local_zone(environ: Mapping[str, str], *, link: Path = _LINK, file: Path = _FILE) -> str:
    """The name that ``TZ`` gives, or the host's; UTC where it has none that is known.

    A ``TZ`` that is a rule or a path names no zone, and outweighs the host's all the same.
    """
    names = [environ["TZ"].removeprefix(":")] if environ.get("TZ") else _of_host(link, file)
    for name in names:
        with suppress(ValueError):
            zone_named(name)
            return name
    return "UTC"


def _of_host(link: Path, file: Path) -> Iterator[str]:
    with suppress(OSError):
        _, found, name = os.path.realpath(link, strict=True).rpartition("zoneinfo/")
        if found:
            yield name
    with suppress(OSError, ValueError):
        yield file.read_text("utf-8").strip()
