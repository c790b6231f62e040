"""The meaning of Kounta's states.

They show an order's state, and what keeps a site from taking orders. Staff accept or reject an
order (vendor's page). A 201, SUBMITTED, ON_HOLD and PENDING only mean that Kounta's cloud has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tillpost.adapter import Actor, Finding, PosOrder, PosState, Progress, Reason
from tillpost_kounta import wire

__all__ = ["PRINTING_REGISTER", "REJECTED", "pos_order", "site_findings"]

REJECTED = "REJECTED"
"""The status of an order that staff rejected."""

PRINTING_REGISTER = "pass_thru_printing_register"
"""The field of a site's status with the state of its printing register."""

_STATES = {
    "ACCEPTED": (PosState.ACCEPTED, Progress.ACCEPTED),
    "COMPLETE": (PosState.ACCEPTED, Progress.COMPLETED),
    "COMPLETED": (PosState.ACCEPTED, Progress.COMPLETED),
    REJECTED: (PosState.REJECTED, Progress.CANCELLED),
    "DELETED": (PosState.CANCELLED, Progress.CANCELLED),
}


def pos_order(order: wire.Order, reference: str, *notices: str) -> PosOrder:
    """Return an order as Kounta has it, with the reference that it is proved to have."""
    status = "DELETED" if order.deleted else order.status
    state, progress = _STATES.get(status, (PosState.RECEIVED, Progress.NEW))
    return PosOrder(
        id=order.id,
        reference=reference,
        state=state,
        progress=progress,
        status=status,
        notices=notices,
    )


def site_findings(status: Mapping[str, str], *, prints: bool) -> tuple[Finding, ...]:
    """Return what a site's status means for orders.

    Args:
        status: The texts of the site's status.
        prints: Whether orders are printed by the site's printing register.
    """
    devices = _finding("devices", status.get("status", ""), Reason.REGISTER_OFFLINE)
    ordering = _finding("online ordering", status.get("online_ordering", ""), Reason.CLOSED)
    if PRINTING_REGISTER not in status:
        return (devices, ordering)
    # A printing register that isn't used keeps no order from being taken.
    reason = Reason.REGISTER_OFFLINE if prints else Reason.OPEN
    printing = _finding("pass-through printing register", status[PRINTING_REGISTER], reason)
    return (devices, ordering, printing)


def _finding(what: str, state: str, reason: Reason) -> Finding:
    """Return a finding.

    A state that Kounta doesn't report keeps no order from being taken.
    """
    is_online = state == "online"
    if not state:
        state = "not reported"
        reason = Reason.OPEN
    text = f"The site's {what}: {state}"
    return Finding.of(what, is_online, text, Actor.STORE, reason)
