"""Can this store take an order now, and if not, whose move is it? What an adapter's `check` answers."""

from __future__ import annotations

from tillpost.errors import (
    Applied,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
)
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Reason
from tillpost.models.base import FrozenModel

__all__ = ["Finding", "Readiness", "Reason"]


class Finding(FrozenModel):
    """One thing that was looked at. `actor` is who has to move when it isn't `ok`.

    `reason` is why the store takes no orders then; `Reason.OPEN` when it takes them all the same.
    Where it is left out, `actor` decides: `stops` has what counts.
    """

    what: str
    ok: bool
    text: str
    actor: Actor | None = None
    reason: Reason | None = None

    @classmethod
    def of(
        cls, what: str, ok: bool, text: str, actor: Actor, reason: Reason | None = None
    ) -> Finding:
        """Return the finding, with the actor and the reason when it isn't `ok`."""
        return cls(
            what=what, ok=ok, text=text, actor=None if ok else actor, reason=None if ok else reason
        )

    @classmethod
    def unseen(cls, what: str, error: PosError) -> Finding:
        """Return the finding that something can't be looked at, in the error's own words."""
        said = error.detail or error.code or type(error).__name__
        return cls(
            what=what, ok=False, text=said, actor=error.remedy.actor, reason=_reason_of(error)
        )

    @property
    def stops(self) -> Reason:
        """Why no order can be taken because of this; `Reason.OPEN` when it is in no order's way."""
        if self.ok:
            return Reason.OPEN
        return _BY_ACTOR.get(self.actor, Reason.CLOSED) if self.reason is None else self.reason


class Readiness(FrozenModel):
    """All that was looked at, in the order in which it should be mended."""

    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether all is as it should be, so that any order can be taken now."""
        return all(finding.ok for finding in self.findings)

    @property
    def stop(self) -> Finding | None:
        """The first finding that keeps the store from taking orders at all; None when it takes them."""
        return next((finding for finding in self.findings if finding.stops), None)


_BY_ACTOR: dict[Actor | None, Reason] = {
    Actor.OPERATIONS: Reason.OUTAGE,
    Actor.DEVELOPER: Reason.UNCONNECTED,
    Actor.SUPPORT: Reason.UNCONNECTED,
}
"""Why the store takes no orders, by who has to move; else it is the store's own doing."""

_BY_ERROR: tuple[tuple[type[PosError], Reason], ...] = (
    (PermissionsError, Reason.UNAUTHORISED),
    (RegisterOfflineError, Reason.REGISTER_OFFLINE),
    (RateLimitError, Reason.OPEN),
    (OutageError, Reason.OUTAGE),
    (StoreClosedError, Reason.CLOSED),
    (SetupError, Reason.UNCONNECTED),
)
"""The same by the error that came when it was looked at. Of any other it isn't known that orders would fail too."""


def _reason_of(error: PosError) -> Reason:
    reason = next((reason for kind, reason in _BY_ERROR if isinstance(error, kind)), Reason.OPEN)
    nobody_there = (
        reason is Reason.OUTAGE and error.status_code is None and error.applied is Applied.NO
    )
    return Reason.UNREACHED if nobody_there else reason
