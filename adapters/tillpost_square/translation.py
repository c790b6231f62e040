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
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from tillpost.adapter import (
    Address,
    Attempt,
    Curbside,
    Customer,
    Delivery,
    DineIn,
    FlatModifier,
    Fulfilment,
    Line,
    Menu,
    Order,
    Pickup,
    SetupError,
    TaxTerms,
    charge_text,
    destination,
    discount_text,
    nested_choices,
    payment_text,
    spelled_out_in_parts,
    tax_terms,
    ticket_reference,
)
from tillpost_square import adjustments, limits
from tillpost_square.limits import Limit, Trimming, intact
from tillpost_square.names import line_uid
from tillpost_square.notes import NoteText, divided, spread
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


_MOST_TICKET_LINES = 20
"""The lines over which an attention ticket's text is spread."""


class Translated(NamedTuple):
    """The `order` of a CreateOrder, and notices of what was changed, for people."""

    order: Body
    notices: tuple[str, ...]


def translate(order: Order, attempt: Attempt, settings: SquareSettings) -> Translated:
    """Return the order as CreateOrder and CalculateOrder take it.

    Raises:
        SetupError: The order's tax must be added, but the settings forbid it.
        OrderError: Square's notes have no room for all of the order's texts.
    """
    if order.tax and not settings.auto_apply_taxes:
        raise SetupError("auto_apply_taxes is off, but the order's prices exclude tax")
    trimming = Trimming()
    is_delivery = _goes_as_delivery(order, attempt, settings)
    recipient, unsent = _recipient(order, trimming, needs_phone=is_delivery)
    if len(order.code) > limits.TICKET_NAME.characters:
        unsent.append(NoteText("code", f"Order: {order.code}"))
    if isinstance(order.fulfilment, Delivery) and not (is_delivery or settings.delivery_as_pickup):
        trimming.notices.append(
            "The delivery goes as a pickup with its address in the note, since Square doesn't take "
            "the phone number that a delivery needs"
        )
    payments = _payment_note(order, settings)
    if payments.beyond:
        trimming.notices.append("The payment's note continues in the order's note")
    texts = _note_texts(order, attempt, unsent, payments, is_delivery=is_delivery)
    limit = limits.DELIVERY_NOTE if is_delivery else limits.PICKUP_NOTE
    line_notes = [_line_note(line, order.currency) for line in order.lines]
    notes = spread(texts.own, texts.others, limit, line_notes)
    trimming.notices += notes.notices
    if is_delivery and isinstance(order.fulfilment, Delivery):
        fulfilment = _delivery(order.fulfilment, recipient, notes.note, settings)
    else:
        fulfilment = _pickup(order, recipient, notes.note, settings)
    body: Body = {
        "location_id": settings.location_id,
        "reference_id": order.id,
        "source": {"name": settings.source_name},
        "ticket_name": trimming.cut(limits.TICKET_NAME, _ticket_name(order)),
        "line_items": _lines(order, attempt, notes.lines, trimming),
        "fulfillments": [fulfilment],
        "pricing_options": {"auto_apply_taxes": settings.auto_apply_taxes},
    }
    taxes = adjustments.charge_taxes(order, attempt, settings)
    added = {
        "discounts": adjustments.discounts(order, trimming),
        "service_charges": adjustments.service_charges(order, taxes, settings, trimming),
        "taxes": taxes.bodies,
    }
    body |= {name: bodies for name, bodies in added.items() if bodies}
    return Translated(body, tuple(trimming.notices))


def total_due(order: Order, settings: SquareSettings) -> int:
    """Return what Square's total must be before the payment, in minor units.

    A tip on the payment isn't in it yet.
    """
    return order.total - adjustments.payment_tip(order, settings)


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
        "note": _payment_note(order, settings).note,
    }
    tip = adjustments.payment_tip(order, settings)
    if tip:
        body["tip_money"] = _money(tip, order.currency)
    return body


class _PaymentNote(NamedTuple):
    """The note of the payment, and what of it goes on in the order's note."""

    note: str
    beyond: str


def _payment_note(order: Order, settings: SquareSettings) -> _PaymentNote:
    """Return all captured payments with their references.

    An order of 0 is paid without a payment, so they are all in the order's note.
    """
    text = "; ".join(payment_text(each, order.currency) for each in order.payments)
    if not text:
        return _PaymentNote("", "")
    if not total_due(order, settings):
        return _PaymentNote("", f"PAID: {text}")
    note, rest = divided(text, limits.PAYMENT_NOTE.characters)
    return _PaymentNote(note, f"PAID, continued: {rest}" if rest else "")


def attention_ticket(order: Order, settings: SquareSettings) -> Body:
    """Return the `order` of a CreateOrder that spells out an order which was refused.

    It has lines at a price of 0, as many as their notes need, and nothing else of the order, since
    any of that may be why it was refused. It is due at once whenever the order is due, since the
    kitchen must know now.
    """
    code = Trimming().cut(limits.TICKET_NAME, f"ATTENTION {order.code}")
    notes = spelled_out_in_parts(
        order,
        platform="Square",
        most=limits.LINE_NOTE.characters,
        most_parts=_MOST_TICKET_LINES,
    )
    where = "The line's note has"
    if len(notes) > 1:
        where = f"The notes of the {len(notes)} lines have"
    explanation = f"The ordering site couldn't send this order. {where} all of it."
    lines: list[Body] = [
        {
            "uid": f"line-{index}",
            "name": "ORDER ATTENTION REQUIRED",
            "quantity": "1",
            "base_price_money": _money(0, order.currency),
            "note": note,
        }
        for index, note in enumerate(notes)
    ]
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
        "line_items": lines,
        "fulfillments": [{"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}],
    }


def digest_key(purpose: str, *parts: object) -> str:
    """Return an idempotency key for a step on an existing order.

    It has at most 45 characters, as CreatePayment allows.
    """
    content = "/".join(map(str, parts))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{purpose}-{digest[:40]}"


def _money(amount: int, currency: str) -> Body:
    return {"amount": amount, "currency": currency}


def _lines(order: Order, attempt: Attempt, notes: Sequence[str], trimming: Trimming) -> list[Body]:
    return [
        _line(index, line, order, attempt, note, trimming)
        for index, (line, note) in enumerate(zip(order.lines, notes, strict=True))
    ]


def _line(
    index: int, line: Line, order: Order, attempt: Attempt, note: str, trimming: Trimming
) -> Body:
    currency = order.currency
    body: Body = {
        "uid": line_uid(index),
        "catalog_object_id": line.item_id,
        "quantity": str(line.quantity),
    }
    menu = attempt.menu
    # unconfirmed: that base_price_money overrides the price of a line from the catalogue. The spec
    # says so of modifiers, and older reference pages of lines; a sandbox order would show it.
    if attempt.keep_paid or (menu is not None and _has_no_price(line, menu)):
        terms = _terms(order, line, menu)
        body["base_price_money"] = _money(terms.on_menu(line.unit_price), currency)
    if line.is_open:
        del body["catalog_object_id"]
        body["name"] = trimming.cut(limits.ITEM_NAME, line.name, index + 1)
        body["base_price_money"] = _money(line.unit_price, currency)
    if line.modifiers:
        kept = _terms(order, line, menu) if attempt.keep_paid else None
        body["modifiers"] = [_modifier(each, currency, kept) for each in line.flat_modifiers()]
    applied = adjustments.applied_discounts(index, line)
    if applied:
        body["applied_discounts"] = applied
    if note:
        body["note"] = note
    return body


def _line_note(line: Line, currency: str) -> str:
    """Return what the customer wrote of a line, then what Square has no field for.

    Square nests no modifiers, and takes no discount of 0.
    """
    free = [discount_text(each, currency) for each in line.discounts if not each.amount]
    parts = (line.note, nested_choices(line), *free)
    return "\n".join(part for part in parts if part)


def _terms(order: Order, line: Line, menu: Menu | None) -> TaxTerms:
    """Return how a line's price is related to that of its item in Square, as to tax."""
    sold = menu.by_variation.get(line.item_id) if menu else None
    taxes = menu.taxes_on(sold.item) if menu and sold else ()
    return tax_terms(taxes, with_tax=order.prices_include_tax)


def _modifier(flat: FlatModifier, currency: str, kept: TaxTerms | None) -> Body:
    """Return a modifier, with the price that was paid if it is kept."""
    body: Body = {
        "catalog_object_id": flat.modifier.modifier_id,
        "quantity": str(flat.quantity),
    }
    if kept:
        # unconfirmed: that Square takes a negative price here. A cheaper option in a sandbox's
        # order would show it.
        body["base_price_money"] = _money(kept.on_menu(flat.modifier.unit_price), currency)
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


class _NoteTexts(NamedTuple):
    """The texts of an order that have no field of their own.

    They are the customer's, and others.
    """

    own: tuple[NoteText, ...]
    others: tuple[NoteText, ...]


def _goes_as_delivery(order: Order, attempt: Attempt, settings: SquareSettings) -> bool:
    """Return whether the order goes as a real delivery.

    A delivery needs a phone number. If Square refuses all that it was sent, the order goes as a
    pickup.
    """
    is_delivery = isinstance(order.fulfilment, Delivery) and not settings.delivery_as_pickup
    return is_delivery and not attempt.withheld & {"customer", "customer.phone"}


def _note_texts(
    order: Order,
    attempt: Attempt,
    unsent: Sequence[NoteText],
    payments: _PaymentNote,
    *,
    is_delivery: bool,
) -> _NoteTexts:
    """Return what goes into the notes.

    Square has no dine-in, and may not show deliveries (see `SquareSettings.delivery_as_pickup`), so
    the address or the table of what goes as a pickup is among it.
    """
    own = [NoteText("note", order.note)]
    others: list[NoteText] = []
    where = destination(order.fulfilment)
    match order.fulfilment:
        case Delivery(instructions=instructions) if is_delivery:
            _, rest = divided(instructions, limits.DROPOFF_NOTE.characters)
            own.append(NoteText("fulfilment.instructions", rest))
        case Delivery(instructions=instructions):
            own.append(NoteText("fulfilment.instructions", instructions))
            others.append(NoteText("fulfilment.address", where))
        case DineIn():
            others.append(NoteText("fulfilment.table", where))
        case Pickup(curbside=Curbside(details=car)) if len(car) > limits.CURBSIDE.characters:
            own.append(NoteText("fulfilment.curbside", where))
        case _:
            pass
    others += unsent
    # What costs nothing has no field that Square shows, and a charge's discounts have none.
    currency = order.currency
    others += [
        NoteText("charges", charge_text(charge, currency))
        for charge in order.charges
        if charge.discounts or not charge.amount
    ]
    others += [
        NoteText("discounts", discount_text(each, currency))
        for each in order.discounts
        if not each.amount
    ]
    others.append(NoteText("payments", payments.beyond))
    others += [NoteText("remarks", remark) for remark in attempt.remarks]
    return _NoteTexts(tuple(own), tuple(others))


def _pickup(order: Order, recipient: Body, note: str, settings: SquareSettings) -> Body:
    schedule = _schedule(order.due_at, "pickup_at", settings.prep_minutes)
    details: Body = {"recipient": recipient, **schedule, **_curbside(order.fulfilment)}
    if note:
        details["note"] = note
    return {"type": "PICKUP", "state": "PROPOSED", "pickup_details": details}


def _curbside(fulfilment: Fulfilment) -> Body:
    """Return the fields of a curbside pickup, none for any other way.

    Where the details are longer than the field, the note has all of them.
    """
    match fulfilment:
        case Pickup(curbside=Curbside(details=details)):
            body: Body = {"is_curbside_pickup": True}
            if details:
                beginning = Trimming().cut(limits.CURBSIDE, details)
                body["curbside_pickup_details"] = {"curbside_details": beginning}
            return body
        case _:
            return {}


def _delivery(delivery: Delivery, recipient: Body, note: str, settings: SquareSettings) -> Body:
    recipient = {**recipient, "address": _address(delivery.address)}
    prep_minutes = settings.prep_minutes or _DELIVERY_PREP_MINUTES
    schedule = _schedule(delivery.due_at, "deliver_at", prep_minutes)
    details: Body = {"recipient": recipient, **schedule}
    if note:
        details["note"] = note
    if delivery.instructions:
        beginning, _ = divided(delivery.instructions, limits.DROPOFF_NOTE.characters)
        details["dropoff_notes"] = beginning
    return {"type": "DELIVERY", "state": "PROPOSED", "delivery_details": details}


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


_EXTENSION = re.compile(r"[a-z#;,/].*", re.IGNORECASE | re.DOTALL)
_TRUNK_ZERO = re.compile(r"\(0\)")
_NO_NUMBER = "000000000"
"""The shortest number of the form that Square takes.

It stands for a number that it doesn't.
"""


def _recipient(
    order: Order, trimming: Trimming, *, needs_phone: bool
) -> tuple[Body, list[NoteText]]:
    """Return who gets the order, and what must go into the note.

    That is what Square doesn't take whole. Square requires a display name; without a customer it is
    the order's code.
    """
    customer = order.customer or Customer(name=order.code)
    name = trimming.cut(limits.DISPLAY_NAME, customer.name)
    recipient: Body = {"display_name": name}
    unsent: list[NoteText] = []
    if name != customer.name:
        unsent.append(NoteText("customer.name", f"Name: {customer.name}"))
    if _fits(customer.phone, _PHONE, limits.PHONE):
        recipient["phone_number"] = customer.phone
    elif needs_phone:
        recipient["phone_number"] = _number_in_form(customer.phone)
        given = f"Phone: {customer.phone}" if customer.phone else "No phone number was given"
        unsent.append(NoteText("customer.phone", given))
        trimming.notices.append(
            "Square needs a phone number of its own form on a delivery, so it has a substitute; "
            "the note says what the customer gave"
        )
    elif customer.phone:
        unsent.append(NoteText("customer.phone", f"Phone: {customer.phone}"))
        trimming.notices.append(
            "The customer's phone number is in the note, since Square doesn't take one of that form"
        )
    if _fits(customer.email, _EMAIL, limits.EMAIL):
        recipient["email_address"] = customer.email
    elif customer.email:
        unsent.append(NoteText("customer.email", f"Email: {customer.email}"))
        trimming.notices.append(
            "The customer's email address is in the note, since Square doesn't take one of that "
            "form"
        )
    return recipient, unsent


def _number_in_form(phone: str) -> str:
    """Return the number in the form that Square takes, without an extension.

    One that has too few digits gets zeros before it. One that has too many isn't cut, since that
    would be somebody else's number.
    """
    number = _EXTENSION.sub("", phone.strip())
    plus = "+" if number.startswith("+") else ""
    if plus:
        number = _TRUNK_ZERO.sub("", number)
    digits = re.sub("[^0-9]", "", number)
    if len(digits) < len(_NO_NUMBER):
        return digits.zfill(len(_NO_NUMBER))
    substitute = plus + digits
    return substitute if _fits(substitute, _PHONE, limits.PHONE) else _NO_NUMBER


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
