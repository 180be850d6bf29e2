"""What is right and wrong about a data directory: modes, owners, room, configuration."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import attrs

from flam_store.config import Config
from flam_store.config_file import explicit, read_config
from flam_store.durations import format_duration
from flam_store.errors import FlamError
from flam_store.finding import Finding, Repair, counted, failed, passed, warned
from flam_store.home import Home, private_mode
from flam_store.room import room

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_REPAIR = "queuectl doctor --repair"
_SHORT_LEASE_SECONDS = 10

Entry = tuple[Path, os.stat_result]


def examine_directory(home: Home) -> Iterator[Finding]:
    """The directory and everything of Flam's in it. Opens no file."""
    if not os.path.lexists(home.path):
        text = f"{home.path} is not there yet; the first command that writes makes it"
        yield passed("directory", text)
        return
    try:
        faults = list(home.faults())
        inside = list(_walk(home))
    except (FlamError, OSError) as error:
        yield failed("directory", str(error), "Name another directory, or make it readable")
        return
    for fault in faults:
        yield failed("directory", f"{fault.path} {fault.problem}", fault.mend)
    told = {fault.path for fault in faults}
    strange = list(_strange([each for each in inside if each[0] not in told]))
    yield from strange
    if not faults and not strange:
        text = f"{home.path} and {counted(len(inside), 'entry')} in it are private to you"
        yield passed("directory", text)
    with suppress(OSError):
        yield room("room", home.logs_path if home.logs_path.is_dir() else home.path)


def mend_directory(home: Home) -> tuple[Repair, ...]:
    """Make this user's own files private; from the top, so that nobody comes in between."""
    closed = []
    with suppress(OSError):
        found = home.path.stat()
        if not home.may_be_shut(found):
            return ()
        if _is_open_to_others(found):
            home.path.chmod(private_mode(found))
            closed.append(home.path)
        for path, found in _walk(home):
            if _is_open_to_others(found) and found.st_uid == os.geteuid():
                with suppress(OSError):
                    path.chmod(private_mode(found))
                    closed.append(path)
    return tuple(Repair(subject="directory", text=f"{path} made private") for path in closed)


def examine_config(home: Home, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The file, and whether its values go together."""
    try:
        config, given = read_config(home.config_path), explicit(home.config_path)
    except FlamError as error:
        mend = getattr(error, "mend", "Mend the file, or move it away to begin with the defaults")
        yield failed("config", str(error), mend)
        return
    fights = list(_fights(config, environ))
    for text, mend in fights:
        yield warned("config", text, mend)
    if not fights:
        what = f"sets {', '.join(given)}" if given else "sets nothing: the defaults hold"
        yield passed("config", f"{home.config_path.name} {what}")


def config_as_far_as_readable(home: Home) -> Config:
    """The configuration, or the defaults where it cannot be read."""
    try:
        return read_config(home.config_path)
    except FlamError:
        return Config()


def _fights(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is allowed, and hardly meant."""
    base, most = config.backoff_base, config.backoff_max
    if most < base:
        text = f"backoff_max ({most:g} s) is below backoff_base ({base:g}): no delay grows"
        yield text, "queuectl config unset backoff_max"
    elif 0 < base < 1:
        text = f"backoff_base is {base:g}: each retry comes sooner than the one before"
        yield text, "queuectl config unset backoff_base"
    if config.lease_seconds < _SHORT_LEASE_SECONDS:
        lease = format_duration(config.lease_seconds)
        text = f"lease_seconds is {lease}: a host that stalls for so long loses its jobs"
        yield text, "queuectl config unset lease_seconds"
    named = environ.get("FLAM_STORE_URL")
    if named and config.store_url and named != config.store_url:
        text = "$FLAM_STORE_URL and store_url name two stores; the first is used"
        yield text, "unset FLAM_STORE_URL, or: queuectl config unset store_url"


@attrs.frozen
class _Fault:
    """A kind of fault that entries may have, told once however many have it."""

    text: str
    mend: str
    is_fatal: bool


_FOREIGN = _Fault("belong to other users", "If you trust what is in it, chown it", is_fatal=True)
_LINK = _Fault("are symbolic links, which are not followed", "Put the file there", is_fatal=True)
_WRITABLE = _Fault("can be written by other users", _REPAIR, is_fatal=True)
_READABLE = _Fault("can be read by other users", _REPAIR, is_fatal=False)


def _strange(entries: list[Entry]) -> Iterator[Finding]:
    found: dict[_Fault, list[Path]] = {}
    for path, mode in entries:
        if fault := _fault_of(mode):
            found.setdefault(fault, []).append(path)
    for fault, paths in found.items():
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        say = failed if fault.is_fatal else warned
        yield say("directory", f"{paths[0]}{more} {fault.text}", fault.mend)


def _fault_of(found: os.stat_result) -> _Fault | None:
    if found.st_uid != os.geteuid():
        return _FOREIGN
    if stat.S_ISLNK(found.st_mode):
        return _LINK
    if found.st_mode & _OTHERS_WRITE:
        return _WRITABLE
    return _READABLE if found.st_mode & _OTHERS else None


def _is_open_to_others(found: os.stat_result) -> bool:
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & _OTHERS)


def _walk(home: Home) -> Iterator[Entry]:
    """Everything of Flam's below the directory, each folder before what is in it."""
    left = list(home.entries())
    while left:
        path, found = left.pop()
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            with suppress(FileNotFoundError):
                left += [(path / name, os.lstat(path / name)) for name in os.listdir(path)]
