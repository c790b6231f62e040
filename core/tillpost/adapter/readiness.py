"""Whether a store can take orders now: the result of `Adapter.check`.

If it can't, the result says who must act.
"""

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
from tillpost.models.base import FrozenModel, OutsideWords

__all__ = ["Finding", "Readiness", "Reason", "currency_findings"]


class Finding(FrozenModel):
    """One thing that was checked.

    Attributes:
        what: What was checked, in a word or two.
        ok: Whether it is as it should be.
        text: The result, for people.
        actor: Who must act if it isn't `ok`.
        reason: Why the store takes no orders because of it; `Reason.OPEN` if it takes them all the
            same. If it is left out, `actor` decides. `stops` is the result.
    """

    what: OutsideWords
    ok: bool
    text: OutsideWords
    actor: Actor | None = None
    reason: Reason | None = None

    @classmethod
    def of(
        cls,
        what: str,
        ok: bool,
        text: str,
        actor: Actor,
        reason: Reason | None = None,
    ) -> Finding:
        """Return a finding that has the actor and the reason only if it isn't `ok`."""
        if ok:
            return cls(what=what, ok=True, text=text)
        return cls(what=what, ok=False, text=text, actor=actor, reason=reason)

    @classmethod
    def unseen(cls, what: str, error: PosError) -> Finding:
        """Return the finding that something couldn't be checked, because of an error."""
        text = error.detail or error.code or type(error).__name__
        actor = error.remedy.actor
        return cls(what=what, ok=False, text=text, actor=actor, reason=_reason_of(error))

    @property
    def stops(self) -> Reason:
        """Why no order can be taken because of this; `Reason.OPEN` if orders can be taken."""
        if self.ok:
            return Reason.OPEN
        if self.reason is not None:
            return self.reason
        return _REASON_BY_ACTOR.get(self.actor, Reason.CLOSED)


class Readiness(FrozenModel):
    """Everything that was checked, in the order in which it should be corrected."""

    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether everything is as it should be, so that any order can be taken now."""
        return all(finding.ok for finding in self.findings)

    @property
    def stop(self) -> Finding | None:
        """The first finding that keeps the store from taking any order, else None."""
        return next((finding for finding in self.findings if finding.stops), None)


def currency_findings(currency: str, setting: str | None) -> tuple[Finding, ...]:
    """Return the finding that the setting `currency` contradicts the store.

    Args:
        currency: The store's currency as the platform says it; empty if it doesn't.
        setting: The connection's setting `currency`.
    """
    if not setting or currency in ("", setting):
        return ()
    text = (
        f"The store sells in {currency}, and the connection's setting currency says {setting}: "
        "every order is refused"
    )
    return (Finding(what="currency setting", ok=False, text=text, actor=Actor.DEVELOPER),)


_REASON_BY_ACTOR: dict[Actor | None, Reason] = {
    Actor.OPERATIONS: Reason.OUTAGE,
    Actor.DEVELOPER: Reason.UNCONNECTED,
    Actor.SUPPORT: Reason.UNCONNECTED,
}
"""Why the store takes no orders, by who must act.

For anyone else the store itself is closed.
"""

_REASON_BY_ERROR: tuple[tuple[type[PosError], Reason], ...] = (
    (PermissionsError, Reason.UNAUTHORISED),
    (RegisterOfflineError, Reason.REGISTER_OFFLINE),
    (RateLimitError, Reason.OPEN),
    (OutageError, Reason.OUTAGE),
    (StoreClosedError, Reason.CLOSED),
    (SetupError, Reason.UNCONNECTED),
)
"""Why the store takes no orders, by the error of a check.

The first class that fits wins. After any other error orders may still succeed.
"""


def _reason_of(error: PosError) -> Reason:
    matches = (reason for kind, reason in _REASON_BY_ERROR if isinstance(error, kind))
    reason = next(matches, Reason.OPEN)
    never_connected = error.status_code is None and error.applied is Applied.NO
    if reason is Reason.OUTAGE and never_connected:
        return Reason.UNREACHED
    return reason
