"""Commands that misbehave, each a witness of what it starts.

``python -I -S hostile.py FOLDER WORD`` with the name of a function below, dashes for underscores.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from witness import Witness  # type: ignore[import-not-found] # noqa: E402 - isolated

FOREVER_SECONDS = 1000
MANY = 40
SMALL_BYTES = 1 << 28


def deaf(witness: Witness) -> None:
    """It and its child ignore SIGTERM, and sleep."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child(witness, linger)
    linger()


def leaves_a_child_with_its_output(witness: Witness) -> None:
    child(witness, linger)


def leaves_a_daemon(witness: Witness) -> None:
    """Forked twice, in a session of its own, without its output, in an empty environment."""

    def detach() -> None:
        os.setsid()
        child(witness, become_a_stranger)

    os.waitpid(child(witness, detach), 0)


def kills_its_parent(witness: Witness) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    linger()


def kills_its_group(witness: Witness) -> None:
    child(witness, linger)
    os.killpg(0, signal.SIGKILL)


def stops_itself(witness: Witness) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def is_silent(witness: Witness) -> None:
    time.sleep(0.5)


def closes_everything(witness: Witness) -> None:
    for fd in range(3):
        os.close(fd)
    time.sleep(0.5)


def exhausts_descriptors(witness: Witness) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    try:
        while True:
            os.dup(0)
    except OSError:
        time.sleep(0.5)


def leaves_many_processes(witness: Witness) -> None:
    for _ in range(MANY):
        child(witness, linger)


def runs_out_of_memory(witness: Witness) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (SMALL_BYTES, SMALL_BYTES))
    hoard = [bytes(SMALL_BYTES // 64)]
    while True:
        hoard.append(bytes(SMALL_BYTES // 64))


def floods(witness: Witness) -> None:
    for _ in range(2000):
        os.write(1, b"x" * 4096)


def child(witness: Witness, then: Callable[[], object]) -> int:
    """Fork a process that tells of itself and does something; its pid, when it has told."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        witness.tell("member")
        os.close(reader)
        os.close(writer)
        then()
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    return pid


def become_a_stranger() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.execve("/bin/sleep", ["sleep", str(FOREVER_SECONDS)], {})


def linger() -> None:
    time.sleep(FOREVER_SECONDS)


def main(folder: str, word: str) -> None:
    witness = Witness(folder)
    witness.start()
    globals()[word.replace("-", "_")](witness)
    witness.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
