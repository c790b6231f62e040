"""Whether a request is sent again at once, and when: the part of retrying that stamina does.

Only what is safe to repeat is repeated here (a read, a request with a key). All else is
`recovery`'s to decide. The first send costs nothing: stamina's context is entered after a failure
only.
"""

from __future__ import annotations

import time

from tillpost.adapter.verdicts import Verdict
from tillpost.errors import DoubtError
from tillpost.submission.commands import Transmit
from tillpost.submission.policy import Policy

__all__ = ["Again", "Repeating", "backoff"]


class Again(Exception):
    """Tells stamina that a request failed in passing, and how many seconds to wait."""

    def __init__(self, wait: float) -> None:
        super().__init__("a passing failure")
        self.wait = wait


class Repeating:
    """One request and what is left of the budget for it, from the moment of its first send on."""

    def __init__(self, transmit: Transmit, policy: Policy) -> None:
        self._transmit = transmit
        self._policy = policy
        self._began = time.monotonic()

    def after(self, verdict: Verdict, sends: int) -> Again | None:
        """Return what to raise for another send, None when the verdict stands. `sends` counts those so far.

        A wait of our own ends with the budget at the latest; one that the platform asks for is kept
        whole, or not at all.
        """
        error, transmit, policy = verdict.error, self._transmit, self._policy
        if (
            error is None
            or not error.transient
            or isinstance(error, DoubtError)
            or not transmit.request.repeatable
        ):
            return None
        left = self._began + transmit.patience - time.monotonic()
        if sends > transmit.retries or left <= 0:
            return None
        if error.retry_after is None:
            return Again(min(policy.wait_before(sends, str(self._began)), left))
        return (
            Again(error.retry_after)
            if error.retry_after <= min(policy.longest_retry_after, left)
            else None
        )


def backoff(failure: Exception) -> bool | float:
    """Tell stamina how long to wait before it sends again."""
    return failure.wait if isinstance(failure, Again) else False
