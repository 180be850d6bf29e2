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

from flam_store.testing.claiming import Claiming
from flam_store.testing.copying import Copying
from flam_store.testing.draining import Draining
from flam_store.testing.enqueueing import Enqueueing
from flam_store.testing.examining import Examining
from flam_store.testing.filtering import Filtering
from flam_store.testing.finishing import Fencing, Finishing
from flam_store.testing.measuring import Measuring
from flam_store.testing.purging import Purging
from flam_store.testing.reading import Reading
from flam_store.testing.registering import Registering
from flam_store.testing.retrying import Retrying
from flam_store.testing.steering import Steering
from flam_store.testing.suite import MakeStore, OpenBackup
from flam_store.testing.waiting import Closing, Waiting

__all__ = ["Conformance", "MakeStore", "OpenBackup"]


class Conformance(
    Enqueueing, Claiming, Finishing, Fencing, Draining, Retrying, Purging, Reading, Filtering,
    Measuring, Registering, Waiting, Closing, Steering, Examining, Copying,
):  # fmt: skip
    """All of it."""
