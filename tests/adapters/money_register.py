"""Whether a register shows all of an order, at what was paid.

Every word of the order's texts occurs once in the order (see `money_orders`), so that a text that
is lost isn't covered by another. What is compared is what the person at the till reads: the
register's view, and the ledger.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import httpx

from adapters.money_orders import SECRET
from adapters.money_shops import TIP, MoneyShop
from tillpost import PosOrder
from tillpost.models.docket import nested_choices
from tillpost.models.menu import display_name
from tillpost.models.money import format_money, to_major
from tillpost.models.order import (
    Charge,
    Delivery,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Pickup,
)
from tillpost.models.safe_text import one_line
from tillpost.models.tax_rounding import tax_difference
from tillpost.models.tax_terms import total_rate
from tillpost.simulator import LedgerEntry, LedgerLine
from tillpost_simulators.kounta.order_pricing import priced

ROUNDING = "Rounding"
_PUNCTUATION = re.compile("[,()]")


class Row(NamedTuple):
    """A row of the view with an amount in minor units, and the rows that belong to it."""

    text: str
    amount: int
    below: Sequence[tuple[str, int | None]]


def assert_whole(shop: MoneyShop, order: Order, made: PosOrder) -> None:
    """Check that the register shows all of an order, at what was paid."""
    simulator = shop.shop.simulator
    (entry,) = simulator.ledger().for_reference(order.id)
    assert entry.shown
    assert made.total == entry.total == order.total
    assert entry.paid == order.paid
    assert entry.currency == order.currency
    assert not any(map(_has_metadata, shop.shop.requests))
    view = simulator.register_view(order.id)
    _assert_adds_up(view, order)
    _assert_texts(view, entry, order)
    _assert_fulfilment(view, entry, order)
    _assert_lines(shop, entry, order, made)
    _assert_tax(shop, entry, order, made)
    rows = list(_rows(view, order.currency))
    _assert_line_amounts(shop, rows, order, made)
    _assert_charges(shop, rows, order, made)
    _assert_discounts(shop, rows, view, order)
    _assert_tip(shop, entry, order)
    if shop.platform != "generic":
        _assert_name_notices(shop, order, made)
    if shop.platform == "square":
        _assert_notices(view, entry, order, made)


def _has_metadata(request: httpx.Request) -> bool:
    headers = str(request.headers).encode()
    return any(SECRET.encode() in part for part in (request.content, request.url.raw_path, headers))


# ---------------------------------------------------------------- the tax


def _assert_tax(shop: MoneyShop, entry: LedgerEntry, order: Order, made: PosOrder) -> None:
    """Check that the register's tax is the order's, or that a notice says both amounts.

    Where the order doesn't say its tax, a notice names what is taxed otherwise than it was charged.
    """
    tax = sum(each.amount for each in entry.taxes)
    if shop.platform == "kounta":
        world = shop.shop.simulator.world
        found = next(each for each in world.orders.values() if str(each.id) == entry.order_id)
        tax = int(priced(world, found).total_tax / to_major(1, order.currency))
    told = [notice for notice in made.notices if notice.startswith("The register has")]
    difference = tax_difference(order, tax)
    assert told == ([difference] if difference else []), (tax, order.tax, order.taxes)
    if shop.platform != "kounta":
        return
    for charge in order.charges:
        is_taxed = bool(shop.taxes_of(_product_of(charge)))
        named = f"{charge.name} has tax at the register" in "".join(made.notices)
        assert named == bool(charge.amount and charge.total and is_taxed and not charge.taxed)


# ---------------------------------------------------------------- sums


def _assert_adds_up(view: str, order: Order) -> None:
    """Check that the amounts of a view add up to its total, and what is due."""
    _, _, body = view.partition("\n--")
    above, _, below = body.partition(f"\nTotal {order.currency}")
    amounts = map(Decimal, re.findall(r" {2,}(-?[0-9.]+)$", above, re.MULTILINE))
    total, *paid, due = map(Decimal, re.findall(r" {2,}(-?[0-9.]+)$", below, re.MULTILINE))
    assert sum(amounts) == total == to_major(order.total, order.currency), view
    assert total - sum(paid) == due == to_major(order.amount_due, order.currency), view


def _rows(view: str, currency: str) -> Iterator[Row]:
    """Yield the rows of a view that aren't indented and have an amount."""
    minor_units = 1 / to_major(1, currency)
    current: tuple[str, int] | None = None
    below: list[tuple[str, int | None]] = []
    for line in view.splitlines():
        found = re.fullmatch(r"(.*?) {2,}(-?[0-9.]+)", line)
        text = one_line(found[1] if found else line)
        amount = int(Decimal(found[2]) * minor_units) if found else None
        if line.startswith(" "):
            below.append((text, amount))
            continue
        if current:
            yield Row(*current, tuple(below))
        current = (text, amount) if amount is not None else None
        below = []
    if current:
        yield Row(*current, tuple(below))


# ---------------------------------------------------------------- texts


def _assert_texts(view: str, entry: LedgerEntry, order: Order) -> None:
    for text in _texts(order):
        assert_shown(text, view)
        assert_shown(text, _ledger_text(entry))
    for line in order.lines:
        # Registers write the name of a variation in different ways.
        assert_shown(_PUNCTUATION.sub(" ", line.name), _PUNCTUATION.sub(" ", view))


def _texts(order: Order) -> Iterator[str]:
    """Yield every name and note of an order that staff must see."""
    yield order.note
    yield order.code
    if order.customer:
        yield order.customer.name
    for line in order.lines:
        yield line.note
        yield from (flat.modifier.name for flat in line.flat_modifiers())
        yield from (discount.name for discount in line.discounts)
        if line.is_open:
            yield line.name
    for charge in order.charges:
        yield charge.name
        yield from (discount.name for discount in charge.discounts)
    yield from (discount.name for discount in order.discounts)


def assert_shown(text: str, shown: str) -> None:
    """Check that staff see every word of a text: a note may go on in another place."""
    missing = set(one_line(text).split()) - set(one_line(shown).split())
    assert not missing, (text, shown)


def _ledger_text(entry: LedgerEntry) -> str:
    """Return all that the ledger shows of an order."""
    texts = [entry.ticket_name, entry.note]
    texts += [each.name for each in (*entry.charges, *entry.discounts)]
    for line in entry.lines:
        texts += [line.name, line.note, *(modifier.name for modifier in line.modifiers)]
    return "\n".join(texts)


def _assert_fulfilment(view: str, entry: LedgerEntry, order: Order) -> None:
    if order.customer:
        assert_shown(order.customer.phone, view)
        assert_shown(order.customer.email, view)
    for payment in order.payments:
        assert payment.method in view
        assert payment.reference in view
        assert str(to_major(payment.amount, order.currency)) in view
    due = order.due_at.replace(microsecond=0) if order.due_at else None
    shown = datetime.fromisoformat(entry.due_at).replace(microsecond=0) if entry.due_at else None
    if due or not re.search("as soon as possible", view):
        assert shown == due
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            assert_shown(str(address).replace(",", ""), view.replace(",", ""))
            assert_shown(instructions, view)
            assert re.search("deliver", view, re.IGNORECASE)
        case DineIn(table=table, guests=guests):
            assert re.search(rf"table:? {table}\b", view, re.IGNORECASE)
            guests_at = rf"guests:? {guests}\b|\b{guests} guests"
            assert not guests or re.search(guests_at, view, re.IGNORECASE), view
        case Pickup(curbside=curbside) if curbside:
            assert_shown(curbside.details, view)
            assert re.search("curbside", view, re.IGNORECASE)
        case _:
            pass


# ---------------------------------------------------------------- lines


def _assert_lines(shop: MoneyShop, entry: LedgerEntry, order: Order, made: PosOrder) -> None:
    """Check the lines, in their sequence; what is beyond them is named in a notice."""
    beyond = [line for line in entry.lines if line.note == ROUNDING]
    names = [each.name for each in (*entry.charges, *entry.discounts)]
    adjusted = len(beyond) + names.count(ROUNDING)
    noted = [notice for notice in made.notices if "ounding" in notice and "went as" not in notice]
    assert bool(adjusted) == bool(noted), made.notices
    others = 0
    if shop.platform == "kounta":
        others = sum(1 for charge in order.charges if charge.amount) + bool(order.tip)
    assert len(entry.lines) == len(order.lines) + others + len(beyond)
    for seen, line in zip(entry.lines, order.lines, strict=False):
        assert seen.quantity == line.quantity
        assert seen.item_id == line.item_id or line.is_open
        _assert_modifiers(shop, seen, line)
        assert_shown(" ".join(one_line(line.note).split()[:3]), seen.note)
        if line.is_open:
            assert_shown(line.name, f"{seen.name} {seen.note}")


def _assert_modifiers(shop: MoneyShop, seen: LedgerLine, line: Line) -> None:
    """Check the choices by their number, and what belongs to what."""
    counts = Counter[str]()
    for flat in line.flat_modifiers():
        counts[flat.modifier.modifier_id] += flat.quantity
    shown = Counter[str]()
    for modifier in seen.modifiers:
        shown[modifier.modifier_id] += int(modifier.quantity)
    assert shown == counts
    if shop.platform == "generic":
        nested = {" > ".join(map(_name, (*f.parents, f.modifier))) for f in line.flat_modifiers()}
        assert {modifier.name for modifier in seen.modifiers} == nested
    else:
        assert nested_choices(line) in one_line(seen.note) or "continued" in seen.note


def _name(modifier: Modifier) -> str:
    return modifier.name


def _assert_line_amounts(
    shop: MoneyShop, rows: Sequence[Row], order: Order, made: PosOrder
) -> None:
    """Check what each line comes to.

    Kounta's view has prices with tax, and there the order's discounts are in the lines' prices.
    """
    is_exact = shop.platform != "kounta"
    if not is_exact and (order.discounts or not order.prices_include_tax):
        return
    if _is_converted(shop, order):
        _assert_converted(shop, rows, order)
        return
    tolerance = 0 if is_exact else 1
    for row, line in zip(rows, order.lines, strict=False):
        amount = row.amount + sum(amount or 0 for _, amount in row.below)
        difference = abs(amount - line.discounted)
        assert difference <= tolerance, (row, line)
        assert not difference or any("minor unit" in notice for notice in made.notices)


def _is_converted(shop: MoneyShop, order: Order) -> bool:
    """Whether Square shows its own prices, with tax where the order's have none, or without."""
    return shop.platform == "square" and order.prices_include_tax != shop.model.included


def _assert_converted(shop: MoneyShop, rows: Sequence[Row], order: Order) -> None:
    """Check what each line comes to, with tax where the order has it without, or the other way.

    Each price of it was rounded by less than a minor unit. An open item's goes as it is; it is
    free, as is a line with a discount, or else the total would differ.
    """
    for row, line in zip(rows, order.lines, strict=False):
        if line.discount:
            continue
        rate = 1 + (Decimal(0) if line.is_open else total_rate(shop.taxes_of(line.item_id)))
        expected = line.total / rate if order.prices_include_tax else line.total * rate
        prices = line.quantity * (1 + sum(flat.quantity for flat in line.flat_modifiers()))
        assert abs(_sum(row) - expected) <= prices * rate + 1, (row, line)


# ---------------------------------------------------------------- charges, discounts, the tip


def _assert_charges(shop: MoneyShop, rows: Sequence[Row], order: Order, made: PosOrder) -> None:
    """Check what each charge comes to: at Kounta with its tax, or a minor unit away.

    At Square one is lowered for a rounding where the lines cost nothing, with a notice.
    """
    is_shifted = any("minor unit" in notice for notice in made.notices)
    for charge in order.charges:
        if not charge.total:
            continue
        least = charge.total - is_shifted
        most = charge.total + is_shifted
        if shop.platform == "square" and any("ounding" in notice for notice in made.notices):
            least -= 1 + 2 * (len(order.lines) + len(order.charges))
        if shop.platform == "kounta" and not order.prices_include_tax:
            taxes = shop.taxes_of(_product_of(charge))
            most += 1 + int(abs(charge.total) * sum(tax.rate for tax in taxes)) + len(order.lines)
        amounts = [_sum(row) for row in rows if _is_about(row, charge.name)]
        assert any(least <= amount <= most for amount in amounts), (charge, amounts, rows)


def _product_of(charge: Charge) -> str:
    return "9002" if charge.kind == "delivery" else "6103"


def _sum(row: Row) -> int:
    return row.amount + sum(amount or 0 for _, amount in row.below)


def _is_about(row: Row, name: str) -> bool:
    """Whether a row, or a note below it, has a name."""
    text = " ".join([row.text, *(text for text, amount in row.below if amount is None)])
    return set(one_line(name).split()) <= set(text.split())


def _assert_discounts(shop: MoneyShop, rows: Sequence[Row], view: str, order: Order) -> None:
    """Check that each discount is in a row of its own, or in a note, with its amount.

    At Square one that makes lines free is at what they cost there, with tax or without. Any other
    would make the total differ, if the order's prices aren't meant as the store's.
    """
    is_converted = _is_converted(shop, order)
    for discount in _discounts(order):
        in_rows = [
            amount
            for row in rows
            for text, amount in ((row.text, row.amount), *row.below)
            if amount is not None and text.split() == one_line(discount.name).split()
        ]
        written = f"{one_line(discount.name)} -{format_money(discount.amount, order.currency)}"
        is_noted = " ".join(written.split()) in " ".join(one_line(view).split())
        is_right = in_rows == [-discount.amount] or is_noted
        assert is_right or (is_converted and len(in_rows) == 1), (discount, in_rows, view)


def _discounts(order: Order) -> Iterator[Discount]:
    yield from (each for each in order.discounts if each.amount)
    parts: Sequence[Line | Charge] = (*order.lines, *order.charges)
    for part in parts:
        yield from (each for each in part.discounts if each.amount)


def _assert_tip(shop: MoneyShop, entry: LedgerEntry, order: Order) -> None:
    if shop.platform != "kounta":
        as_charges = [each.amount for each in entry.charges if each.name == "Tip"]
        assert entry.tip + sum(as_charges) == order.tip
        return
    tips = [line.unit_price for line in entry.lines if line.item_id == TIP]
    assert tips == ([order.tip] if order.tip else [])


# ---------------------------------------------------------------- notices


def _assert_name_notices(shop: MoneyShop, order: Order, made: PosOrder) -> None:
    """Check that each name that isn't the menu's has a notice."""
    menu = shop.menu
    notices = "\n".join(made.notices)
    for line in order.lines:
        if line.is_open:
            continue
        sold = menu.by_variation[line.item_id]
        options = menu.options(sold.item)
        pairs = [(line.name, display_name(*sold))]
        pairs += [
            (flat.modifier.name, options[flat.modifier.modifier_id].name)
            for flat in line.flat_modifiers()
        ]
        for name, on_menu in pairs:
            assert name == on_menu or f'"{one_line(name)}"' in notices, (name, notices)


def _assert_notices(view: str, entry: LedgerEntry, order: Order, made: PosOrder) -> None:
    """Check that whatever isn't in its own place at Square has a notice."""
    notices = "\n".join(made.notices)
    if order.customer:
        for label, value, what in (
            ("Phone", order.customer.phone, "phone number"),
            ("E-mail", order.customer.email, "email address"),
        ):
            in_place = f"\n{label}: {value}\n" in view
            assert in_place or not value or what in notices, (label, view, notices)
    if "…" in view:
        assert "was cut" in notices
    if "(continued elsewhere)" in view:
        assert "continues" in notices
    for charge in order.charges:
        if charge.amount < 0 and any(each.name == charge.name for each in entry.discounts):
            assert f"{charge.name} went as a discount" in notices
