"""Faults: what networks and servers do to a request, on purpose and on schedule.

A `FaultPlan` says which requests are hit. By rate: each request is hit with a given chance, drawn
from a seeded generator, so the same requests in the same order meet the same faults. By script:
rules that say "the second POST to this path loses its answer". A fault strikes `before` the
platform has done anything, or `after`, when the effect is there and only the answer suffers. The
platform's own handlers know nothing of any of this.

    FaultPlan(rate=0.25, seed=7)
    FaultPlan(rules=[FaultRule(method="POST", path="/v2/orders$", skip=1,
        fault=Fault(kind="lost_answer"))])
"""

from __future__ import annotations

import random
import re
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

When = Literal["before", "after"]


class FaultKind(StrEnum):
    """What goes wrong."""

    LOST_ANSWER = "lost_answer"
    """The connection is closed without a byte of answer."""
    RESET = "reset"
    """The connection is reset (RST)."""
    TIMEOUT = "timeout"
    """Nothing comes for `hang_seconds`; then the connection is closed."""
    SERVER_ERROR = "server_error"
    """A 5xx (`status`), with the body that the platform gives for it."""
    RATE_LIMITED = "rate_limited"
    """A 429, with `Retry-After` when `retry_after` is set."""
    HTML = "html"
    """An HTML page, with `status` 502 by default: what a proxy in between says."""
    EMPTY = "empty"
    """A 200 with no body."""
    TRUNCATED = "truncated"
    """Half of the answer, then the connection is closed."""
    SLOW_DRIP = "slow_drip"
    """The whole answer, in small pieces over `drip_seconds`."""
    WRONG_TYPE = "wrong_type"
    """A 200 whose JSON is well formed and of the wrong type: every value at the top is 7, or it is a list."""
    NULL = "null"
    """A 200 whose body is `null`."""


_AFTER_BY_DEFAULT = frozenset(
    {
        FaultKind.LOST_ANSWER,
        FaultKind.TRUNCATED,
        FaultKind.SLOW_DRIP,
        FaultKind.WRONG_TYPE,
        FaultKind.EMPTY,
    }
)
_STATUS_BY_DEFAULT = {FaultKind.SERVER_ERROR: 500, FaultKind.HTML: 502, FaultKind.RATE_LIMITED: 429}


class Fault(BaseModel):
    """One thing that goes wrong, once.

    `when` and `status` have a default for each kind (see `moment` and `code`). `hang_seconds` and
    `drip_seconds` bound how long a fault may take; `retry_after` is in seconds and is sent as it
    stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    when: When | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    retry_after: int | None = Field(default=None, ge=0)
    hang_seconds: float = Field(default=30.0, ge=0)
    drip_seconds: float = Field(default=1.0, ge=0)

    @property
    def moment(self) -> When:
        """Whether the effect is left undone (`before`) or done (`after`)."""
        return self.when or ("after" if self.kind in _AFTER_BY_DEFAULT else "before")

    @property
    def code(self) -> int:
        """The HTTP status that this fault answers with, where it answers at all."""
        return self.status or _STATUS_BY_DEFAULT.get(self.kind, 200)


class FaultRule(BaseModel):
    """A line of a script: which requests, and what happens to them.

    `path` is a regular expression searched for in the request's path; `method` is exact, and any
    when not given. The first `skip` requests that match are let through; the next `times` are hit
    (all of them when `times` is None).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Fault
    method: str | None = None
    path: str = ""
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that this rule counts."""
        return (self.method is None or self.method.upper() == method) and re.search(
            self.path, path
        ) is not None


def every_kind(*, hang_seconds: float = 0.5, drip_seconds: float = 0.2) -> tuple[Fault, ...]:
    """One fault of each kind at each moment that makes sense: what a plan by rate draws from unless told otherwise.

    Both bounds are in seconds, and short, so that a run with a thousand faults ends. A 429 strikes
    only before: it is a plain refusal, and a server that sends one after doing the work can't be
    seen through by anyone. A script may.
    """
    both: tuple[When, ...] = ("before", "after")
    drawn = [
        Fault(kind=kind, when=when, hang_seconds=hang_seconds, drip_seconds=drip_seconds)
        for kind in FaultKind
        for when in both
        if (kind, when) != (FaultKind.RATE_LIMITED, "after")
    ]
    drawn += [
        Fault(kind=FaultKind.SERVER_ERROR, when=when, status=status)
        for status in (502, 503)
        for when in both
    ]
    drawn += [
        Fault(kind=FaultKind.RATE_LIMITED, retry_after=0),
        Fault(kind=FaultKind.HTML, status=200),
    ]
    return tuple(drawn)


class FaultPlan(BaseModel):
    """Which requests are hit, and by what.

    Rules are asked first, in order; the first that is due hits. Otherwise, when `rate` is above 0,
    a request that matches `method` and `path` is hit with that chance by one of `faults`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[FaultRule, ...] = ()
    rate: float = Field(default=0.0, ge=0, le=1)
    seed: int = 0
    faults: tuple[Fault, ...] = Field(default_factory=every_kind)
    method: str | None = None
    path: str = ""


class InjectedFault(BaseModel):
    """A fault that has struck: the request's number (from 1, faulty or not), its method and path, and what was done."""

    model_config = ConfigDict(frozen=True)

    number: int
    method: str
    path: str
    kind: FaultKind
    when: When
    status: int


class FaultInjector:
    """A plan being carried out: counts requests, draws faults, and keeps a list of those that struck.

    It isn't locked; the server asks it under the simulator's lock.
    """

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.plan = plan or FaultPlan()
        self.injected: list[InjectedFault] = []
        self._seen = 0
        self._matched = [0] * len(self.plan.rules)
        self._random = random.Random(self.plan.seed)  # noqa: S311 - repeatable on purpose

    def draw(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, or None. Call it once for each request, in their order."""
        self._seen += 1
        fault = self._from_rules(method, path) or self._from_rate(method, path)
        if fault is not None:
            self.injected.append(
                InjectedFault(
                    number=self._seen,
                    method=method,
                    path=path,
                    kind=fault.kind,
                    when=fault.moment,
                    status=fault.code,
                )
            )
        return fault

    def _from_rules(self, method: str, path: str) -> Fault | None:
        due: Fault | None = None
        for place, rule in enumerate(self.plan.rules):
            if not rule.matches(method, path):
                continue
            nth = self._matched[place]
            self._matched[place] += 1
            hit = nth >= rule.skip and (rule.times is None or nth < rule.skip + rule.times)
            if hit and due is None:
                due = rule.fault
        return due

    def _from_rate(self, method: str, path: str) -> Fault | None:
        plan = self.plan
        if (
            not plan.rate
            or (plan.method and plan.method.upper() != method)
            or not re.search(plan.path, path)
        ):
            return None
        # Both are drawn each time, so that one request's luck doesn't depend on how many were hit
        # before it.
        luck, choice = self._random.random(), self._random.randrange(len(plan.faults) or 1)
        return plan.faults[choice] if luck < plan.rate and plan.faults else None
