"""A worker's own log on standard error: one event is one line, whatever is in it."""

from __future__ import annotations

import json
import logging
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flam_store.text import one_line

_MAX_BYTES = 8 << 20


class _OneLine(logging.Formatter):
    """Traceback and all in one line, with nothing in it that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record), limit=8000)


_FIELDS = ("job", "attempt")
"""What a record may have beside its message, for those who search a log."""


class _Json(logging.Formatter):
    """One JSON object a line, in ASCII: no text of a job can end a line or begin another."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        told: dict[str, Any] = {
            "at": f"{at.isoformat(timespec='milliseconds')}Z",
            "level": record.levelname.lower(),
            "pid": record.process,
            "message": one_line(record.getMessage(), limit=8000),
        }
        told |= {name: vars(record)[name] for name in _FIELDS if name in vars(record)}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")


def begin(level: str = "info", form: str = "text") -> None:
    """Log to standard error from ``level`` on, as lines of text or of JSON."""
    logging.raiseExceptions = False  # a full disk under the log is no reason to fail
    handler = logging.StreamHandler()
    text = _OneLine("%(asctime)s %(levelname)s %(process)d %(message)s")
    handler.setFormatter(_Json() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def keep_short(path: Path) -> None:
    """When standard error is this file and has grown large, keep one older part and go on.

    The pool's processes share the file and append to it, so it is emptied in place.
    """
    found = os.fstat(2)
    if not stat.S_ISREG(found.st_mode) or found.st_size < _MAX_BYTES or not _is(found, path):
        return
    older = path.with_suffix(".log.1")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        suppress(OSError),  # on a full disk that part is lost, and room is made all the same
        path.open("rb") as whole,
        open(os.open(older, flags, 0o600), "wb") as copy,
    ):
        copy.write(whole.read(found.st_size))
    with suppress(OSError):
        os.ftruncate(2, 0)


def _is(found: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(found, path.lstat())
    except OSError:
        return False
