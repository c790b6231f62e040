"""Faults: what networks and servers do to requests, injected on a plan.

A `FaultPlan` selects the requests that fail. By rate: each request fails with a given probability,
drawn from a seeded generator, so the same requests in the same order meet the same faults. By
script: rules such as "the second POST to this path loses its answer". A fault strikes `before` the
platform has done anything, or `after`, when the request has taken effect and only the answer is
affected. The platform's own handlers know nothing of faults: `web_app` carries them out, so a new
kind gets its effect there.

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
    """The kinds of fault."""

    LOST_ANSWER = "lost_answer"
    """The connection is closed without a byte of answer."""
    RESET = "reset"
    """The connection is reset (RST)."""
    TIMEOUT = "timeout"
    """Nothing is sent for `hang_seconds`; then the connection is closed."""
    SERVER_ERROR = "server_error"
    """A 5xx (`status`), with the platform's own body for it."""
    RATE_LIMITED = "rate_limited"
    """A 429, with `Retry-After` when `retry_after` is set."""
    HTML = "html"
    """An HTML page, with `status` 502 by default, as a proxy sends it."""
    EMPTY = "empty"
    """A 200 with no body."""
    TRUNCATED = "truncated"
    """Half of the answer, then the connection is closed."""
    SLOW_DRIP = "slow_drip"
    """The whole answer, in small pieces over `drip_seconds`."""
    WRONG_TYPE = "wrong_type"
    """A 200 with well-formed JSON of the wrong type.

    Every value at the top is 7, or it is a list.
    """
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
    """One fault, injected once.

    `when` and `status` default to what suits the kind (see `moment` and `code`). `hang_seconds` and
    `drip_seconds` limit how long a fault takes. `retry_after` is in seconds and is sent unchanged.
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
        """Whether it strikes `before` the request takes effect, or `after`."""
        return self.when or ("after" if self.kind in _AFTER_BY_DEFAULT else "before")

    @property
    def code(self) -> int:
        """The HTTP status of the answer, for a kind that sends one."""
        return self.status or _STATUS_BY_DEFAULT.get(self.kind, 200)


class FaultRule(BaseModel):
    """A rule of a script: which requests it matches, and the fault that strikes them.

    `path` is a regular expression that is searched for in the request's path. `method` is compared
    exactly; None matches any. The first `skip` matching requests pass; the next `times` are struck,
    or all that follow when `times` is None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Fault
    method: str | None = None
    path: str = ""
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=1, ge=1)

    def matches(self, method: str, path: str) -> bool:
        """Return whether this rule matches a request."""
        if self.method is not None and self.method.upper() != method:
            return False
        return re.search(self.path, path) is not None


def every_kind(*, hang_seconds: float = 0.5, drip_seconds: float = 0.2) -> tuple[Fault, ...]:
    """Return a fault of each kind at each possible moment.

    It is what a plan by rate draws from by default. A 429 strikes only before, since it is a plain
    refusal: no client can cope with a server that sends one after it has done the work. A script
    may still do so.

    Args:
        hang_seconds: Length of a timeout. Short, so that a run with a thousand faults ends.
        drip_seconds: Length of a slow answer.
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
    """Which requests fail, and how.

    Rules come first, in order: the first one that is due strikes. Otherwise, when `rate` is above
    0, a request that matches `method` and `path` meets one of `faults` with that probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[FaultRule, ...] = ()
    rate: float = Field(default=0.0, ge=0, le=1)
    seed: int = 0
    faults: tuple[Fault, ...] = Field(default_factory=every_kind)
    method: str | None = None
    path: str = ""


class InjectedFault(BaseModel):
    """A fault that was injected.

    `number` is the request's number, counted from 1 over all requests, faulty or not.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    method: str
    path: str
    kind: FaultKind
    when: When
    status: int


class FaultInjector:
    """The source of a plan's faults: it counts requests, and lists the faults.

    It has no lock of its own; the server calls it under the simulator's.
    """

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.plan = plan or FaultPlan()
        self.injected: list[InjectedFault] = []
        self._seen = 0
        self._matched = [0] * len(self.plan.rules)
        self._random = random.Random(self.plan.seed)  # nosec B311  # noqa: S311 - repeatable on purpose

    def draw(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, or None.

        Call it once for each request, in their order.
        """
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
        for index, rule in enumerate(self.plan.rules):
            if not rule.matches(method, path):
                continue
            already_matched = self._matched[index]
            self._matched[index] += 1
            started = already_matched >= rule.skip
            ended = rule.times is not None and already_matched >= rule.skip + rule.times
            if started and not ended and due is None:
                due = rule.fault
        return due

    def _from_rate(self, method: str, path: str) -> Fault | None:
        plan = self.plan
        if not plan.rate:
            return None
        if plan.method and plan.method.upper() != method:
            return None
        if not re.search(plan.path, path):
            return None
        # Both numbers are drawn each time, so that whether a request is struck doesn't depend on
        # how many were struck before it.
        drawn = self._random.random()
        choice = self._random.randrange(len(plan.faults) or 1)
        if drawn >= plan.rate or not plan.faults:
            return None
        return plan.faults[choice]
