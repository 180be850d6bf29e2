"""The conformance suite: what every engine of the queue does, verb by verb and state by state.

An engine's test module inherits it and says how a session is opened::

    import pytest
    from flam_store.testing.conformance import Conformance

    pytest.register_assert_rewrite("flam_store.testing")  # in conftest.py, for full messages


    class TestEngine(Conformance):
        @pytest.fixture
        def make_store(self, tmp_path): ...  # a suite.MakeStore

        @pytest.fixture
        def open_backup(self): ...  # a suite.OpenBackup

It asks only what can be asked through the verbs of ``flam_store.store``.
"""

from __future__ import annotations

from flam_store.testing.absent import EnqueueingAbsent
from flam_store.testing.ageing import Ageing
from flam_store.testing.changing import Changing
from flam_store.testing.claiming import Claiming
from flam_store.testing.copying import Copying
from flam_store.testing.draining import Draining
from flam_store.testing.ending import Ending
from flam_store.testing.enqueueing import Enqueueing
from flam_store.testing.examining import Examining
from flam_store.testing.expiring import Expiring
from flam_store.testing.filtering import Filtering
from flam_store.testing.finishing import Fencing, Finishing
from flam_store.testing.hooking import Hooking
from flam_store.testing.measuring import Measuring
from flam_store.testing.moving import Moving
from flam_store.testing.purging import Purging
from flam_store.testing.reading import Reading
from flam_store.testing.registering import Registering
from flam_store.testing.retrying import Retrying
from flam_store.testing.scheduling import Scheduling, Ticking
from flam_store.testing.selecting import Selecting
from flam_store.testing.standing import Kinship, Standings
from flam_store.testing.steering import Steering
from flam_store.testing.suite import MakeStore, OpenBackup
from flam_store.testing.waiting import Closing, Waiting

__all__ = ["Conformance", "MakeStore", "OpenBackup"]


class Conformance(
    Enqueueing, EnqueueingAbsent, Claiming, Ageing, Finishing, Fencing, Ending, Hooking, Draining,
    Retrying, Purging, Expiring, Reading, Filtering, Measuring, Kinship, Standings, Registering,
    Waiting, Closing, Steering, Changing, Selecting, Scheduling, Ticking, Examining, Copying,
    Moving,
):  # fmt: skip
    """All of it."""
