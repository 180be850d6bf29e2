"""The gate, between processes: one at a time, everybody has a turn, nobody keeps it when dead."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from forking import Child, Children, Signpost, until

from flam_store import JobSpec, Store, open_store
from flam_store.errors import StoreBusy
from flam_store.sqlite.gate import Gate
from flam_store.testing.given import everything, spec


@pytest.fixture
def made(path: Path) -> Path:
    """A database that exists."""
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def signpost() -> Iterator[Signpost]:
    signpost = Signpost()
    yield signpost
    signpost.close()


def store_with(patience_seconds: float, path: Path) -> Store:
    return open_store(f"sqlite:///{path}", patience=timedelta(seconds=patience_seconds))


def hold(children: Children, path: Path, signpost: Signpost) -> Child:
    """A process that holds the gate until it is killed."""

    def held() -> None:
        with Gate(str(path)).held(60):
            signpost.reach()
            signal.pause()

    child = children.start(held)
    signpost.until_reached()
    return child


def test_one_process_at_a_time_is_inside(made: Path, children: Children) -> None:
    inside = made.parent / "inside"

    def enter() -> int:
        gate = Gate(str(made))
        for _ in range(200):
            with gate.held(60):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                os.sched_yield()
                os.unlink(inside)
        return 200

    assert children.answers(*[enter] * 4) == [200] * 4


def test_a_verb_waits_for_the_gate(made: Path, children: Children, signpost: Signpost) -> None:
    held = Gate(str(made))
    with held.held(0):
        waiting = children.start(lambda: _enqueue_when(made, signpost))
        signpost.until_reached()
        with open_store(f"sqlite:///{made}", create=False) as store:
            assert store.jobs().jobs == ()
            assert not waiting.is_gone()
    assert waiting.answer() == "j"
    held.close()


def test_a_child_forked_while_its_parent_waits_keeps_no_gate(
    made: Path, children: Children, signpost: Signpost
) -> None:
    holder, waiting, other = hold(children, made, signpost), Gate(str(made)), Gate(str(made))
    with pytest.raises(StoreBusy), waiting.held(0.01):
        pass
    child = children.start(signal.pause)
    holder.kill()
    until(lambda: not stands_in_queue(waiting), "the waiter")
    with other.held(1):
        assert not child.is_gone()
    waiting.close()
    other.close()


def _enqueue_when(path: Path, signpost: Signpost) -> str:
    gate = Gate(str(path))
    try:
        with gate.held(0.001):
            raise AssertionError("the gate was open")
    except StoreBusy:
        signpost.reach()
    with open_store(f"sqlite:///{path}") as store:
        return store.enqueue(spec("j")).id


def test_every_process_has_its_share(made: Path, children: Children) -> None:
    """Four write as fast as they can, until each has had a hundred turns."""
    done = made.parent / "done"
    done.mkdir()

    def write(name: str) -> int:
        written = 0
        with open_store(f"sqlite:///{made}") as store:
            while len(list(done.iterdir())) < 4:
                store.enqueue(spec(f"{name}-{written}"))
                written += 1
                if written == 100:
                    (done / name).touch()
                assert written < 20_000, "the others starve"
        return written

    shares = children.answers(*[lambda name=name: write(name) for name in "abcd"])
    assert min(shares) >= 100
    with open_store(f"sqlite:///{made}") as store:
        assert len(everything(store)[0]) == sum(shares)


def test_looking_waits_for_nobody(made: Path, children: Children, signpost: Signpost) -> None:
    hold(children, made, signpost)
    started = time.monotonic()
    with store_with(3600, made) as store:
        assert store.jobs().jobs == ()
        assert store.overview().queues == ()
    assert time.monotonic() - started < 20


def test_patience_ends_with_busy(made: Path, children: Children, signpost: Signpost) -> None:
    store = store_with(0.05, made)
    hold(children, made, signpost)
    with pytest.raises(StoreBusy) as caught:
        store.enqueue(spec("j"))
    assert caught.value.waited_seconds >= 0.05
    assert store.jobs().jobs == ()
    store.close()


def test_an_abandoned_wait_gives_the_lock_back(
    made: Path, children: Children, signpost: Signpost
) -> None:
    store = store_with(0.02, made)
    holder = hold(children, made, signpost)
    for _ in range(3):
        with pytest.raises(StoreBusy):
            store.enqueue(spec("j"))
    holder.kill()

    def can_write() -> bool:
        try:
            store.enqueue(spec("j"))
        except StoreBusy:
            return False
        return True

    until(can_write, "the lock")
    store.close()
    # Nobody is in the way of a process that has not waited before.
    assert children.start(lambda: _enqueued(made)).answer() == "k"


def _enqueued(path: Path) -> str:
    with open_store(f"sqlite:///{path}") as store:
        return store.enqueue(spec("k")).id


def test_one_thread_and_one_descriptor_wait_however_often_patience_ends(made: Path) -> None:
    holding, waiting, other = (Gate(str(made)) for _ in range(3))
    with holding.held(0):
        for _ in range(20):
            with pytest.raises(StoreBusy), waiting.held(0.001):
                pass
            if waiters() > 1:
                break
        counted = waiters(), len(os.listdir("/dev/fd"))
        for _ in range(20):
            with pytest.raises(StoreBusy), waiting.held(0.001):
                pass
        assert (waiters(), len(os.listdir("/dev/fd"))) == counted == (1, counted[1])
    with other.held(20):
        pass
    with waiting.held(20), pytest.raises(StoreBusy), other.held(0):
        pass
    for gate in (holding, waiting, other):
        gate.close()


def stands_in_queue(gate: Gate) -> bool:
    waiter = gate._waiter
    assert waiter is not None
    return waiter._stands_in_queue


def test_a_gate_that_is_closed_leaves_no_thread(made: Path) -> None:
    holding, waiting = Gate(str(made)), Gate(str(made))
    with holding.held(0), pytest.raises(StoreBusy), waiting.held(0.001):
        pass
    until(lambda: not stands_in_queue(waiting), "the waiter")
    assert waiters() == 1
    waiting.close()
    assert waiters() == 0
    holding.close()


def test_the_thread_that_waits_hears_no_signals(made: Path, children: Children) -> None:
    """It would stop the process by one that the thread inside the gate has put off."""

    def blocked() -> object:
        holding, waiting = Gate(str(made)), Gate(str(made))
        with holding.held(0), pytest.raises(StoreBusy), waiting.held(0.001):
            pass
        (thread,) = (each for each in threading.enumerate() if each.name == "flam-gate")
        told = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        (mask,) = (line.split()[1] for line in told.splitlines() if line.startswith("SigBlk"))
        return bool(int(mask, 16) >> (signal.SIGTSTP - 1) & 1)

    if sys.platform == "linux":
        assert children.start(blocked).answer() is True


def waiters() -> int:
    return sum(each.name == "flam-gate" for each in threading.enumerate())


def test_a_wait_that_was_abandoned_is_taken_up_again(made: Path) -> None:
    holding, waiting, other = (Gate(str(made)) for _ in range(3))
    with holding.held(0), pytest.raises(StoreBusy), waiting.held(0.001):
        pass
    until(lambda: not stands_in_queue(waiting), "the waiter that nobody needs to give it back")
    with holding.held(0):
        with pytest.raises(StoreBusy), waiting.held(0.001):
            pass
        let_go = threading.Event()
        taken = threading.Thread(target=_hold_once, args=(waiting, let_go))
        taken.start()
        waiter = waiting._waiter
        assert waiter is not None
        until(lambda: waiter._wanted, "a thread that waits again")
    until(lambda: not stands_in_queue(waiting), "the waiter that was there before to get it")
    assert waiters() == 1
    with pytest.raises(StoreBusy), other.held(0):
        pass
    let_go.set()
    taken.join(20)
    with other.held(20):
        pass
    for gate in (holding, waiting, other):
        gate.close()


def _hold_once(gate: Gate, let_go: threading.Event) -> None:
    with gate.held(20):
        let_go.wait(20)


def test_a_forked_child_waits_with_a_thread_of_its_own(made: Path, children: Children) -> None:
    holding, waiting = Gate(str(made)), Gate(str(made))

    def wait() -> bool:
        with waiting.held(20):
            return True

    with holding.held(0):
        with pytest.raises(StoreBusy), waiting.held(0.001):
            pass
        child = children.start(wait)
    assert child.answer()
    holding.close()
    waiting.close()


def test_a_holder_that_is_killed_lets_go(
    made: Path, children: Children, signpost: Signpost
) -> None:
    def die_inside() -> None:
        store = open_store(f"sqlite:///{made}")

        def specs() -> Iterator[JobSpec]:
            yield spec("lost")
            signpost.reach()
            signal.pause()

        store.enqueue_many(specs())

    holder = children.start(die_inside)
    signpost.until_reached()
    waiting = children.start(lambda: _enqueued(made))
    os.kill(holder.pid, signal.SIGKILL)
    assert waiting.answer() == "k"
    with open_store(f"sqlite:///{made}") as store:
        assert [job.id for job in everything(store)[0]] == ["k"]


def test_a_holder_that_stands_still_makes_others_busy_and_goes_on(
    made: Path, children: Children, signpost: Signpost
) -> None:
    go_on = Signpost()

    def stand_still() -> int:
        with open_store(f"sqlite:///{made}") as store:

            def specs() -> Iterator[JobSpec]:
                yield spec("slow")
                signpost.reach()
                go_on.until_reached()

            return store.enqueue_many(specs())

    holder = children.start(stand_still)
    signpost.until_reached()
    holder.stop()
    store = store_with(0.05, made)
    with pytest.raises(StoreBusy):
        store.enqueue(spec("impatient"))
    store.close()
    os.kill(holder.pid, signal.SIGCONT)
    go_on.reach()
    assert holder.answer() == 1
    go_on.close()
    with open_store(f"sqlite:///{made}") as after:
        assert [job.id for job in everything(after)[0]] == ["slow"]


def test_waiting_can_be_interrupted_and_then_leaves_nothing_behind(
    made: Path, children: Children, signpost: Signpost
) -> None:
    gate = Gate(str(made))
    go_on = Signpost()

    def wait() -> str:
        store = open_store(f"sqlite:///{made}")
        signpost.reach()
        go_on.until_reached()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            store.enqueue(spec("never"))
        except KeyboardInterrupt:
            signpost.reach()
        go_on.until_reached()
        return store.enqueue(spec("j")).id

    child = children.start(wait)
    signpost.until_reached()
    started = time.monotonic()
    with gate.held(0):
        go_on.reach()
        signpost.until_reached()
        assert time.monotonic() - started < 20, "it waited for its whole patience"
    go_on.reach()
    assert child.answer() == "j"
    with gate.held(20):
        pass
    gate.close()
    go_on.close()
    with open_store(f"sqlite:///{made}") as store:
        assert [job.id for job in everything(store)[0]] == ["j"]
