"""The register: which orders staff see, how staff act on them, and the ledger.

An order with a fulfilment appears only once it is paid, and a DELIVERY only for a formal partner of
Square (developer documentation).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.models.money import exponent
from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_simulators.square.fulfilments import TERMINAL, move
from tillpost_simulators.square.orders import close, mark_changed
from tillpost_simulators.square.wire import (
    Discount,
    Fulfilment,
    FulfilmentState,
    LineItem,
    Modifier,
    Money,
    Order,
    ServiceCharge,
    Tax,
)
from tillpost_simulators.square.world import StoredOrder, World


def is_shown(world: World, stored: StoredOrder) -> bool:
    """Return whether the register shows an order.

    unconfirmed: that an unpaid order without a fulfilment isn't shown either, and that an order
    whose fulfilment was cancelled stays on view; a look at a register would show it.
    """
    if not stored.settled:
        return False
    types = [fulfilment.type for fulfilment in stored.order.fulfillments or ()]
    return world.settings.delivery_partner or "DELIVERY" not in types


def staff_move(world: World, stored: StoredOrder, state: FulfilmentState) -> None:
    """Move an order's fulfilment to a state, as staff do. The order closes with it.

    Raises:
        LookupError: The register doesn't show the order.
    """
    if not is_shown(world, stored):
        raise LookupError(f"the register doesn't show the order {stored.id}")
    order = stored.order
    for index, fulfilment in enumerate(order.fulfillments or ()):
        move(world, fulfilment, state, f"order.fulfillments[{index}]")
    if state in TERMINAL and order.state == "OPEN":
        # unconfirmed: that a rejected order which was paid for completes; a look at a register
        # would show it.
        close(world, order, "COMPLETED")
    mark_changed(world, order)


# --- the ledger ---


def ledger(world: World) -> Ledger:
    """Return all orders."""
    return Ledger(entries=tuple(_entry(world, stored) for stored in world.orders.values()))


def _entry(world: World, stored: StoredOrder) -> LedgerEntry:
    order = stored.order
    fulfilment = order.fulfillments[0] if order.fulfillments else Fulfilment()
    return LedgerEntry(
        reference=order.reference_id or "",
        order_id=stored.id,
        shown=is_shown(world, stored),
        settled=stored.settled,
        cancelled=order.state == "CANCELED",
        state=order.state or "",
        total=_amount(order.total_money),
        paid=stored.paid,
        currency=world.settings.currency,
        exponent=exponent(world.settings.currency),
        lines=tuple(_line(line) for line in order.line_items or ()),
        charges=tuple(_adjustment(charge) for charge in order.service_charges or ()),
        discounts=tuple(_adjustment(discount) for discount in order.discounts or ()),
        taxes=tuple(_adjustment(tax) for tax in order.taxes or ()),
        tip=_amount(order.total_tip_money),
        ticket_name=order.ticket_name or "",
        note=_note(order, fulfilment),
        fulfilment=fulfilment.type or "",
        fulfilment_state=fulfilment.state or "",
        due_at=_due_at(fulfilment),
    )


def _line(line: LineItem) -> LedgerLine:
    return LedgerLine(
        name=line.name or "",
        quantity=Decimal(line.quantity),
        unit_price=_amount(line.base_price_money),
        modifiers=tuple(_modifier(modifier) for modifier in line.modifiers or ()),
        note=line.note or "",
        item_id=line.catalog_object_id or "",
    )


def _modifier(modifier: Modifier) -> LedgerModifier:
    return LedgerModifier(
        name=modifier.name or "",
        quantity=Decimal(modifier.quantity or "1"),
        unit_price=_amount(modifier.base_price_money),
        modifier_id=modifier.catalog_object_id or "",
    )


def _adjustment(adjustment: ServiceCharge | Discount | Tax) -> LedgerAmount:
    amount = _amount(adjustment.applied_money)
    return LedgerAmount(name=adjustment.name or "", amount=amount)


def _amount(money: Money | None) -> int:
    if not money:
        return 0
    return money.amount


def _note(order: Order, fulfilment: Fulfilment) -> str:
    """Return what staff read beside the lines.

    It is the fulfilment's note, its recipient, and the notes of the payments.
    """
    parts: list[str | None] = []
    details = fulfilment.pickup_details or fulfilment.delivery_details
    if details is not None:
        parts.append(details.note)
        if details.recipient is not None:
            parts.append(details.recipient.display_name)
            parts.append(details.recipient.phone_number)
    pickup = fulfilment.pickup_details
    if pickup is not None and pickup.is_curbside_pickup:
        where = pickup.curbside_pickup_details
        parts.append("CURBSIDE PICKUP")
        parts.append(where.curbside_details if where else None)
    parts += [tender.note for tender in order.tenders or ()]
    return "\n".join(part for part in parts if part)


def _due_at(fulfilment: Fulfilment) -> str:
    pickup = fulfilment.pickup_details
    if pickup is not None:
        return pickup.pickup_at or ""
    delivery = fulfilment.delivery_details
    if delivery is not None:
        return delivery.deliver_at or ""
    return ""
