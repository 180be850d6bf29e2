from __future__ import annotations

import os
import pwd
import shlex
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from flam_store.config import Config
from flam_store.errors import ConfigError, StoreError, StoreUrlError, UnsafeError
from flam_store.home import Home, find_home, working_directory

FILES = ["config.json", "queue.db", "queue.db-wal", "queue.db-shm", "queue.db-gate"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A data directory that is there and safe."""
    home = Home(path=tmp_path / "data")
    home.ensure()
    for name in FILES:
        (home.path / name).touch(0o600)
    return home


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that other users can reach, as tmp_path is not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


def mend(error: UnsafeError) -> None:
    """Run the command that the error names."""
    subprocess.run(shlex.split(error.mend.partition("run: ")[2] or error.mend[5:]), check=True)


def test_the_option_goes_before_everything(tmp_path: Path) -> None:
    (tmp_path / ".queuectl_data").mkdir()
    found = find_home(flag="/srv/q", environ={"FLAM_HOME": "/srv/other"}, cwd=tmp_path)
    assert found == Path("/srv/q")


def test_the_environment_goes_before_the_project(tmp_path: Path) -> None:
    (tmp_path / ".queuectl_data").mkdir()
    environ = {"FLAM_HOME": "/srv/other"}
    assert find_home(flag=None, environ=environ, cwd=tmp_path) == Path("/srv/other")


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / ".queuectl_data").mkdir()
    found = find_home(flag=None, environ={"FLAM_HOME": ""}, cwd=tmp_path)
    assert found == tmp_path / ".queuectl_data"


def test_relative_names_are_seen_from_the_working_directory(tmp_path: Path) -> None:
    assert find_home(flag="q", environ={}, cwd=tmp_path) == tmp_path / "q"
    environ = {"FLAM_HOME": "q/r"}
    assert find_home(flag=None, environ=environ, cwd=tmp_path) == tmp_path / "q/r"


def test_the_nearest_project_above_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / ".queuectl_data").mkdir()
    assert find_home(flag=None, environ={}, cwd=inner) == tmp_path / ".queuectl_data"
    (tmp_path / "a" / ".queuectl_data").mkdir()
    assert find_home(flag=None, environ={}, cwd=inner) == tmp_path / "a" / ".queuectl_data"


def test_a_file_with_the_project_s_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".queuectl_data").mkdir()
    inner = tmp_path / "a"
    inner.mkdir()
    (inner / ".queuectl_data").touch()
    assert find_home(flag=None, environ={}, cwd=inner) == tmp_path / ".queuectl_data"


def test_outside_a_project_the_user_s_directory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    found = find_home(flag=None, environ={}, cwd=tmp_path)
    assert found.name == "flam"
    assert found.is_relative_to(tmp_path)
    assert not found.exists()


def test_without_a_known_user_directory_the_options_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_user(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    with pytest.raises(ConfigError, match="name one with --home or \\$FLAM_HOME"):
        find_home(flag=None, environ={}, cwd=tmp_path)


def test_a_deleted_working_directory_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert working_directory() == Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    cwd = working_directory()
    assert cwd is None
    assert find_home(flag=None, environ={}, cwd=cwd).is_relative_to(tmp_path)
    assert find_home(flag="/srv/q", environ={}, cwd=cwd) == Path("/srv/q")
    with pytest.raises(ConfigError, match="--home: 'q' is relative to a working directory"):
        find_home(flag="q", environ={}, cwd=cwd)


def test_an_empty_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--home: is empty"):
        find_home(flag="", environ={}, cwd=tmp_path)


def test_the_library_for_user_directories_is_loaded_only_when_needed() -> None:
    script = (
        "import sys; from pathlib import Path; from flam_store.home import find_home\n"
        "find_home(flag='/srv/q', environ={}, cwd=Path('/'))\n"
        "print('platformdirs' in sys.modules)\n"
        "find_home(flag=None, environ={}, cwd=Path('/'))\n"
        "print('platformdirs' in sys.modules)\n"
    )
    answers = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert answers == ["False", "True"]


def test_the_environment_s_url_goes_before_the_configuration_s() -> None:
    home = Home(path=Path("/srv/q"))
    config = Config(store_url="sqlite:///of-config.db")
    environ = {"FLAM_STORE_URL": "sqlite:///of-environ.db"}
    assert home.resolve_store_url(config, environ) == "sqlite:///of-environ.db"
    assert home.resolve_store_url(config, {"FLAM_STORE_URL": ""}) == "sqlite:///of-config.db"
    assert home.resolve_store_url(Config(), {}) == "sqlite:////srv/q/queue.db"


def test_a_url_that_no_engine_understands_is_told_with_who_named_it() -> None:
    home = Home(path=Path("/srv/q"))
    wrong = Config(store_url="mysql://x")
    with pytest.raises(StoreUrlError, match="store_url of the configuration: queuectl config un"):
        home.resolve_store_url(wrong, {})
    with pytest.raises(StoreUrlError, match=r"unset FLAM_STORE_URL"):
        home.resolve_store_url(wrong, {"FLAM_STORE_URL": "mysql://me:secret@x"})
    assert home.resolve_store_url(wrong, {"FLAM_STORE_URL": "sqlite:///a.db"}) == "sqlite:///a.db"


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "#1", "größe", "\udcff"], ids=ascii)
def test_the_url_of_the_database_is_quoted(name: str) -> None:
    home = Home(path=Path("/srv") / name)
    url = home.resolve_store_url(Config(), {})
    assert url.isascii()
    assert not set(url) & set(" ?#")
    path = unquote(url.removeprefix("sqlite:///"), errors="surrogateescape")
    assert Path(path) == home.database_path


def test_a_new_directory_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    home = Home(path=tmp_path / "data")
    home.ensure()
    assert mode(home.path) == mode(home.logs_path) == 0o700
    assert os.listdir(home.path) == ["logs"]


def test_parents_are_made_and_cannot_be_written_by_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Home(path=tmp_path / "a" / "b" / "data").ensure()
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o755


def test_what_is_there_is_left_there(home: Home) -> None:
    home.config_path.write_text('{"timeout": 5}')
    home.ensure()
    assert home.config_path.read_text() == '{"timeout": 5}'


def test_what_others_could_only_read_is_shut(home: Home) -> None:
    for name in FILES:
        (home.path / name).chmod(0o644)
    home.logs_path.chmod(0o755)
    home.path.chmod(0o755)
    home.check()
    home.ensure()
    assert mode(home.path) == mode(home.logs_path) == 0o700
    assert [mode(home.path / name) for name in FILES] == [0o600] * len(FILES)


def test_an_empty_directory_that_others_can_read_is_shut(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    Home(path=tmp_path / "data").ensure()
    assert mode(tmp_path / "data") == 0o700


def test_a_readable_directory_of_other_files_is_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site").chmod(0o755)
    (tmp_path / "site" / "index.html").touch()
    with pytest.raises(UnsafeError, match="holds other files than Flam's") as caught:
        Home(path=tmp_path / "site").ensure()
    assert mode(tmp_path / "site") == 0o755
    assert os.listdir(tmp_path / "site") == ["index.html"]
    assert "another directory" in caught.value.mend


def test_a_link_to_a_data_directory_is_followed(home: Home, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home.path)
    Home(path=link).ensure()
    Home(path=link).check()


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for act in (Home(path=tmp_path / "data").ensure, Home(path=tmp_path / "data").check):
        with pytest.raises(ConfigError, match="data: is no directory"):
            act()


def test_a_dangling_link_or_a_file_above_cannot_become_a_directory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for path in (tmp_path / "link", tmp_path / "file" / "data"):
        with pytest.raises(StoreError, match=r"cannot be (made|used): (File exists|Not a dir)"):
            Home(path=path).ensure()


MAKER = """
import sys
from pathlib import Path
from flam_store.home import Home
print("ready", flush=True)
sys.stdin.readline()
Home(path=Path(sys.argv[1])).ensure()
"""


def test_many_processes_may_make_it_at_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "data"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for maker in makers:
        assert maker.stdout is not None
        maker.stdout.readline()
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        maker.communicate()
    assert [maker.returncode for maker in makers] == [0] * 8
    assert mode(path) == mode(path / "logs") == 0o700


def test_a_private_directory_passes(home: Home) -> None:
    home.check()


def test_a_missing_directory_passes_and_is_not_made(tmp_path: Path) -> None:
    Home(path=tmp_path / "data").check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".", "logs", *FILES])
@pytest.mark.parametrize("bit", [0o020, 0o002], ids=["group", "others"])
def test_what_others_can_write_is_refused_until_it_is_mended(
    home: Home, name: str, bit: int
) -> None:
    path = home.path / name
    path.chmod(mode(path) | bit)
    with pytest.raises(UnsafeError, match="can be written by other users"):
        home.ensure()
    with pytest.raises(UnsafeError, match="can be written by other users") as caught:
        home.check()
    assert caught.value.path == path
    assert mode(path) & bit
    mend(caught.value)
    home.check()
    assert mode(path) == (0o700 if path.is_dir() else 0o600)


def test_the_mend_is_quoted_for_the_shell(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "it's; my $data")
    home.ensure()
    home.path.chmod(0o777)
    with pytest.raises(UnsafeError) as caught:
        home.check()
    mend(caught.value)
    home.check()


def test_what_belongs_to_somebody_else_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(UnsafeError, match=f"belongs to user {me}") as caught:
        home.check()
    assert caught.value.path == home.path
    assert "another directory" in caught.value.mend


def test_no_chmod_is_advised_for_a_directory_that_is_shared(home: Home) -> None:
    home.path.chmod(0o1777)
    for act in (home.check, home.ensure):
        with pytest.raises(UnsafeError, match="can be written by other users") as caught:
            act()
        assert caught.value.mend == "Name another directory: --home DIR, or $FLAM_HOME."
    assert mode(home.path) == 0o1777


def test_no_chmod_is_advised_for_a_directory_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeError, match="can be written by other users") as caught:
        Home(path=tmp_path).ensure()
    assert caught.value.mend == "Name another directory: --home DIR, or $FLAM_HOME."
    tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["logs", *FILES])
def test_a_file_of_somebody_else_is_refused_until_it_is_mended(home: Home, name: str) -> None:
    os.chown(home.path / name, 12345, -1)
    with pytest.raises(UnsafeError, match="belongs to user 12345"):
        home.ensure()
    with pytest.raises(UnsafeError, match="belongs to user 12345") as caught:
        home.check()
    mend(caught.value)
    home.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_somebody_else_to_the_directory_is_refused(home: Home, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home.path)
    os.chown(link, 12345, -1, follow_symlinks=False)
    with pytest.raises(UnsafeError, match="is a symbolic link of user 12345"):
        Home(path=link).check()


@pytest.mark.parametrize("name", ["logs", *FILES])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_in_the_place_of_a_file_is_refused(
    home: Home, tmp_path: Path, name: str, dangling: bool
) -> None:
    path, elsewhere = home.path / name, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(tmp_path / "nowhere" if dangling else elsewhere)
    before = mode(elsewhere)
    for act in (home.check, home.ensure):
        with pytest.raises(UnsafeError, match="is a symbolic link, which is not followed"):
            act()
    assert mode(elsewhere) == before
    assert not (tmp_path / "nowhere").exists()


def test_files_that_are_not_flam_s_are_not_judged(home: Home) -> None:
    (home.path / "notes.txt").touch()
    (home.path / "notes.txt").chmod(0o666)
    home.check()


@pytest.mark.parametrize("made", [True, False])
def test_a_directory_above_that_everybody_can_write_is_refused(shared: Path, made: bool) -> None:
    above = shared / "open"
    above.mkdir()
    home = Home(path=above / "mine" / "data")
    if made:
        home.ensure()
    above.chmod(0o777)
    with pytest.raises(UnsafeError, match="can be written by everybody") as caught:
        home.ensure()
    assert home.path.exists() is made
    mend(caught.value)
    home.ensure()
    home.check()


def test_the_directories_above_a_link_s_target_count_as_well(shared: Path) -> None:
    above = shared / "open"
    above.mkdir()
    Home(path=above / "data").ensure()
    (shared / "link").symlink_to(above / "data")
    Home(path=shared / "link").check()
    above.chmod(0o777)
    with pytest.raises(UnsafeError, match="can be written by everybody"):
        Home(path=shared / "link").check()


@pytest.mark.parametrize("loose", [0o1777, 0o775], ids=["sticky", "group"])
def test_a_sticky_or_group_writable_directory_above_passes(shared: Path, loose: int) -> None:
    above = shared / "open"
    above.mkdir()
    above.chmod(loose)
    home = Home(path=above / "data")
    home.ensure()
    home.check()


def test_behind_a_private_directory_nobody_else_counts(shared: Path) -> None:
    (shared / "private" / "open").mkdir(parents=True)
    (shared / "private" / "open").chmod(0o777)
    (shared / "private").chmod(0o700)
    Home(path=shared / "private" / "open" / "data").ensure()


CONTENDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
connection.close()
"""


def test_no_look_at_the_directory_drops_the_locks_of_the_database(tmp_path: Path) -> None:
    home = Home(path=tmp_path / "data")
    home.ensure()
    connection = sqlite3.connect(home.database_path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    home.database_path.chmod(0o644)
    home.check()
    home.ensure()
    home.resolve_store_url(Config(), {})
    assert mode(home.database_path) == 0o600
    contend = [sys.executable, "-c", CONTENDER, str(home.database_path)]
    assert subprocess.check_output(contend, text=True) == "database is locked\n"
    connection.execute("COMMIT")
    connection.close()
