"""Whether a request is sent again at once, and when: the part of retrying that stamina does.

Only what is safe to repeat is repeated here (a read, a request with a key). All else is `recovery`'s to decide. The
first send costs nothing: stamina's context is entered after a failure only.
"""

from __future__ import annotations

from typing import TypedDict

from tillpost.adapter import Verdict
from tillpost.commands import Transmit
from tillpost.errors import DoubtError
from tillpost.recovery import Policy

__all__ = ["Again", "schedule", "worth_repeating"]


class Again(Exception):
    """Tells stamina that a request failed in passing."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("a passing failure")
        self.retry_after = retry_after


class Schedule(TypedDict):
    """What `stamina.retry_context` is given beside the hook."""

    attempts: int
    timeout: float
    wait_initial: float
    wait_max: float
    wait_jitter: float


def worth_repeating(transmit: Transmit, verdict: Verdict, policy: Policy) -> bool:
    """Say whether the same request is to be sent again at once after that verdict."""
    error = verdict.error
    if error is None or not error.transient or isinstance(error, DoubtError) or not transmit.request.repeatable:
        return False
    in_budget = transmit.retries > 0 and transmit.patience > 0
    return in_budget and (error.retry_after or 0.0) <= min(policy.longest_retry_after, transmit.patience)


def schedule(transmit: Transmit, policy: Policy) -> Schedule:
    """Return when stamina is to send again. The first attempt of its context stands for the send that failed."""
    return Schedule(
        attempts=transmit.retries + 1,
        timeout=transmit.patience,
        wait_initial=policy.first_wait,
        wait_max=policy.longest_wait,
        wait_jitter=policy.first_wait,
    )


def backoff(failure: Exception) -> bool | float:
    """Tell stamina to retry after its own wait, or after exactly what the platform asked for."""
    if not isinstance(failure, Again):
        return False
    return True if failure.retry_after is None else failure.retry_after
