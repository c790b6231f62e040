"""An order as Square takes it: the bodies of CreateOrder and of the payment.

All functions are pure. The same order and attempt always give the same body, since a repeated
create must send the same body under its key: nothing here reads the clock. The catalogue's prices
are left to Square, so that a price that has changed shows as a total that differs. Only an attempt
with `keep_paid` sends what the customer paid. Field names are those of the OpenAPI document,
2025-08-20.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from tillpost.adapter import (
    Address,
    Attempt,
    Customer,
    Delivery,
    DineIn,
    Line,
    Menu,
    Modifier,
    Order,
    SetupError,
    format_money,
    one_line,
    spelled_out,
    ticket_reference,
)
from tillpost_square import limits
from tillpost_square.limits import Limit, Trimming, intact
from tillpost_square.settings import SquareSettings

__all__ = [
    "Translated",
    "attention_ticket",
    "check_payable",
    "digest_key",
    "payment",
    "total_due",
    "translate",
]

Body: TypeAlias = dict[str, object]

_DELIVERY_PREP_MINUTES = 30
"""A delivery that is due as soon as possible must have a time of preparation."""


class Translated(NamedTuple):
    """The `order` of a CreateOrder, and notices of what was changed, for people."""

    order: Body
    notices: tuple[str, ...]


def translate(order: Order, attempt: Attempt, settings: SquareSettings) -> Translated:
    """Return the order as CreateOrder and CalculateOrder take it.

    Raises:
        SetupError: The order's tax must be added, but the settings forbid it.
    """
    if order.tax and not settings.auto_apply_taxes:
        raise SetupError("auto_apply_taxes is off, but the order's prices exclude tax")
    trimming = Trimming()
    body: Body = {
        "location_id": settings.location_id,
        "reference_id": order.id,
        "source": {"name": settings.source_name},
        "ticket_name": trimming.cut(limits.TICKET_NAME, _ticket_name(order)),
        "line_items": _lines(order, attempt, trimming),
        "fulfillments": [_fulfilment(order, attempt, settings, trimming)],
        "pricing_options": {"auto_apply_taxes": settings.auto_apply_taxes},
    }
    discounts = _discounts(order, trimming)
    if discounts:
        body["discounts"] = discounts
    charges = _charges(order, settings, trimming)
    if charges:
        body["service_charges"] = charges
    return Translated(body, tuple(trimming.notices))


def total_due(order: Order, settings: SquareSettings) -> int:
    """Return what Square's total must be before the payment, in minor units.

    A tip on the payment isn't in it yet.
    """
    return order.total - _payment_tip(order, settings)


def check_payable(order: Order) -> None:
    """Check that `payment` can record the order's payments.

    Raises:
        OrderError: A payment's reference is too long for Square.
    """
    for index, part in enumerate(order.payments):
        intact(limits.PAYMENT_REFERENCE, part.reference, index)


def payment(order: Order, square_id: str, settings: SquareSettings) -> Body:
    """Return the body of CreatePayment that records the captured payments.

    The ordering site has captured them. Several captured payments become one external payment of
    their sum, with every reference in its note: more than one would need PayOrder with payments
    that Square itself has authorised.

    Args:
        order: The order.
        square_id: Square's id of the order.
        settings: The connection's settings.

    Raises:
        OrderError: A payment's reference is too long for Square.
    """
    check_payable(order)
    parts: list[str] = []
    for part in order.payments:
        amount = format_money(part.amount, order.currency)
        parts.append(f"{part.method} {amount} {part.reference}".strip())
    only_reference = order.payments[0].reference if len(order.payments) == 1 else ""
    body: Body = {
        "source_id": "EXTERNAL",
        "order_id": square_id,
        # Without it Square takes the main location, which may be another one.
        "location_id": settings.location_id,
        "reference_id": order.id,
        "amount_money": _money(total_due(order, settings), order.currency),
        "external_details": {
            "type": "EXTERNAL",
            "source": settings.source_name,
            "source_id": only_reference or order.id,
        },
        "note": Trimming().cut(limits.PAYMENT_NOTE, "; ".join(parts)),
    }
    tip = _payment_tip(order, settings)
    if tip:
        body["tip_money"] = _money(tip, order.currency)
    return body


def attention_ticket(order: Order, settings: SquareSettings) -> Body:
    """Return the `order` of a CreateOrder that spells out an order which was refused.

    It has one line at a price of 0, and nothing else of the order, since any of that may be why it
    was refused. It is due at once whenever the order is due, since the kitchen must know now.
    """
    code = Trimming().cut(limits.TICKET_NAME, f"ATTENTION {order.code}")
    explanation = "The ordering site couldn't send this order. The line's note has all of it."
    line: Body = {
        "uid": "line-0",
        "name": "ORDER ATTENTION REQUIRED",
        "quantity": "1",
        "base_price_money": _money(0, order.currency),
        "note": spelled_out(order, platform="Square", most=limits.LINE_NOTE.characters),
    }
    details: Body = {
        "recipient": {"display_name": code},
        "schedule_type": "ASAP",
        "note": explanation,
    }
    return {
        "location_id": settings.location_id,
        # It is for staff only, so it may be cut: the ticket is fetched by Square's own id.
        "reference_id": ticket_reference(order)[: limits.REFERENCE.characters],
        "source": {"name": settings.source_name},
        "ticket_name": code,
        "line_items": [line],
        "fulfillments": [{"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}],
    }


def digest_key(purpose: str, *parts: object) -> str:
    """Return an idempotency key for a step on an existing order.

    It has at most 45 characters, as CreatePayment allows.
    """
    content = "/".join(map(str, parts))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{purpose}-{digest[:40]}"


def _payment_tip(order: Order, settings: SquareSettings) -> int:
    """Return the tip that goes on the payment.

    If nothing else is to be paid, the tip becomes a service charge in any case.

    unconfirmed: whether CreatePayment takes an amount of 0 with a tip; the forum says both (threads
    1866 and 21523). Such a payment in a sandbox would show it.
    """
    if settings.tips == "payment" and order.tip < order.total:
        return order.tip
    return 0


def _money(amount: int, currency: str) -> Body:
    return {"amount": amount, "currency": currency}


def _lines(order: Order, attempt: Attempt, trimming: Trimming) -> list[Body]:
    return [
        _line(index, line, order.currency, attempt, trimming)
        for index, line in enumerate(order.lines)
    ]


def _line(index: int, line: Line, currency: str, attempt: Attempt, trimming: Trimming) -> Body:
    body: Body = {
        "uid": f"line-{index}",  # an answer may list the lines in another sequence
        "catalog_object_id": line.item_id,
        "quantity": str(line.quantity),
    }
    menu = attempt.menu
    # unconfirmed: that base_price_money overrides the price of a line from the catalogue. The spec
    # says so of modifiers, and older reference pages of lines; a sandbox order would show it.
    if attempt.keep_paid or (menu is not None and _has_no_price(line, menu)):
        body["base_price_money"] = _money(line.unit_price, currency)
    if line.modifiers:
        keep_paid = attempt.keep_paid
        body["modifiers"] = [_modifier(each, currency, keep_paid) for each in line.modifiers]
    if line.note:
        body["note"] = trimming.cut(limits.LINE_NOTE, line.note, index + 1)
    return body


def _modifier(modifier: Modifier, currency: str, keep_paid: bool) -> Body:
    body: Body = {
        "catalog_object_id": modifier.modifier_id,
        "quantity": str(modifier.quantity),
    }
    if keep_paid:
        body["base_price_money"] = _money(modifier.unit_price, currency)
    return body


def _has_no_price(line: Line, menu: Menu) -> bool:
    """Return whether the price is keyed in at the register.

    Then the order must bring one.
    """
    product = menu.by_variation.get(line.item_id)
    if product is None:
        return False
    _, variation = product
    return variation.price is None


def _discounts(order: Order, trimming: Trimming) -> list[Body]:
    return [
        {
            "name": trimming.cut(limits.DISCOUNT_NAME, discount.name),
            "type": "FIXED_AMOUNT",
            "scope": "ORDER",
            "amount_money": _money(discount.amount, order.currency),
        }
        for discount in order.discounts
        if discount.amount
    ]


def _charges(order: Order, settings: SquareSettings, trimming: Trimming) -> list[Body]:
    """Return the charges.

    They come after taxes, so that Square adds no tax to what was paid.
    """
    named = [(charge.name, charge.amount) for charge in order.charges]
    named.append(("Tip", order.tip - _payment_tip(order, settings)))
    return [
        {
            "name": trimming.cut(limits.CHARGE_NAME, name),
            "amount_money": _money(amount, order.currency),
            "calculation_phase": "TOTAL_PHASE",
        }
        for name, amount in named
        if amount
    ]


def _ticket_name(order: Order) -> str:
    """Return the ticket's name at the register.

    The code comes first, so that it is never cut.
    """
    match order.fulfilment:
        case Delivery():
            return f"{order.code} delivery"
        case DineIn(table=table):
            return f"{order.code} table {table}"
        case _:
            return order.code


def _fulfilment(
    order: Order, attempt: Attempt, settings: SquareSettings, trimming: Trimming
) -> Body:
    """Return how the order gets to the customer.

    Square has no dine-in, and may not show deliveries (see `SquareSettings.delivery_as_pickup`), so
    these are pickups with a note.
    """
    fulfilment = order.fulfilment
    recipient, unsent = _recipient(order, trimming)
    notes = (*unsent, *attempt.remarks, order.note)
    match fulfilment:
        case Delivery() if not settings.delivery_as_pickup:
            return _delivery(fulfilment, recipient, notes, settings, trimming)
        # The address or table comes first, so that it is never cut.
        case Delivery(address=address, instructions=instructions):
            notes = (f"DELIVER TO: {address}", instructions, *notes)
        case DineIn(table=table):
            notes = (f"TABLE {table}", *notes)
        case _:
            pass
    schedule = _schedule(fulfilment.due_at, "pickup_at", settings.prep_minutes)
    details: Body = {"recipient": recipient, **schedule}
    note = _note(notes)
    if note:
        details["note"] = trimming.cut(limits.PICKUP_NOTE, note)
    return {"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}


def _delivery(
    delivery: Delivery,
    recipient: Body,
    notes: Iterable[str],
    settings: SquareSettings,
    trimming: Trimming,
) -> Body:
    recipient = {**recipient, "address": _address(delivery.address)}
    prep_minutes = settings.prep_minutes or _DELIVERY_PREP_MINUTES
    schedule = _schedule(delivery.due_at, "deliver_at", prep_minutes)
    details: Body = {"recipient": recipient, **schedule}
    note = _note(notes)
    if note:
        details["note"] = trimming.cut(limits.DELIVERY_NOTE, note)
    if delivery.instructions:
        details["dropoff_notes"] = trimming.cut(limits.DROPOFF_NOTE, delivery.instructions)
    return {"type": "DELIVERY", "state": "PROPOSED", "delivery_details": details}


def _note(parts: Iterable[str]) -> str:
    """Return a note of one line for each part, so that no part passes for another."""
    return "\n".join(one_line(part) for part in parts if part)


def _schedule(due_at: datetime | None, field: str, prep_minutes: int | None) -> Body:
    """Return when the order is due.

    Args:
        due_at: The time; None for as soon as possible.
        field: The field for that time.
        prep_minutes: How long the order takes if it is due as soon as possible; None leaves it to
            Square.
    """
    if due_at is not None:
        time = due_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {"schedule_type": "SCHEDULED", field: time}
    if prep_minutes:
        return {"schedule_type": "ASAP", "prep_time_duration": f"PT{prep_minutes}M"}
    return {"schedule_type": "ASAP"}


# unconfirmed: which forms Square takes here. The spec gives the form of a payment's
# buyer_phone_number: digits, spaces and ( ) - . after an optional plus, 9 to 16 digits. Numbers of
# other forms, sent to a sandbox, would show it.
_PHONE = re.compile(r"\+?(?:[ ().-]*[0-9]){9,16}[ ().-]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _recipient(order: Order, trimming: Trimming) -> tuple[Body, list[str]]:
    """Return who gets the order, and what must go into the note.

    That is what Square would refuse as a field. Square requires a display name; without a customer
    it is the order's code. A phone number is never cut.
    """
    customer = order.customer or Customer(name=order.code)
    recipient: Body = {"display_name": trimming.cut(limits.DISPLAY_NAME, customer.name)}
    for_note: list[str] = []
    if _fits(customer.phone, _PHONE, limits.PHONE):
        recipient["phone_number"] = customer.phone
    elif customer.phone:
        for_note.append(f"Phone: {customer.phone}")
        trimming.notices.append(
            "The customer's phone number is in the note, since Square doesn't take one of that form"
        )
    if _fits(customer.email, _EMAIL, limits.EMAIL):
        recipient["email_address"] = customer.email
    elif customer.email:
        trimming.notices.append(
            "The customer's email address was left out, since Square doesn't take one of that form"
        )
    return recipient, for_note


def _fits(text: str, form: re.Pattern[str], limit: Limit) -> bool:
    return bool(form.fullmatch(text)) and len(text) <= limit.characters


def _address(address: Address) -> Body:
    fields = {
        "address_line_1": address.line1,
        "address_line_2": address.line2,
        "locality": address.city,
        "administrative_district_level_1": address.region,
        "postal_code": address.postcode,
        "country": address.country,
    }
    return {name: value for name, value in fields.items() if value}
