"""Whoever runs a queue sees what it does: by list, statistics, metrics and a live view."""

from __future__ import annotations

import os
import signal
import subprocess

from conftest import SCRIPTS, Flam, until


def test_what_has_run_is_found_measured_and_counted(flam: Flam) -> None:
    flam.start(1)
    flam.ok("enqueue", "--id", "good", "--queue", "mail", "--", "echo", "Hello")
    flam.ok("enqueue", "--id", "bad", "--max-retries", "0", "--", "sh", "-c", "exit 7")
    flam.ctl("wait", "good", "bad")
    assert [job["id"] for job in flam.json("list", "--failed-with", "7")] == ["bad"]
    assert [job["id"] for job in flam.json("list", "--command", "hello")] == ["good"]
    measures = {each["name"]: each for each in flam.json("stats")["measures"]}
    assert (measures["default"]["failed"], measures["mail"]["completed"]) == (1, 1)
    page = flam.ok("metrics")
    assert 'flam_attempts_total{queue="default",state="failed"} 1\n' in page
    assert 'state="idle"} 1\n' in page
    ended = flam.json("top")["last_ended"]
    assert [each["id"] for each in ended] == ["bad", "good"]


def test_following_goes_over_retries_and_ends_with_its_reader(flam: Flam) -> None:
    flam.ok("config", "set", "backoff-base", "0")
    command = 'echo "try $FLAM_ATTEMPT"; test "$FLAM_ATTEMPT" = 3'
    flam.ok("enqueue", "--id", "job", "--", "sh", "-c", command)
    words = [f"{SCRIPTS}/queuectl", "--home", str(flam.home), "logs", "job", "--follow"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=flam.environ) as follower:
        flam.start(1)
        assert follower.communicate(timeout=60)[0] == b"try 1\ntry 2\ntry 3\n"
    flam.ok("enqueue", "--id", "long", "--", "sh", "-c", "echo begun; exec sleep 1000")
    until(lambda: flam.state("long") == "processing", "the job runs")
    script = f'"{SCRIPTS}/queuectl" --home "{flam.home}" logs long --follow | head -1'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=flam.environ, capture_output=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (b"begun\n", b"")
    flam.ok("cancel", "long")


def test_the_live_view_gives_the_terminal_back_when_it_is_ended(flam: Flam) -> None:
    flam.ok("enqueue", "--", "true")
    master, slave = os.openpty()
    words = [f"{SCRIPTS}/queuectl", "--home", str(flam.home), "top"]
    with subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env={**flam.environ, "TERM": "xterm"}
    ) as viewer:
        os.close(slave)
        seen = b""
        while b"Jobs: 1 pending" not in seen:
            seen += os.read(master, 4096)
        viewer.send_signal(signal.SIGTERM)
        while b"\x1b[?1049l" not in seen:
            seen += os.read(master, 4096)
        assert viewer.wait() == -signal.SIGTERM
    os.close(master)
    assert seen.index(b"\x1b[?1049h") < seen.index(b"\x1b[?25h\x1b[?1049l")
