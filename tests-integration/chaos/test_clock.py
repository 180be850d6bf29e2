"""The wall clock jumps: by an hour back, by a day, over the end of summer time.

The executables see a false wall clock, by a library that is put before libc. Steady clocks
stay true, as they would.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import ItemsView
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from chaos.harness import Chaos, until
from flam_store import JobSpec, State, open_store
from flam_store.outcome import Completed, Failure, Result, Retry
from flam_store.state import AttemptState
from flam_store.testing.clock import FakeClock
from flam_store.worker import ProcessId, Registration, Role

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

SHIM = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset_ms(void) {
    char text[32] = {0};
    const char *path = getenv("FALSE_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    return atoll(text);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    if (!failed && clock == CLOCK_REALTIME) {
        long long ms = at->tv_sec * 1000LL + at->tv_nsec / 1000000 + offset_ms();
        at->tv_sec = ms / 1000;
        at->tv_nsec = ms % 1000 * 1000000 + at->tv_nsec % 1000000;
    }
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


@attrs.frozen
class FalseClock:
    """What the programs of a trial take for the time: the true one and an offset."""

    library: Path
    file: Path

    def jump(self, offset: timedelta) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(str(offset // timedelta(milliseconds=1)))
        fresh.rename(self.file)

    def environ(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "FALSE_CLOCK": str(self.file)}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("there is no C compiler to make a false clock with")
    made = tmp_path_factory.mktemp("clock") / "false_clock.so"
    words = ["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(made)]
    subprocess.run([compiler, *words], input=SHIM, text=True, check=True)
    return made


@pytest.fixture
def clock(library: Path, tmp_path: Path) -> FalseClock:
    clock = FalseClock(library, tmp_path / "clock")
    clock.jump(timedelta(0))
    return clock


@pytest.fixture
def trial(chaos: Chaos, clock: FalseClock) -> Chaos:
    """A trial whose programs have the false clock."""
    environ = {**chaos.flam.environ, **clock.environ(), "TZ": "Europe/Berlin"}
    return attrs.evolve(chaos, flam=attrs.evolve(chaos.flam, environ=environ))


def heartbeats(trial: Chaos) -> dict[str, datetime]:
    with open_store(f"sqlite:///{trial.flam.home}/queue.db") as store:
        return {worker.id: worker.heartbeat_at for worker in store.workers()}


def until_all_have_renewed(trial: Chaos, times: int) -> None:
    for _ in range(times):
        before = heartbeats(trial).items()

        def renewed(before: ItemsView[str, datetime] = before) -> bool:
            return not before & heartbeats(trial).items()

        until(renewed, "everybody has renewed his lease")


@pytest.mark.chaos
@pytest.mark.parametrize("jump", [-HOUR, DAY, -400 * DAY], ids=str)
def test_a_jump_of_the_clock_ends_nobody_and_stops_nothing(
    trial: Chaos, clock: FalseClock, jump: timedelta
) -> None:
    go = trial.folder / "go"
    trial.enqueue("running", does=[f"until={go}"])
    trial.start(2)
    until(lambda: trial.journal("start"), "it runs")
    workers = trial.workers()
    clock.jump(jump)
    trial.enqueue("after", "twice", does=["fail=1"])
    until_all_have_renewed(trial, times=4)
    go.touch()
    trial.settle()
    assert all(worker.alive for worker in workers)
    trial.conclude()
    states = [each.state.value for every in trial.attempts().values() for each in every]
    assert sorted(states) == ["completed"] * 3 + ["failed"] * 2


def test_what_has_become_due_by_a_jump_is_run(trial: Chaos, clock: FalseClock) -> None:
    trial.start(1)
    trial.enqueue("tomorrow", delay="23h")
    clock.jump(DAY)
    trial.conclude()


def test_what_a_jump_back_has_put_off_waits_for_its_time(trial: Chaos, clock: FalseClock) -> None:
    clock.jump(HOUR)
    trial.enqueue("soon", delay="1s")
    clock.jump(timedelta(0))
    trial.start(1)
    trial.enqueue("now")
    until(lambda: trial.states()["now"] == "completed", "what is due is run")
    assert trial.states()["soon"] == "pending"
    clock.jump(HOUR + timedelta(seconds=1))
    trial.conclude()


CHANGES = ["2026-10-25T01:00:00Z", "2027-03-28T01:00:00Z"]


@pytest.mark.chaos
@pytest.mark.parametrize("change", CHANGES, ids=["to winter time", "to summer time"])
def test_a_delay_over_a_change_of_local_time_is_as_long_as_any(
    trial: Chaos, clock: FalseClock, change: str
) -> None:
    trial.start(1)
    clock.jump(datetime.fromisoformat(change) - datetime.now(UTC) - timedelta(seconds=1))
    trial.enqueue("job", delay="2s")
    trial.settle()
    (job,) = trial.jobs()
    (attempt,) = trial.attempts()["job"]
    assert job.created_at < datetime.fromisoformat(change) < attempt.started_at
    assert job.run_at - job.created_at == timedelta(seconds=2)
    assert timedelta(seconds=2) <= attempt.started_at - job.created_at < timedelta(seconds=20)
    assert trial.flam.json("show", "job")["run_at"].endswith("Z")
    trial.conclude()


# By the library, where the executables cannot have another clock


def test_a_store_whose_clock_goes_back_goes_on_where_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    with open_store(f"sqlite:///{tmp_path / 'queue.db'}", clock=clock) as store:
        process = ProcessId(host="h", boot="b", pid=2, born="1")
        lease = timedelta(seconds=30)
        store.register(Registration(id="w", role=Role.WORKER, process=process, lease=lease))
        for id in ("a", "b"):
            store.enqueue(JobSpec(id=id, command="true"))
        (first,) = store.finish([], worker_id="w", want=1).claims
        clock.advance(-HOUR)
        failure = Failure(state=AttemptState.FAILED, cause="exit 1", error="exit code 1")
        again = Retry(failure=failure, delay=timedelta(seconds=5))
        ended = Result(seq=first.job.seq, attempt=first.attempt, outcome=again)
        (second,) = store.finish([ended], worker_id="w", want=1).claims
        assert (first.job.id, second.job.id) == ("a", "b")
        clock.advance(timedelta(seconds=5))
        done = Result(seq=second.job.seq, attempt=second.attempt, outcome=Completed())
        (third,) = store.finish([done], worker_id="w", want=1).claims
        assert (third.job.id, third.attempt) == ("a", 2)
        assert store.overview().counts[State.COMPLETED] == 1
