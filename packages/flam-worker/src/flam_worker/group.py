"""Jobs that were claimed together, so that their claims and their ends share commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

import attrs

from flam_store import Claim
from flam_store.outcome import Released, Result, When


@attrs.frozen(kw_only=True)
class Ended:
    """A result, and when the attempt ``began`` and ``ended``, on the monotonic clock."""

    result: Result
    began: float
    ended: float


@attrs.define(kw_only=True)
class Group:
    """Those to be run yet, in their order; and those that have ended, and are not reported."""

    waiting: deque[Claim] = attrs.field(factory=deque)
    ended: list[Ended | Result] = attrs.field(factory=list)
    _has_reported: bool = attrs.field(default=False, init=False)

    def put_back(self, claim: Claim) -> None:
        """Let this one, which was not begun, be claimed again."""
        outcome = Released(reason="claimed with others, and not begun")
        self.ended.append(Result(seq=claim.job.seq, attempt=claim.attempt, outcome=outcome))

    def put_all_back(self) -> None:
        """Let all that were not begun be claimed again."""
        while self.waiting:
            self.put_back(self.waiting.popleft())

    def results(self, now: float) -> Sequence[Result]:
        """What is to be reported at ``now``.

        The first, if it is reported by itself, began as it was claimed and ends as it is reported.
        """
        if len(self.ended) == 1 and not self._has_reported:
            (only,) = self.ended
            return (only.result if isinstance(only, Ended) else only,)
        return [_timed(each, now) if isinstance(each, Ended) else each for each in self.ended]

    def reported(self) -> None:
        """Forget what has ended, as the store knows it."""
        self._has_reported = self._has_reported or bool(self.ended)
        self.ended.clear()


def _timed(ended: Ended, now: float) -> Result:
    when = When(
        began_ago=timedelta(seconds=now - ended.began),
        ended_ago=timedelta(seconds=now - ended.ended),
    )
    return attrs.evolve(ended.result, when=when)
