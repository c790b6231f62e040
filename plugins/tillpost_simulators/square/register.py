"""The register: which orders staff see, what they read there, and what they do with them.

An order with a fulfilment appears only once it is paid for, and a DELIVERY only for a formal
partner of Square (developer documentation).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_simulators.square.fulfilments import TERMINAL, move
from tillpost_simulators.square.orders import changed, close
from tillpost_simulators.square.wire import Fulfilment, FulfilmentState, LineItem, Money, Order
from tillpost_simulators.square.world import StoredOrder, World


def ledger(world: World) -> Ledger:
    """All orders as staff would read them."""
    return Ledger(entries=tuple(_entry(world, stored) for stored in world.orders.values()))


def is_shown(world: World, stored: StoredOrder) -> bool:
    """Whether the register shows an order.

    unconfirmed: that an unpaid order without a fulfilment isn't shown either, and that an order
    whose fulfilment was cancelled stays on view; a look at a register would tell.
    """
    if not stored.settled:
        return False
    deliveries = any(
        fulfilment.type == "DELIVERY" for fulfilment in stored.order.fulfillments or ()
    )
    return world.settings.delivery_partner or not deliveries


def staff_move(world: World, stored: StoredOrder, state: FulfilmentState) -> None:
    """What staff do at the register: they move the order's fulfilment. The order closes with it.

    Raises LookupError when the register doesn't show the order: nobody can touch what nobody sees.
    """
    if not is_shown(world, stored):
        raise LookupError(f"the register doesn't show the order {stored.id}")
    order = stored.order
    for index, fulfilment in enumerate(order.fulfillments or ()):
        move(world, fulfilment, state, f"order.fulfillments[{index}]")
    if state in TERMINAL and order.state == "OPEN":
        # unconfirmed: that a rejected order which was paid for completes; a look at a register
        # would tell.
        close(world, order, "COMPLETED")
    changed(world, order)


def _entry(world: World, stored: StoredOrder) -> LedgerEntry:
    order = stored.order
    fulfilment = order.fulfillments[0] if order.fulfillments else None
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
        lines=tuple(_line(line) for line in order.line_items or ()),
        charges=tuple(
            _applied(charge.name, charge.applied_money) for charge in order.service_charges or ()
        ),
        discounts=tuple(
            _applied(discount.name, discount.applied_money) for discount in order.discounts or ()
        ),
        taxes=tuple(_applied(tax.name, tax.applied_money) for tax in order.taxes or ()),
        tip=_amount(order.total_tip_money),
        ticket_name=order.ticket_name or "",
        note=_note(order, fulfilment),
        fulfilment=(fulfilment.type or "") if fulfilment else "",
        fulfilment_state=(fulfilment.state or "") if fulfilment else "",
        due_at=_due_at(fulfilment),
    )


def _line(line: LineItem) -> LedgerLine:
    return LedgerLine(
        name=line.name or "",
        quantity=Decimal(line.quantity),
        unit_price=_amount(line.base_price_money),
        modifiers=tuple(
            LedgerModifier(
                name=modifier.name or "",
                quantity=Decimal(modifier.quantity or "1"),
                unit_price=_amount(modifier.base_price_money),
                modifier_id=modifier.catalog_object_id or "",
            )
            for modifier in line.modifiers or ()
        ),
        note=line.note or "",
        item_id=line.catalog_object_id or "",
    )


def _amount(money: Money | None) -> int:
    return money.amount if money else 0


def _applied(name: str | None, money: Money | None) -> LedgerAmount:
    return LedgerAmount(name=name or "", amount=_amount(money))


def _note(order: Order, fulfilment: Fulfilment | None) -> str:
    """What staff read beside the lines: the fulfilment's note, its recipient, and the payment's note."""
    parts: list[str | None] = []
    details = (fulfilment.pickup_details or fulfilment.delivery_details) if fulfilment else None
    if details is not None:
        parts.append(details.note)
        if details.recipient is not None:
            parts += [details.recipient.display_name, details.recipient.phone_number]
    parts += [tender.note for tender in order.tenders or ()]
    return "\n".join(part for part in parts if part)


def _due_at(fulfilment: Fulfilment | None) -> str:
    if fulfilment is None:
        return ""
    if fulfilment.pickup_details is not None:
        return fulfilment.pickup_details.pickup_at or ""
    return (fulfilment.delivery_details.deliver_at or "") if fulfilment.delivery_details else ""
