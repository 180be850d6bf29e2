"""Jobs that print a great deal, or for ever; what is kept of it, and what that costs."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import attrs
import pytest
from conftest import SCRIPTS

from chaos.harness import Chaos, until
from chaos.pools import kill_everything
from chaos.processes import Process

MIB = 1 << 20
STEP_SECONDS = 0.25
"""What is written in so long may come on top of the cap, as the documentation has it."""


def logs(chaos: Chaos, job: str, *words: str) -> bytes:
    """Its output, as ``queuectl logs`` gives it."""
    program: list[str | Path] = [SCRIPTS / "queuectl", "--home", chaos.flam.home, "logs", job]
    done = subprocess.run(
        [*program, *words], env=chaos.flam.environ, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout


def mark(left_out: int) -> bytes:
    return f"\n[flam: {left_out:,} bytes left out here, beyond log_max_bytes]\n".encode()


def shell(chaos: Chaos, job: str, text: str) -> None:
    """Enqueue a command of the shell, which is no witness."""
    chaos.flam.ok("enqueue", "--id", job, "--max-retries", "0", "--", "sh", "-c", text)


def until_ended(chaos: Chaos, job: str) -> None:
    until(lambda: chaos.states()[job] in ("completed", "dead"), f"{job} has ended")
    assert chaos.states()[job] == "completed"


@attrs.define
class Usage:
    """The most that was seen of a worker's memory, and of the disk below ``logs/``."""

    worker: Process
    folder: Path
    rss_bytes: int = 0
    disk_bytes: int = 0

    def look(self) -> None:
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        self.rss_bytes = max(self.rss_bytes, 1024 * int(status.partition("VmRSS:")[2].split()[0]))
        self.disk_bytes = max(self.disk_bytes, sum(map(_blocks, self.folder.rglob("*.log*"))))


def _blocks(path: Path) -> int:
    try:
        return 512 * os.stat(path).st_blocks
    except FileNotFoundError:
        return 0


def watched(chaos: Chaos, job: str) -> tuple[Usage, float]:
    """Look at what the only worker uses until the job has ended; also for how long it ran."""
    (worker,) = chaos.workers()
    usage = Usage(worker, chaos.flam.home / "logs")
    usage.look()
    started = time.monotonic()
    while (state := chaos.states()[job]) != "completed":
        assert state != "dead"
        usage.look()
        assert time.monotonic() < started + 90
    return usage, time.monotonic() - started


@pytest.mark.parametrize("beyond", [-1, 0, 1, 5000])
def test_below_the_cap_it_is_kept_to_the_byte_and_beyond_it_head_and_tail(
    chaos: Chaos, beyond: int
) -> None:
    cap = 64 * 1024
    content = os.urandom(cap + beyond)
    (chaos.folder / "content").write_bytes(content)
    chaos.configure(log_max_bytes=cap)
    chaos.start(1)
    shell(chaos, "job", f"cat {chaos.folder}/content")
    until_ended(chaos, "job")
    half = cap // 2
    cut = content[:half] + mark(beyond) + content[-half:]
    assert logs(chaos, "job") == (content if beyond <= 0 else cut)


def test_it_can_be_read_while_the_job_runs_and_after_all_have_been_killed(chaos: Chaos) -> None:
    content = os.urandom(200_000)
    (chaos.folder / "content").write_bytes(content)
    chaos.start(1)
    shell(chaos, "job", f"cat {chaos.folder}/content; echo $$ > {chaos.folder}/pid; exec sleep 999")
    until((chaos.folder / "pid").exists, "it has printed all")
    assert logs(chaos, "job") == content
    kill_everything(chaos)
    assert logs(chaos, "job") == content
    chaos.start(1)
    until(lambda: chaos.states()["job"] == "dead", "its crash is recorded")
    assert logs(chaos, "job", "--attempt", "1") == content


@pytest.mark.chaos
def test_a_gigabyte_costs_no_memory_and_a_bounded_disk(chaos: Chaos) -> None:
    cap, last = 16 * MIB, 112_345_678
    chaos.configure(log_max_bytes=cap)
    chaos.start(1)
    size = sum(9 * 10**d * (d + 2) for d in range(8)) + (last - 10**8 + 1) * 10
    assert size > 10**9
    shell(chaos, "job", f"seq 1 {last}")
    usage, seconds = watched(chaos, "job")
    output = logs(chaos, "job")
    half = cap // 2
    assert output[half:-half] == mark(size - cap)
    assert output[:half] == b"".join(b"%d\n" % n for n in range(1, 1_200_000))[:half]
    assert output[-half:] == b"".join(b"%d\n" % n for n in range(last - 900_000, last + 1))[-half:]
    assert usage.rss_bytes < 64 * MIB
    # Once more the cap, while what is kept is copied at the end.
    assert usage.disk_bytes < 2 * cap + STEP_SECONDS * size / seconds


@pytest.mark.chaos
def test_five_million_lines_of_a_byte_are_kept_to_the_byte(chaos: Chaos) -> None:
    chaos.start(1)
    shell(chaos, "job", "yes | dd bs=2 count=5000000 iflag=fullblock status=none")
    usage, _ = watched(chaos, "job")
    assert logs(chaos, "job") == b"y\n" * 5_000_000
    assert usage.rss_bytes < 64 * MIB


@pytest.mark.chaos
def test_a_capped_output_can_be_read_while_it_grows(chaos: Chaos) -> None:
    cap = MIB
    chaos.configure(log_max_bytes=cap)
    chaos.start(1)
    shell(chaos, "job", f"seq 1 3000000; echo > {chaos.folder}/told; exec sleep 999")
    head = b"".join(b"%d\n" % n for n in range(1, 100_000))[: cap // 2]
    until((chaos.folder / "told").exists, "it has printed all")
    output = until(lambda: has_hole(logs(chaos, "job"), cap), "the middle is cut out")
    assert output.startswith(head)
    assert output.endswith(b"".join(b"%d\n" % n for n in range(2_950_000, 3_000_001))[-cap // 2 :])
    chaos.flam.ok("worker", "stop", "--now")


def has_hole(output: bytes, cap: int) -> bytes | None:
    return output if b"[flam: " in output and len(output) < cap + 2 * 4096 + 200 else None


@pytest.mark.chaos
def test_who_holds_the_output_open_and_goes_on_writing_holds_up_nobody(chaos: Chaos) -> None:
    chaos.configure(log_max_bytes=MIB)
    chaos.start(1)
    deaf = chaos.folder / "deaf"
    deaf.write_text(f"trap '' TERM; echo > {chaos.folder}/begun; while :; do echo noise; done")
    wait = f"until [ -e {chaos.folder}/begun ]; do sleep 0.01; done"
    shell(chaos, "noisy", f"setsid sh {deaf} & {wait}; exit 0")
    shell(chaos, "next", "true")
    usage, _ = watched(chaos, "noisy")
    until_ended(chaos, "next")
    (attempt,) = chaos.attempts()["noisy"]
    assert attempt.finished_at is not None
    assert (attempt.finished_at - attempt.started_at).total_seconds() < 20
    assert logs(chaos, "noisy").startswith(b"noise\n")
    assert len(logs(chaos, "noisy")) < MIB + 200
    assert usage.disk_bytes < 4 * MIB
    chaos.flam.ok("worker", "stop")
    assert not chaos.processes()
