"""The conclusion from a platform's answer whether an order has arrived.

It is drawn nowhere else. An order has arrived when an answer names our reference and our total. It
doesn't matter how the answer came: to our own create, to a look-up, by a webhook or to a poll. An
answer about another order is never believed, and one that proves nothing leaves the doubt.

Pure. `flow` calls `proof_of`; webhooks and polls about an order in doubt only have it looked
up again (`Sighted`), so that the flow concludes for them too.
"""

from __future__ import annotations

from enum import Enum

from tillpost.errors import Applied, OrderError, OutageError, PosError
from tillpost.models.money import format_money
from tillpost.models.order import Order, PosOrder, PosState

__all__ = [
    "NOT_THERE",
    "Proof",
    "another_order",
    "names_another",
    "not_there",
    "proof_of",
    "why_unproved",
]

NOT_THERE = (404, 410)
"""Statuses with which a platform says that it has no such order."""

_REFUSED = (PosState.REJECTED, PosState.CANCELLED)


class Proof(Enum):
    """What an answer proves of an order."""

    ARRIVED = "arrived"  # it is the order, at its total
    WRONG_TOTAL = "wrong total"  # it is the order, at another total
    ANOTHER = "another"  # it is another order
    UNCLEAR = "unclear"  # it names no reference, or no total


def proof_of(order: Order, seen: PosOrder, *, reports_total: bool = True) -> Proof:
    """Return what an order at the platform proves of ours.

    The adapter compares the lines, where the platform reports them: it raises what is wrong with
    them. An order that staff rejected or cancelled isn't compared any more.

    Args:
        order: The order.
        seen: An order at the platform.
        reports_total: Whether the platform reports totals at all (`Adapter.reports_total`).
    """
    if names_another(order.id, seen.reference):
        return Proof.ANOTHER
    if not seen.reference:
        return Proof.UNCLEAR
    if seen.state in _REFUSED:
        return Proof.ARRIVED
    if seen.total is None:
        return Proof.UNCLEAR if reports_total else Proof.ARRIVED
    # A platform may keep the tip with the payment, outside the order's own total.
    without_tip = order.total - order.tip
    is_our_total = seen.total in (order.total, without_tip)
    return Proof.ARRIVED if is_our_total else Proof.WRONG_TOTAL


def names_another(reference: str, named: str) -> bool:
    """Return whether an answer names a reference that isn't the one asked for."""
    return named not in ("", reference)


def another_order() -> OutageError:
    """Return the error of an answer that is about another order: it proves nothing."""
    return OutageError("the platform answered about another order", applied=Applied.MAYBE)


def not_there(pos_id: str) -> OutageError:
    """Return the error of an order that the platform doesn't show.

    The platform named it as created.
    """
    detail = f"the platform named its order {pos_id} as created, and doesn't show it"
    return OutageError(detail, applied=Applied.MAYBE)


def why_unproved(order: Order, seen: PosOrder, proof: Proof) -> PosError:
    """Return the error of a platform's order that doesn't prove our order's arrival."""
    if proof is Proof.WRONG_TOTAL:
        at_platform = format_money(seen.total or 0, order.currency)
        paid = format_money(order.total, order.currency)
        detail = f"the platform has an order of {at_platform} under this id; {paid} was paid"
        return OrderError(detail, reason="created", pos_order=seen)
    if proof is Proof.ANOTHER:
        return another_order()
    missing = "total" if seen.reference else "reference"
    detail = f"the platform doesn't report the {missing} of its order {seen.id}"
    if seen.notices:
        detail = f"{detail} ({'; '.join(seen.notices)})"
    return OutageError(detail, applied=Applied.MAYBE)
