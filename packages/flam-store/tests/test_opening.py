from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flam_store import Config, open_store
from flam_store.errors import StoreMisused, StoreUrlError
from flam_store.migrations import Kind, Migration, Phase, ordered, parse_migration
from flam_store.opening import database_exists, without_password
from flam_store.sqlite.place import path_of
from flam_store.sqlite.schema import KNOWN, migrations, statements
from flam_store.testing.given import spec


@pytest.mark.parametrize(
    "url", ["", "queue.db", "/queue.db", "sqlite:queue.db", "sqlite://queue.db", "mysql://h/d",
            "SQLITE:///a.db"],
)  # fmt: skip
def test_a_url_that_no_engine_understands_is_refused(url: str) -> None:
    with pytest.raises(StoreUrlError) as caught:
        open_store(url)
    assert "sqlite:///" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql:***"),
        ("postgresql://host/db?user=me&password=secret", "postgresql:***"),
        ("postgresql:me:secret@host/db", "postgresql:***"),
        ("secret@host", ":***"),
        ("mysql://me:secret", "mysql:***"),
        ("mysql://host/secret;password=secret", "mysql:***"),
        ("mysql://a-host.example/db", "mysql://a-host.example/db"),
        ("sqlite:////home/me@work/queue.db", "sqlite:////home/me@work/queue.db"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    if not url.startswith("sqlite:"):
        with pytest.raises(StoreUrlError) as refused:
            open_store(url)
        assert "secret" not in str(refused.value)


def test_a_query_in_a_url_is_refused_and_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUrlError, match="query"):
        open_store(f"sqlite:///{tmp_path}/queue.db?mode=ro")
    assert list(tmp_path.iterdir()) == []


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of("sqlite:///a/b.db") == f"{tmp_path}/a/b.db"
    assert path_of("sqlite:////a/b.db") == "/a/b.db"
    assert path_of("sqlite:///a%20b%25.db") == f"{tmp_path}/a b%.db"


def test_a_relative_store_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///queue.db") as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.enqueue(spec("j"))
        assert os.listdir() == []
    assert (tmp_path / "queue.db").exists()


def test_whether_there_is_a_database_is_told_without_making_one(path: Path) -> None:
    url = f"sqlite:///{path}"
    assert not database_exists(url)
    assert not path.exists()
    open_store(url).close()
    assert database_exists(url)


def test_a_missing_database_is_an_empty_queue_that_cannot_be_used_after_close(path: Path) -> None:
    store = open_store(f"sqlite:///{path}", create=False, config=Config(max_retries=1))
    assert store.jobs().jobs == ()
    store.close()
    store.close()
    with pytest.raises(StoreMisused):
        store.jobs()
    assert not path.exists()


def test_the_migrations_of_this_version_are_whole() -> None:
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, KNOWN + 1))
    for migration in found:
        assert migration.kind in Kind
        assert migration.phase in Phase
        assert len(list(statements(migration.sql))) > 1


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("phase", Phase)
def test_a_migration_says_its_kind_and_phase(kind: Kind, phase: Phase) -> None:
    text = f"-- kind: {kind}\n-- phase: {phase}\n\nSELECT 1;\n"
    assert parse_migration("0012_some_name.sql", text) == Migration(
        number=12, name="some_name", kind=kind, phase=phase, sql=text
    )


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_a.txt", "a.sql", "0001_.sql"])
def test_what_is_not_named_like_a_migration_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a migration"):
        parse_migration(name, "-- kind: transaction\n-- phase: before\n")


def test_a_gap_between_migrations_is_refused() -> None:
    text = "-- kind: plain\n-- phase: after\n"
    first, second, third = (parse_migration(f"000{n}_x.sql", text) for n in (1, 2, 3))
    assert ordered([second, first]) == (first, second)
    for gap in ([second], [first, third], [first, first]):
        with pytest.raises(ValueError, match="gap"):
            ordered(gap)


def test_a_trigger_stays_one_statement() -> None:
    script = (
        "-- one; comment\nCREATE TABLE a (x);\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; DELETE FROM a; END;\n"
    )
    found = [statement.strip() for statement in statements(script) if statement.strip(" \n;")]
    assert len(found) == 2
    assert found[1].endswith("END;")


def test_only_the_engine_of_the_url_is_imported() -> None:
    code = (
        "import sys, flam_store; assert 'sqlite3' not in sys.modules;"
        "from flam_store import open_store\n"
        "try: open_store('other://x')\nexcept Exception: pass\n"
        "assert 'sqlite3' not in sys.modules and 'flam_store.sqlite' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
