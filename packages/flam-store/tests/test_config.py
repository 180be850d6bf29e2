from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from flam_store.bounds import BOUNDS
from flam_store.config import KEYS, Config, key_named
from flam_store.config_file import explicit, read_config, set_value, unset_value
from flam_store.errors import ConfigError, UnsafeError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def only(path: Path) -> bool:
    """Whether nothing but the file is in its directory."""
    return list(path.parent.iterdir()) == [path]


def test_without_a_file_the_defaults_hold(path: Path) -> None:
    assert read_config(path) == Config(
        max_retries=3,
        backoff_base=2,
        backoff_max=3600,
        backoff_jitter=0.1,
        timeout=None,
        log_max_bytes=67_108_864,
        lease_seconds=30,
        shutdown_grace=30,
        store_url=None,
    )
    assert explicit(path) == {}
    assert not path.exists()


def test_the_file_goes_before_the_defaults(path: Path) -> None:
    path.write_text('{"timeout": 1.5, "max_retries": 0}')
    assert read_config(path) == Config(timeout=1.5, max_retries=0)
    assert explicit(path) == {"timeout": 1.5, "max_retries": 0}


def test_null_sets_an_optional_key(path: Path) -> None:
    path.write_text('{"timeout": null, "store_url": null}')
    assert read_config(path) == Config()
    assert explicit(path) == {"timeout": None, "store_url": None}


DEEP = "[" * 30_000 + "]" * 30_000
CORRUPT = {
    "empty": ("", "line 1, column 1"),
    "cut short": ('{\n "timeout": 5,', "line 2, column"),
    "no JSON": ('{\n  "timeout": 5\n  "max_retries": 3}', "line 3, column 3"),
    "array": ("[]", "must be a JSON object, not an array"),
    "string": ('"timeout"', 'must be a JSON object, not "timeout"'),
    "duplicate": ('{"timeout": 5, "timeout": 6}', "timeout: is given twice"),
    "NaN": ('{"timeout": NaN}', "NaN is not a number of JSON"),
    "Infinity": ('{"timeout": -Infinity}', "-Infinity is not a number of JSON"),
    "1e999": ('{"timeout": 1e999}', "timeout: must be a number of seconds"),
    "deep": (DEEP, "is nested too deeply"),
    "deep value": ('{"timeout": ' + DEEP, "is nested too deeply"),
    "5,000 digits": ('{"max_retries": ' + "9" * 5000 + "}", "too many digits"),
    "4,000 digits": ('{"max_retries": ' + "9" * 4000 + "}", "max_retries: must be an integer"),
    "huge": (" " * 70_000 + "{}", "is longer than 65,536 bytes"),
    "near miss": ('{"max_retrys": 3}', "max_retrys: no such key; did you mean max_retries?"),
    "hyphen": ('{"max-retries": 3}', "max-retries: no such key; did you mean max_retries?"),
    "unknown": ('{"zebra": 3}', "zebra: no such key; the keys are max_retries, backoff_base"),
    "hostile key": ('{"\\u001b[2J": 3}', "\\x1b[2J: no such key"),
    "bool": ('{"max_retries": true}', "must be an integer from 0 to 2147483647, not true"),
    "float": ('{"max_retries": 3.0}', "max_retries: must be an integer"),
    "string value": (
        '{"max_retries": "3"}',
        'max_retries: must be an integer from 0 to 2147483647, not "3"',
    ),
    "null": ('{"max_retries": null}', "from 0 to 2147483647, not null"),
    "object": ('{"timeout": {}}', "from 0.001 to 3153600000, not an object"),
    "url": ('{"store_url": 5}', "store_url: must be a URL"),
}


@pytest.mark.parametrize(("text", "words"), CORRUPT.values(), ids=CORRUPT.keys())
def test_a_corrupt_file_is_refused_by_name_and_place_and_never_touched(
    path: Path, text: str, words: str
) -> None:
    path.write_text(text)
    for act in (
        read_config,
        explicit,
        lambda path: set_value(path, "timeout", "5"),
        lambda path: unset_value(path, "timeout"),
    ):
        with pytest.raises(ConfigError) as caught:
            act(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert words in message
        assert "\n" not in message
        assert len(message) < len(str(path)) + 300
    assert path.read_text() == text
    assert only(path)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(path: Path) -> None:
    path.write_bytes(b'{\n"store_url": "sqlite:///\xff"}')
    with pytest.raises(ConfigError, match="line 2: is not UTF-8"):
        read_config(path)


def test_a_symbolic_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text('{"timeout": 5}')
    path.symlink_to(real)
    with pytest.raises(UnsafeError, match="is a symbolic link"):
        read_config(path)
    with pytest.raises(UnsafeError, match="is a symbolic link"):
        set_value(path, "timeout", "6")
    assert real.read_text() == '{"timeout": 5}'
    assert path.is_symlink()


def test_a_dangling_link_is_no_missing_file(path: Path) -> None:
    path.symlink_to("nowhere")
    with pytest.raises(UnsafeError, match="is a symbolic link"):
        read_config(path)


def test_a_named_pipe_does_not_hang_the_reader(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no regular file"):
        read_config(path)


def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="is no regular file"):
        read_config(path)


@pytest.mark.parametrize(
    ("key", "lowest", "below", "highest", "above"),
    [
        ("max_retries", 0, -1, 2**31 - 1, 2**31),
        ("backoff_base", 0, -0.1, 1e6, 1e6 + 1),
        ("backoff_max", 0, -1, 3_153_600_000, 3_153_600_001),
        ("backoff_jitter", 0, -0.1, 1, 1.1),
        ("timeout", 0.001, 0, 3_153_600_000, 3_153_600_001),
        ("log_max_bytes", 512, 511, 2**40, 2**40 + 1),
        ("lease_seconds", 3, 2.9, 86_400, 86_401),
        ("shutdown_grace", 0, -1, 3_153_600_000, 3_153_600_001),
    ],
)
def test_a_number_is_kept_within_its_bounds(
    key: str, lowest: float, below: float, highest: float, above: float
) -> None:
    for value in (lowest, highest):
        Config(**{key: value})  # type: ignore[arg-type]
        BOUNDS[key].check(value)
    for wrong in (below, above, float("nan"), float("inf"), True, "5"):
        with pytest.raises(ConfigError, match=f"{key}: must be") as caught:
            Config(**{key: wrong})  # type: ignore[arg-type]
        assert caught.value.key == key
        with pytest.raises(ValueError, match="must be"):
            BOUNDS[key].check(wrong)


def test_every_key_but_the_url_and_the_commands_has_bounds() -> None:
    assert {*BOUNDS, "store_url", "on_success", "on_failure", "on_dead"} == set(KEYS)


@pytest.mark.parametrize("command", ["", "  ", "a\0b", "\ud800", 1, True, [], "x" * 16_385])
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ConfigError, match="on_dead: "):
        Config(on_dead=command)


@pytest.mark.parametrize(
    "url",
    ["", "secret.db", "secret://", "://secret", "x://secret\n", "x://\ud800", "x://" + "y" * 5000],
    ids=lambda url: ascii(url[:12]),
)
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="store_url: must") as caught:
        Config(store_url=url)
    assert not url or url not in str(caught.value)


def test_a_password_is_not_in_the_representation() -> None:
    assert "hunter2" not in repr(Config(store_url="postgresql://u:hunter2@h/d"))


@pytest.mark.parametrize("key", KEYS)
def test_a_key_may_be_written_with_hyphens(key: str) -> None:
    assert key_named(key) == key_named(key.replace("_", "-")) == key


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max-retries", "5", 5),
        ("max_retries", "0", 0),
        ("backoff-base", "1.5", 1.5),
        ("backoff-max", "1h", 3600),
        ("backoff-jitter", "0", 0),
        ("timeout", "10m", 600),
        ("timeout", "90", 90),
        ("timeout", "250ms", 0.25),
        ("timeout", "none", None),
        ("on-success", "none", None),
        ("on-success", "null", None),
        ("log-max-bytes", "1000", 1000),
        ("log-max-bytes", "10MB", 10_000_000),
        ("log-max-bytes", "64MiB", 67_108_864),
        ("log-max-bytes", "1 gib", 1_073_741_824),
        ("log-max-bytes", "2kB", 2000),
        ("lease-seconds", "1m", 60),
        ("shutdown-grace", "0s", 0),
        ("store-url", "sqlite:////srv/größe/queue.db", "sqlite:////srv/größe/queue.db"),
        ("store-url", "none", None),
    ],
)
def test_a_person_s_words_are_read(path: Path, key: str, text: str, value: object) -> None:
    config = set_value(path, key, text)
    name = key_named(key)
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is type(value)
    assert explicit(path) == {name: value}
    assert read_config(path) == config


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("max-retries", "-1", "max_retries: must be an integer from 0 .*, not -1"),
        ("max-retries", "2.5", "not 2.5"),
        ("max-retries", "3.0", "not 3.0"),
        ("max-retries", "none", '"none" is not a number'),
        ("max-retries", "1_000", "is not a number"),
        ("max-retries", "٣", "is not a number"),
        pytest.param("max-retries", "9" * 5000, "is not a number", id="5000 digits"),
        ("max-retries", "9" * 30, "not a number that large"),
        ("max-retries", "", '"" is not a number'),
        ("backoff-base", "nan", "is not a number"),
        ("backoff-base", "inf", "is not a number"),
        ("timeout", "0", "timeout: must be a number of seconds from 0.001"),
        ("timeout", "10 minutes", "timeout: '10 minutes' is not a duration"),
        ("log-max-bytes", "64M", '"64M" is not a size'),
        ("log-max-bytes", "1.5GiB", "is not a size"),
        ("log-max-bytes", "10", "from 512 to 1099511627776, not 10"),
        ("lease-seconds", "2s", "lease_seconds: must be a number of seconds from 3 to 86400"),
        ("lease-seconds", "none", "lease_seconds: 'none' is not a duration"),
        ("store-url", "queue.db", "store_url: must be a URL"),
        ("store-url", "mysql://x", "store_url: 'mysql://x' names no engine; it begins with sqlite"),
        ("store-url", "mysql://me:secret@x", r"store_url: 'mysql:\*\*\*' names no engine"),
        ("store-url", "sqlite:////srv/", "store_url: 'sqlite:////srv/' names no file"),
        ("max-retry", "3", "max-retry: no such key; did you mean max_retries?"),
        ("\x1b[2J", "3", r"\\x1b\[2J: no such key"),
    ],
)
def test_wrong_words_are_refused_and_nothing_is_written(
    path: Path, key: str, text: str, words: str
) -> None:
    path.write_text("{}")
    with pytest.raises(ConfigError, match=words):
        set_value(path, key, text)
    assert path.read_text() == "{}"
    assert only(path)


def test_a_set_key_leaves_the_others_in_their_order(path: Path) -> None:
    path.write_text('{"timeout": 5, "max_retries": 1, "backoff_max": 9.5}')
    set_value(path, "max-retries", "2")
    set_value(path, "lease-seconds", "60")
    expected = {"timeout": 5, "max_retries": 2, "backoff_max": 9.5, "lease_seconds": 60}
    assert list(json.loads(path.read_text()).items()) == list(expected.items())


def test_an_unset_key_has_its_default_again(path: Path) -> None:
    path.write_text('{"timeout": 5, "max_retries": 1}')
    assert unset_value(path, "max-retries") == Config(timeout=5)
    assert explicit(path) == {"timeout": 5}


def test_what_is_not_set_can_be_unset_and_makes_no_file(path: Path) -> None:
    assert unset_value(path, "timeout") == Config()
    assert not path.exists()


def test_an_unknown_key_cannot_be_unset(path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean timeout"):
        unset_value(path, "timeouts")


def test_a_written_file_is_private_whatever_the_umask(path: Path, umask: None) -> None:
    set_value(path, "timeout", "5")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert only(path)


def test_a_file_that_others_could_read_is_private_after_a_change(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    set_value(path, "timeout", "5")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_reader_of_the_old_file_keeps_it_whole(path: Path) -> None:
    set_value(path, "timeout", "5")
    with path.open() as reader:
        set_value(path, "timeout", "6")
        assert json.load(reader) == {"timeout": 5}


def test_what_a_crash_left_behind_is_taken_away_by_the_next_change(
    path: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / ".config.json.new").symlink_to(victim)
    set_value(path, "timeout", "5")
    assert explicit(path) == {"timeout": 5}
    assert victim.read_text() == "untouched"
    assert {entry.name for entry in tmp_path.iterdir()} == {"config.json", "victim"}


def test_a_disk_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_value(path, "timeout", "5")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        set_value(path, "timeout", "6")
    assert explicit(path) == {"timeout": 5}
    assert only(path)


def test_a_missing_directory_is_an_error_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        set_value(tmp_path / "gone" / "config.json", "timeout", "5")
    assert list(tmp_path.iterdir()) == []


SETTER = """
import sys
from pathlib import Path
from flam_store.config_file import explicit, set_value
path, key, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for value in range(first, first + 25):
    set_value(path, key, str(value))
    assert explicit(path)[key] == value, (key, value, explicit(path))
"""


def test_simultaneous_changes_of_different_keys_are_all_kept(path: Path) -> None:
    keys = ["max_retries", "backoff_base", "backoff_max", "timeout", "lease_seconds"]
    setters = [
        subprocess.Popen(
            [sys.executable, "-c", SETTER, path, key, "10"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for key in keys
    ]
    for setter in setters:
        assert setter.stdout is not None
        assert setter.stdout.readline() == "ready\n"
    for setter in setters:
        assert setter.stdin is not None
        setter.stdin.write("go\n")
        setter.stdin.flush()
    for setter in setters:
        setter.communicate()
    assert [setter.returncode for setter in setters] == [0] * len(keys)
    assert explicit(path) == dict.fromkeys(keys, 34)
    assert only(path)


def test_the_configuration_cannot_be_changed_in_place() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().timeout = 5  # type: ignore[misc]


def test_the_import_is_lean() -> None:
    script = "import sys, flam_store.config_file; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert "flam_store.config_file" in loaded
    assert not {"cattrs", "difflib", "platformdirs", "flam_store.text"} & set(loaded)
