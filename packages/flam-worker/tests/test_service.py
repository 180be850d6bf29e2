"""What a service manager is told, by a stand-in that reads the socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from children import until
from pools import Pools

from flam_store import State
from flam_store.worker import Role
from flam_worker.service import Service


@attrs.define
class Manager:
    """A service manager's end of the socket."""

    address: str
    _socket: socket.socket
    told: list[list[str]] = attrs.field(factory=list)

    def heard(self, line: str) -> bool:
        """Whether this has ever been told."""
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return any(line in lines for lines in self.told)

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, "NOTIFY_SOCKET": self.address, **more}


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("only Linux has abstract sockets")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = str(tmp_path / "notify")
        if request.param == "abstract":
            address = f"@flam-test-{os.getpid()}"
        listening.bind(address.replace("@", "\0"))
        listening.setblocking(False)
        yield Manager(address, listening)


def test_each_word_is_one_message(manager: Manager) -> None:
    service = Service({"NOTIFY_SOCKET": manager.address})
    service.ready("workers: 4")
    service.stopping("stopping: graceful", 50)
    assert manager.heard("READY=1")
    assert manager.told == [
        ["READY=1", "STATUS=workers: 4"],
        ["STOPPING=1", "STATUS=stopping: graceful", "EXTEND_TIMEOUT_USEC=50000000"],
    ]


def test_the_watchdog_is_fed_in_half_its_time_and_not_more_often(manager: Manager) -> None:
    service = Service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000000"})
    service.beat()
    service.beat()
    assert manager.heard("WATCHDOG=1")
    assert len(manager.told) == 1
    assert 0 < service.beat_at - time.monotonic() <= 1500


def test_a_watchdog_of_no_time_does_not_keep_the_pool_busy(manager: Manager) -> None:
    service = Service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1"})
    service.beat()
    assert service.beat_at - time.monotonic() > 0.05


def test_the_watchdog_is_fed_while_something_takes_long(manager: Manager) -> None:
    service = Service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    with service.beating():
        until(lambda: manager.heard("WATCHDOG=1") and len(manager.told) > 2, "it is fed, and again")
    assert threading.active_count() == 1


def test_what_takes_for_ever_is_not_covered_up(manager: Manager) -> None:
    service = Service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    with service.beating(at_most_seconds=0):
        until(lambda: threading.active_count() == 1, "nothing is told any more")


def test_without_a_watchdog_nobody_is_kept_busy_by_what_takes_long(manager: Manager) -> None:
    with Service({"NOTIFY_SOCKET": manager.address}).beating():
        assert threading.active_count() == 1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/nowhere/notify"},
        {"NOTIFY_SOCKET": "vsock:2:9999"},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "x"},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000000"},
    ],
    ids=str,
)
def test_without_a_manager_that_waits_for_word_nothing_happens(environ: dict[str, str]) -> None:
    service = Service(environ)
    service.ready("workers: 1")
    service.beat()
    assert service.beat_at == float("inf")


def test_a_pool_tells_its_readiness_feeds_the_watchdog_reloads_and_says_that_it_stops(
    pools: Pools, manager: Manager
) -> None:
    pool = pools.foreground("--count", "2", env=manager.environ(WATCHDOG_USEC="1000000"))
    until(lambda: manager.heard("READY=1"), "the pool is ready")
    assert manager.heard("STATUS=workers: 2")
    until(lambda: manager.heard("WATCHDOG=1"), "the watchdog is fed")
    before = {each.id for each in pools.records(Role.WORKER)}

    pools.configure(shutdown_grace=17)
    pool.send_signal(signal.SIGHUP)
    until(lambda: manager.heard("RELOADING=1"), "it reloads")

    def replaced() -> bool:
        now = {each.id for each in pools.records(Role.WORKER)}
        return len(now) == 2 and not now & before

    until(replaced, "other workers have followed the first")
    pool.terminate()
    assert pool.wait(60) == 0
    assert manager.heard("STOPPING=1")
    assert manager.heard("EXTEND_TIMEOUT_USEC=57000000")


def test_a_draining_pool_that_reloads_drains_all_the_same(pools: Pools, manager: Manager) -> None:
    pools.enqueue("sleep 0.5")
    last = pools.enqueue("true")
    pool = pools.foreground("--drain", env=manager.environ())
    until(lambda: manager.heard("READY=1"), "the pool is ready")
    pool.send_signal(signal.SIGHUP)
    assert pool.wait(60) == 0
    assert pools.job(last).state is State.COMPLETED


def test_a_reload_of_a_broken_configuration_changes_nothing(pools: Pools, manager: Manager) -> None:
    pool = pools.foreground(env=manager.environ())
    until(lambda: manager.heard("READY=1"), "the pool is ready")
    (before,) = pools.records(Role.WORKER)
    pools.home.config_path.write_text("{")
    pools.home.config_path.chmod(0o600)
    pool.send_signal(signal.SIGHUP)
    until(lambda: "not reloaded" in pools.log.read_text(), "it says why")
    pools.home.config_path.unlink()
    assert pools.records(Role.WORKER)[0].id == before.id
    pool.terminate()
    assert pool.wait(60) == 0


def test_a_job_knows_nothing_of_the_manager(pools: Pools, manager: Manager, tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    job = pools.enqueue(f"env > {seen}")
    pool = pools.foreground("--drain", env=manager.environ(WATCHDOG_USEC="9000000"))
    assert pool.wait(60) == 0
    pools.wait_for(job)
    assert "NOTIFY" not in seen.read_text()
    assert "WATCHDOG" not in seen.read_text()


def test_a_pool_in_the_background_of_a_service_is_not_that_service(
    pools: Pools, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    pools.start()
    pools.stop()
    assert not manager.heard("READY=1")
    assert manager.told == []


def flam_worker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flam_worker", *words], check=False, capture_output=True, text=True
    )


def test_a_check_says_whether_a_pool_is_at_work(pools: Pools) -> None:
    check = ("--home", str(pools.home.path), "--check")
    done = flam_worker(*check)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no supervisor runs on this host" in done.stderr
    pools.start()
    assert flam_worker(*check).returncode == 0
    pools.stop()
    assert flam_worker(*check).returncode == 1


def test_a_check_of_nothing_makes_nothing(tmp_path: Path) -> None:
    assert flam_worker("--home", str(tmp_path / "nowhere"), "--check").returncode == 1
    assert os.listdir(tmp_path) == []
