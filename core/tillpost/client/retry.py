"""The decision whether a request is sent again at once, and when.

The waiting is done by stamina. Only what is safe to repeat is repeated here: a read, or a request
with an idempotency key. `submission.history` decides all else. The executors enter stamina's
context only after a failure, so that the first send costs nothing.
"""

from __future__ import annotations

import logging
import time

from tillpost.adapter.verdicts import Verdict
from tillpost.errors import DoubtError
from tillpost.submission.commands import Transmit
from tillpost.submission.policy import Policy

__all__ = ["RetryAfter", "RetryBudget", "retry_wait"]

# stamina logs each retry. Without logging set up, Python would print these records without a cause.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class RetryAfter(Exception):
    """A request to stamina to send a request again, in so many seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"retry in {wait} s")
        self.wait = wait


def retry_wait(failure: Exception) -> bool | float:
    """Return for stamina how long to wait before the next send; False for none."""
    if not isinstance(failure, RetryAfter):
        return False
    return failure.wait


class RetryBudget:
    """What one request's budget for retries has left, from its first send on."""

    def __init__(self, transmit: Transmit, policy: Policy) -> None:
        self._transmit = transmit
        self._policy = policy
        self._began = time.monotonic()

    def next_retry(self, verdict: Verdict, sends: int) -> RetryAfter | None:
        """Return what to raise for another send, or None when the verdict is final.

        A wait of our own ends with the budget at the latest. One that the platform asks for is
        waited in full, or not at all. `sends` counts the sends so far.
        """
        error = verdict.error
        if error is None or not error.transient or isinstance(error, DoubtError):
            return None
        if not self._transmit.request.repeatable:
            return None

        seconds_left = self._began + self._transmit.patience - time.monotonic()
        if sends > self._transmit.retries or seconds_left <= 0:
            return None
        if error.retry_after is None:
            wait = self._policy.wait_before(sends, str(self._began))
            return RetryAfter(min(wait, seconds_left))
        if error.retry_after > min(self._policy.longest_retry_after, seconds_left):
            return None
        return RetryAfter(error.retry_after)
