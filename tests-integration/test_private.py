"""Whoever could write the data directory could run commands: nobody else can."""

from __future__ import annotations

import os
import stat

from conftest import Flam


def test_nothing_is_open_to_others_whatever_the_umask(flam: Flam) -> None:
    before = os.umask(0)
    try:
        flam.ok("enqueue", "--", "echo", "hello")
        flam.ok("config", "set", "max_retries", "1")
        flam.start(1)
        flam.until_quiet()
        open_to_others = [
            str(path)
            for path in (flam.home, *flam.home.rglob("*"))
            if stat.S_IMODE(path.lstat().st_mode) & 0o077
        ]
        assert not open_to_others
        assert {"queue.db", "config.json", "logs"} <= set(os.listdir(flam.home))
        flam.ok("worker", "stop")
    finally:
        os.umask(before)


def test_a_data_directory_open_to_others_is_refused_and_nothing_is_run(flam: Flam) -> None:
    flam.ok("enqueue", "--id", "job", "--", "touch", flam.home.parent / "ran")
    flam.home.chmod(0o777)
    for arguments in (
        ("worker", "start"),
        ("worker", "start", "--foreground", "--drain"),
        ("enqueue", "--", "true"),
        ("list",),
    ):
        refused = flam.ctl(*arguments)
        assert (refused.returncode, refused.stdout) == (6, ""), arguments
        assert "chmod 700" in refused.stderr
        assert refused.stderr.count("\n") == 1
    refused = flam.run("flam-worker", "--home", flam.home, "--drain")
    assert refused.returncode == 6
    assert not (flam.home.parent / "ran").exists()
    flam.home.chmod(0o700)
    assert flam.state("job") == "pending"


def test_reading_creates_nothing(flam: Flam) -> None:
    for arguments in (("status",), ("list",), ("dlq", "list"), ("worker", "list"),
                      ("config", "show")):  # fmt: skip
        flam.ok(*arguments)
    assert flam.ctl("show", "x").returncode == 3
    assert not flam.home.exists()
