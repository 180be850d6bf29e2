"""Where the data directory is; its owner and modes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs

from flam_store.config import Config
from flam_store.errors import ConfigError, StoreError, StoreUrlError, UnsafeError

PROJECT_DIRECTORY = ".queuectl_data"
"""The name of a project's own data directory."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Not the chmod or chown that would mend it: of /tmp or /etc it would break the host.
_ANOTHER = "Name another directory: --home DIR, or $FLAM_HOME."


def working_directory() -> Path | None:
    """The working directory; None if it has been deleted or cannot be named."""
    try:
        return Path.cwd()
    except OSError:
        return None


def find_home(*, flag: str | None, environ: Mapping[str, str], cwd: Path | None) -> Path:
    """The data directory, absolute; it need not exist.

    The first of: ``flag`` (a command's ``--home``), ``$FLAM_HOME`` unless it is empty, the
    nearest ``.queuectl_data`` in ``cwd`` or above it, the user's data directory for ``flam``.
    ``cwd`` is absolute, or None as from :func:`working_directory`. ConfigError if the place
    cannot be told.
    """
    if flag is not None:
        return _absolute(flag, cwd, "--home")
    if named := environ.get("FLAM_HOME"):
        return _absolute(named, cwd, "FLAM_HOME")
    return _project_home(cwd) or _user_home()


@attrs.frozen(kw_only=True)
class Home:
    """A data directory: ``config.json``, ``queue.db`` and ``logs/``.

    Nothing here opens one of the database's files: closing it would drop the locks that this
    process holds on it.
    """

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "config.json"

    @property
    def database_path(self) -> Path:
        return self.path / "queue.db"

    @property
    def logs_path(self) -> Path:
        return self.path / "logs"

    @property
    def run_path(self) -> Path:
        """Where each worker notes which process it started last."""
        return self.path / "run"

    def resolve_store_url(self, config: Config, environ: Mapping[str, str]) -> str:
        """``$FLAM_STORE_URL``, else the configuration's, else this directory's database.

        The environment goes before the file, as it is said for one run. The last is
        percent-encoded, byte by byte. StoreUrlError, with who named it, for one that no engine
        understands.
        """
        from urllib.parse import quote

        if named := environ.get("FLAM_STORE_URL"):
            _check_url(named, "It is in $FLAM_STORE_URL: unset FLAM_STORE_URL")
            return named
        if config.store_url:
            mend = "It is in store_url of the configuration: queuectl config unset store-url"
            _check_url(config.store_url, mend)
            return config.store_url
        return f"sqlite:///{quote(os.fsencode(self.database_path.absolute()))}"

    def ensure(self) -> None:
        """Make the directory and its ``logs/``, private and durable; make private what is there.

        What only lets others read becomes 0700 and 0600; for the rest see :meth:`check`.
        UnsafeError also for a directory that others can read and that holds other files than
        Flam's: to shut it might not be meant. StoreError if it cannot be made.
        """
        _check_above(self.path)
        self.check()
        try:
            _make_parents(self.path.parent)
            _make_private(self.path)
            self._tighten()
            _make_private(self.logs_path)
        except OSError as error:
            raise StoreError(str(self.path), f"cannot be made: {error.strerror}.") from error

    def check(self) -> None:
        """Raise UnsafeError, with what mends it, if somebody else could act here.

        That is: the directory or one of its files belongs to another user or can be written by
        others; a file or ``logs/`` is a symbolic link; a directory above can be written by
        everybody and is not sticky. The directory itself may be a link. A missing one is safe.
        ConfigError if the path is no directory, StoreError if it cannot be looked at.
        """
        for look in self._looks():
            look()

    def faults(self) -> Iterator[UnsafeError]:
        """Everything for which :meth:`check` would raise UnsafeError; it raises the rest."""
        for look in self._looks():
            try:
                look()
            except UnsafeError as error:
                yield error

    def _looks(self) -> Iterator[Callable[[], None]]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(str(self.path), f"cannot be used: {error.strerror}.") from error
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError("is no directory; name another", path=self.path)
        yield partial(_check_above, self.path)
        yield partial(_check_link, self.path)
        yield partial(self._check_itself, found)
        try:
            entries = list(self.entries())
        except OSError as error:
            raise StoreError(str(self.path), f"cannot be read: {error.strerror}.") from error
        for path, found in entries:
            yield partial(_check_entry, path, found)

    def entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        """What of Flam's lies in the directory. OSError."""
        for name in os.listdir(self.path):
            if self._owns(name):
                with suppress(FileNotFoundError):
                    yield self.path / name, os.lstat(self.path / name)

    def may_be_shut(self, found: os.stat_result) -> bool:
        """Whether nobody else loses anything when the directory is made private. OSError.

        Not so of ``/tmp`` and of all that is another's, or held other files before Flam's.
        """
        if found.st_mode & stat.S_ISVTX or found.st_uid != os.geteuid():
            return False
        names = os.listdir(self.path)
        return self.database_path.name in names or all(
            self._owns(name) or name == ".gitignore" for name in names
        )

    def _check_itself(self, found: os.stat_result) -> None:
        try:
            _check_mode(self.path, found)
        except UnsafeError as error:
            with suppress(OSError):
                if self.may_be_shut(found):
                    raise
            raise UnsafeError(self.path, error.problem, _ANOTHER) from None

    def _owns(self, name: str) -> bool:
        own = (self.config_path, self.database_path, self.logs_path, self.run_path)
        beside = (f"{self.database_path.name}-", "before-restore-")
        return name in {path.name for path in own} or name.startswith(beside)

    def _tighten(self) -> None:
        found = self.path.stat()
        if found.st_mode & _OTHERS:
            if not self.may_be_shut(found):
                problem = "can be read by others and holds other files than Flam's"
                raise UnsafeError(self.path, problem, _ANOTHER)
            self.path.chmod(0o700)
        for path, found in self.entries():
            if found.st_mode & _OTHERS:
                path.chmod(private_mode(found))


def _absolute(text: str, cwd: Path | None, source: str) -> Path:
    if not text:
        raise ConfigError("is empty; name a directory", key=source)
    if cwd is None and not os.path.isabs(text):
        problem = f"{text!r} is relative to a working directory that is gone; name it from / on"
        raise ConfigError(problem, key=source)
    return Path(text) if cwd is None else cwd / text


def _project_home(cwd: Path | None) -> Path | None:
    above = (cwd, *cwd.parents) if cwd else ()
    homes = (directory / PROJECT_DIRECTORY for directory in above)
    return next((home for home in homes if os.path.isdir(home)), None)


def _user_home() -> Path:
    from platformdirs import user_data_path

    unknown = "the user's data directory is not known; name one with --home or $FLAM_HOME"
    try:
        path = user_data_path("flam", appauthor=False)
    except RuntimeError as error:
        raise ConfigError(unknown) from error
    # Older platformdirs answer for a user without a home with a directory called "~".
    if not path.is_absolute():
        raise ConfigError(unknown)
    return path


def _check_url(url: str, mend: str) -> None:
    from flam_store.opening import database_path

    try:
        database_path(url)
    except StoreUrlError as error:
        raise StoreUrlError(error.url, error.problem, mend=mend) from None


def _make_parents(directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        # Less than the usual 0777: a loose umask must not let others replace what is in it.
        _make(path, 0o755)


def _make_private(path: Path) -> None:
    if _make(path, 0o700):
        # A tight umask may have taken away our own rights.
        path.chmod(0o700)


def _make(path: Path, mode: int) -> bool:
    """Whether the directory is new; another process may have made it at the same moment."""
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise
        return False
    _sync(path.parent)
    return True


def _sync(directory: Path) -> None:
    # A directory that may be entered but not listed cannot be synced by us.
    with suppress(PermissionError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _check_above(path: Path) -> None:
    for place in dict.fromkeys((path.absolute(), Path(os.path.realpath(path)))):
        _check_parents(place)


def _check_parents(path: Path) -> None:
    for parent in reversed(path.parents):
        try:
            mode = parent.stat().st_mode
        except OSError:
            return
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            problem = f"can be written by everybody, who could replace {path}"
            raise UnsafeError(parent, problem, f"Run: chmod o-w {_quoted(parent)}")
        if not mode & stat.S_IXOTH:
            # Others get no further. A group does: with a umask of 002, the habit of hosts that
            # give every user a group, group-writable directories are everywhere and harmless.
            return


def _check_link(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
        problem = f"is a symbolic link of user {found.st_uid}"
        raise UnsafeError(path, problem, "Name the directory itself.")


def _check_entry(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        problem = "is a symbolic link, which is not followed"
        raise UnsafeError(path, problem, "Put what it names in its place.")
    _check_mode(path, found)


def _check_mode(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        mend = f"If you trust what is in it, run: chown {os.geteuid()} {_quoted(path)}"
        raise UnsafeError(path, f"belongs to user {found.st_uid}", mend)
    if found.st_mode & _WRITABLE_BY_OTHERS:
        mode = private_mode(found)
        mend = f"If you trust what is in it, run: chmod {mode:o} {_quoted(path)}"
        raise UnsafeError(path, "can be written by other users", mend)


def private_mode(found: os.stat_result) -> int:
    """The mode of a file or directory that nobody else can use."""
    return 0o700 if stat.S_ISDIR(found.st_mode) else 0o600


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
