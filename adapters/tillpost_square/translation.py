"""An order in Square's words: the bodies of CreateOrder and of the payment. Pure functions, and no clock.

The same order and attempt always give the same body, since a repeated create must carry the same
body under its key. Prices of the catalogue are left to Square, so that a price that has drifted
shows as a total that differs; only an attempt with `keep_paid` sends what the customer paid. Field
names are those of the OpenAPI document, 2025-08-20.
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
    Order,
    SetupError,
    format_money,
    spelled_out,
    ticket_reference,
)
from tillpost_square import limits
from tillpost_square.limits import Trimming, intact
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


class Translated(NamedTuple):
    """The `order` of a CreateOrder, and what was changed on the way, for people."""

    order: Body
    notices: tuple[str, ...]


def translate(order: Order, attempt: Attempt, settings: SquareSettings) -> Translated:
    """Return the order as CreateOrder and CalculateOrder take it.

    Raises `OrderError` or `SetupError` for what Square would refuse and no cut could mend.
    """
    if order.tax and not settings.auto_apply_taxes:
        raise SetupError(
            "auto_apply_taxes is off, but the order's prices leave the tax to be added"
        )
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
    if discounts := _discounts(order, trimming):
        body["discounts"] = discounts
    if charges := _charges(order, settings, trimming):
        body["service_charges"] = charges
    return Translated(body, tuple(trimming.notices))


def total_due(order: Order, settings: SquareSettings) -> int:
    """What Square's total must be before the payment, in minor units: a tip of the payment isn't in it yet."""
    return order.total - _payment_tip(order, settings)


def check_payable(order: Order) -> None:
    """Raise the `OrderError` that `payment` would raise."""
    for index, part in enumerate(order.payments):
        intact(limits.PAYMENT_REFERENCE, part.reference, index)


def payment(order: Order, square_id: str, settings: SquareSettings) -> Body:
    """Return the body of CreatePayment that records what the ordering site has captured.

    Several captured payments become one external payment of their sum, with every reference in its
    note: more than one would need PayOrder with payments that Square itself has authorised.
    """
    check_payable(order)
    only = order.payments[0].reference if len(order.payments) == 1 else ""
    said = (
        f"{p.method} {format_money(p.amount, order.currency)} {p.reference}".strip()
        for p in order.payments
    )
    body: Body = {
        "source_id": "EXTERNAL",
        "order_id": square_id,
        "location_id": settings.location_id,  # else Square takes the main location, which may be another one
        "reference_id": order.id,
        "amount_money": _money(total_due(order, settings), order.currency),
        "external_details": {
            "type": "EXTERNAL",
            "source": settings.source_name,
            "source_id": only or order.id,
        },
        "note": Trimming().cut(limits.PAYMENT_NOTE, "; ".join(said)),
    }
    if tip := _payment_tip(order, settings):
        body["tip_money"] = _money(tip, order.currency)
    return body


def attention_ticket(order: Order, settings: SquareSettings) -> Body:
    """Return the `order` of a CreateOrder that spells out another order, which was refused, on one line of no price.

    Nothing else of the order is in it: what it was refused for could be any of that. It is for now,
    whenever the order is due, since the kitchen is to know now.
    """
    code = Trimming().cut(limits.TICKET_NAME, f"ATTENTION {order.code}")
    said = "The ordering site couldn't send this order. The line's note has all of it."
    line: Body = {
        "uid": "line-0",
        "name": "ORDER ATTENTION REQUIRED",
        "quantity": "1",
        "base_price_money": _money(0, order.currency),
        "note": spelled_out(order, platform="Square", most=limits.LINE_NOTE.characters),
    }
    details: Body = {"recipient": {"display_name": code}, "schedule_type": "ASAP", "note": said}
    return {
        "location_id": settings.location_id,
        # Only staff read it: Square is asked for the ticket by its own id.
        "reference_id": ticket_reference(order)[: limits.REFERENCE.characters],
        "source": {"name": settings.source_name},
        "ticket_name": code,
        "line_items": [line],
        "fulfillments": [{"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}],
    }


def digest_key(purpose: str, *parts: object) -> str:
    """Return an idempotency key for a step on an existing order: 45 characters at most, as CreatePayment takes them."""
    return f"{purpose}-{hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()[:40]}"


def _payment_tip(order: Order, settings: SquareSettings) -> int:
    """The tip that goes on the payment. When nothing else is to be paid it becomes a service charge in any case.

    unconfirmed: whether CreatePayment takes an amount of 0 with a tip; the forum says both (threads
    1866 and 21523). Such a payment in a sandbox would tell.
    """
    return order.tip if settings.tips == "payment" and order.tip < order.total else 0


def _money(amount: int, currency: str) -> Body:
    return {"amount": amount, "currency": currency}


def _lines(order: Order, attempt: Attempt, trimming: Trimming) -> list[Body]:
    currency, keep_paid, menu = order.currency, attempt.keep_paid, attempt.menu
    lines: list[Body] = []
    for index, line in enumerate(order.lines):
        item: Body = {
            "uid": f"line-{index}",  # so that an answer's lines are told apart whatever their sequence
            "catalog_object_id": line.item_id,
            "quantity": str(line.quantity),
        }
        # unconfirmed: that base_price_money overrides the price of a line from the catalogue. The
        # spec says so of modifiers, and older reference pages of lines; a sandbox order would tell.
        if keep_paid or (menu is not None and _has_no_price(line, menu)):
            item["base_price_money"] = _money(line.unit_price, currency)
        if line.modifiers:
            modifiers: list[Body] = [
                {"catalog_object_id": m.modifier_id, "quantity": str(m.quantity)}
                for m in line.modifiers
            ]
            if keep_paid:
                for modifier, chosen in zip(modifiers, line.modifiers, strict=True):
                    modifier["base_price_money"] = _money(chosen.unit_price, currency)
            item["modifiers"] = modifiers
        if line.note:
            item["note"] = trimming.cut(limits.LINE_NOTE, line.note, index + 1)
        lines.append(item)
    return lines


def _has_no_price(line: Line, menu: Menu) -> bool:
    """Whether the price is keyed in at the register, so that only the order can bring one."""
    known = menu.by_variation.get(line.item_id)
    return known is not None and known[1].price is None


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
    """Charges come after taxes, where Square can't tax them: the customer has paid exactly these amounts."""
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
    """What the ticket is called at the register: the code first, so that a cut never hits it."""
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
    """How the order gets to the customer. Square has no dine-in, and doesn't show deliveries (see `SquareSettings`)."""
    how = order.fulfilment
    recipient, unsent = _recipient(order, trimming)
    said = (*unsent, *attempt.remarks, order.note)
    if isinstance(how, Delivery) and not settings.delivery_as_pickup:
        recipient["address"] = _address(how.address)
        details = {
            "recipient": recipient,
            **_schedule(how.due_at, "deliver_at", settings.prep_minutes or 30),
        }
        if note := _note(said):
            details["note"] = trimming.cut(limits.DELIVERY_NOTE, note)
        if how.instructions:
            details["dropoff_notes"] = trimming.cut(limits.DROPOFF_NOTE, how.instructions)
        return {"type": "DELIVERY", "state": "PROPOSED", "delivery_details": details}
    match how:
        # The address or table comes first, so that a cut never hits it.
        case Delivery(address=address, instructions=instructions):
            said = (f"DELIVER TO: {address}", instructions, *said)
        case DineIn(table=table):
            said = (f"TABLE {table}", *said)
        case _:
            pass
    details = {"recipient": recipient, **_schedule(how.due_at, "pickup_at", settings.prep_minutes)}
    if note := _note(said):
        details["note"] = trimming.cut(limits.PICKUP_NOTE, note)
    return {"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}


def _note(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)


def _schedule(due_at: datetime | None, field: str, prep_minutes: int | None) -> Body:
    if due_at is None:
        prepared = {"prep_time_duration": f"PT{prep_minutes}M"} if prep_minutes else {}
        return {"schedule_type": "ASAP", **prepared}
    moment = due_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"schedule_type": "SCHEDULED", field: moment}


def _recipient(order: Order, trimming: Trimming) -> tuple[Body, list[str]]:
    """Who gets the order, and what of it must go into the note because Square would refuse it as a field.

    Square demands a display name; without a customer the order's code serves. A phone number is
    never cut.
    """
    customer = order.customer or Customer(name=order.code)
    recipient: Body = {"display_name": trimming.cut(limits.DISPLAY_NAME, customer.name)}
    unsent: list[str] = []
    if _PHONE.fullmatch(customer.phone) and len(customer.phone) <= limits.PHONE.characters:
        recipient["phone_number"] = customer.phone
    elif customer.phone:
        unsent.append(f"Phone: {customer.phone}")
        trimming.notices.append(
            "The customer's phone number is in the note, since Square doesn't take one of that form"
        )
    if _EMAIL.fullmatch(customer.email) and len(customer.email) <= limits.EMAIL.characters:
        recipient["email_address"] = customer.email
    elif customer.email:
        trimming.notices.append(
            "The customer's email address was left out, since Square doesn't take one of that form"
        )
    return recipient, unsent


# unconfirmed: which forms Square takes here. The spec gives the form of a payment's
# buyer_phone_number: digits, spaces and ( ) - . after an optional plus, 9 to 16 digits. Numbers of
# other forms, sent to a sandbox, would tell.
_PHONE = re.compile(r"\+?(?:[ ().-]*[0-9]){9,16}[ ().-]*", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _address(address: Address) -> Body:
    named = {
        "address_line_1": address.line1,
        "address_line_2": address.line2,
        "locality": address.city,
        "administrative_district_level_1": address.region,
        "postal_code": address.postcode,
        "country": address.country,
    }
    return {name: value for name, value in named.items() if value}
