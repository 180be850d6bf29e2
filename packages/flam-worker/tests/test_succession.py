"""Who comes after a supervisor that was killed."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest
from children import Children, until
from pools import Pools

from flam_store.config_file import read_config
from flam_store.testing.given import registration
from flam_store.worker import Role
from flam_worker import succession
from flam_worker.orders import Inbox
from flam_worker.settings import Settings
from flam_worker.signals import Signals


def test_of_several_heirs_one_starts_a_pool_also_before_that_has_seen_to_anything(
    pools: Pools, children: Children, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(
        home=pools.home, config=read_config(pools.home.config_path), store_url=pools.url,
        count=1, queues=None, drain=False, supervisor="dead", background=True,
    )  # fmt: skip
    started = tmp_path / "started"
    heirs = ["heir-1", "heir-2", "heir-3"]
    with pools.store() as store:
        store.register(registration("dead", role=Role.SUPERVISOR))
        for heir in heirs:
            store.register(registration(heir, supervisor="dead"))
    settings.run_folder.mkdir()

    def start(_: object) -> tuple[int, ...]:
        with started.open("a") as file:
            file.write(f"{os.getpid()}\n")
        # As long as the others need to come to the lock, which they find taken.
        until(lambda: len(list(tmp_path.glob("came-*"))) == len(heirs), "all have come")
        time.sleep(0.3)
        return ()

    monkeypatch.setattr(succession, "start_pool", start)

    def succeed(heir: str) -> None:
        (tmp_path / f"came-{heir}").touch()
        reader, _writer = os.pipe()
        with pools.store() as store:
            succession.succeed(settings, store, heir, Inbox(Signals(), reader))

    running = [children.fork(partial(succeed, heir)) for heir in heirs]
    for child in running:
        child.answer()
    assert len(started.read_text().splitlines()) == 1
    assert os.listdir(settings.run_folder) == []
