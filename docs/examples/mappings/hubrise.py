"""An order of HubRise's API (`GET /location/orders/ID`) as a Tillpost order.

For accounts whose prices include tax: HubRise has no amounts of tax.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from amounts import check_total, due, minor
from site_json import Part, customer, naming, read_json

from tillpost import (
    Address,
    Charge,
    Customer,
    Delivery,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    Payment,
    Pickup,
)

Json: TypeAlias = Mapping[str, Any]

STATUSES = {"new", "received", "accepted"}

# Refs are the account's own: fill in those of yours.
TIP_REFS = {"TIP"}
DELIVERY_REFS = {"DEL"}
PAID_REFS = {"CB", "GFT"}  # paid online
CASH_REFS = {"CSH"}  # paid when the customer gets the order, so not paid yet


def order_of(content: Json) -> Order:
    """Return a HubRise order as ours.

    Raises:
        ValueError: It says something that an order of ours can't. The site's field is named.
    """
    with naming("the order"):
        return _order(Part(content))


def _order(site: Part) -> Order:
    if site.text("status") not in STATUSES:
        raise site.fault("status", f"{site.text('status')!r} isn't an order to prepare")
    *_, currency = site.text("total").split(" ")
    total = _amount(site, "total", currency)
    lines = [_line(site, each, currency) for each in _kept(site, "items")]
    tips = [each for each in _kept(site, "charges") if each.text("ref") in TIP_REFS]
    tip = sum(_amount(each, "price", currency) for each in tips)
    fees = [each for each in _kept(site, "charges") if each.text("ref") not in TIP_REFS]
    charges = [_charge(each, currency) for each in fees]
    discounts = [_discount(each, currency) for each in _kept(site, "discounts")]
    parts = sum(line.total for line in lines) + sum(charge.amount for charge in charges)
    difference = total - (parts - sum(each.amount for each in discounts) + tip)
    check_total("total", difference, 0, currency)
    payments = list(_payments(site, currency))
    return Order(
        id=f"hubrise-{site.text('id')}",
        code=_code(site),
        placed_at=site.time("created_at"),
        currency=currency,
        customer=_customer(site),
        fulfilment=_fulfilment(site),
        lines=lines,
        charges=charges,
        discounts=discounts,
        tip=tip,
        payments=payments,
        amount_due=due("payments", total, payments, currency),
        note=site.text("customer_notes"),
        metadata={"seller_notes": site.text("seller_notes")},
    )


def _kept(site: Part, name: str) -> Sequence[Part]:
    """Return the parts that weren't deleted. HubRise keeps the others in its list."""
    return [part for part in site.parts(name) if not part.is_set("deleted")]


def _code(site: Part) -> str:
    return site.text("collection_code") or site.text("ref") or site.text("id")


def _amount(part: Part, name: str, currency: str) -> int:
    """Return minor units. HubRise writes the currency, too, and always two decimals.

    >>> _amount(Part({"price": "8.90 EUR"}), "price", "EUR")
    890
    >>> _amount(Part({"price": "1200.00 JPY"}), "price", "JPY")
    1200
    """
    amount, _, written = part.text(name).partition(" ")
    try:
        if written == currency:
            return minor(amount, currency)
    except ArithmeticError:
        pass
    raise part.fault(name, f"isn't an amount like 9.00 {currency}")


def _line(site: Part, item: Part, currency: str) -> Line:
    name = item.text("product_name")
    if item.text("sku_name"):
        name = f"{name}, {item.text('sku_name')}"
    options = item.parts("options")
    removed = [each for each in options if each.is_set("removed")]
    for each in removed:
        if each.is_set("price") and _amount(each, "price", currency):
            raise each.fault("price", "leaving something out has a price")
    with naming(item.path):
        return Line(
            # With a prefix: the ref may be a POS's id or its SKU, and the SKU is looked up.
            item_id=f"hubrise-{item.text('sku_ref') or name}",
            sku=item.text("sku_ref"),
            name=name,
            quantity=item.pieces("quantity"),
            unit_price=_amount(item, "price", currency),
            modifiers=[_modifier(each, currency) for each in options if each not in removed],
            note="; ".join(_line_notes(site, item, removed)),
        )


def _line_notes(site: Part, item: Part, removed: Sequence[Part]) -> Iterator[str]:
    if item.text("customer_notes"):
        yield item.text("customer_notes")
    for option in removed:
        yield f"NO {option.text('name')}"
    deal_line = item.part("deal_line")
    deals = site.part("deals")
    if deal_line and deals:
        deal = deals.part(deal_line.text("deal_key"))
        if deal is None:
            raise deal_line.fault("deal_key", "isn't among the order's deals")
        yield f"Deal: {deal.text('name')}"


def _modifier(option: Part, currency: str) -> Modifier:
    with naming(option.path):
        return Modifier(
            modifier_id=f"hubrise-{option.text('ref') or option.text('name')}",
            sku=option.text("ref"),
            name=option.text("name"),
            quantity=option.pieces("quantity"),
            unit_price=_amount(option, "price", currency) if option.is_set("price") else 0,
        )


def _charge(charge: Part, currency: str) -> Charge:
    with naming(charge.path):
        return Charge(
            kind="delivery" if charge.text("ref") in DELIVERY_REFS else "surcharge",
            name=charge.text("name"),
            amount=_amount(charge, "price", currency),
            taxed=charge.is_set("tax_rate") and charge.decimal("tax_rate") > 0,
        )


def _discount(discount: Part, currency: str) -> Discount:
    with naming(discount.path):
        return Discount(name=discount.text("name"), amount=_amount(discount, "price_off", currency))


def _payments(site: Part, currency: str) -> Iterator[Payment]:
    """Yield what was paid online. A payment that no list has may be cash."""
    for each in _kept(site, "payments"):
        ref = each.text("ref")
        if ref in CASH_REFS:
            continue
        if ref not in PAID_REFS:
            raise each.fault(
                "ref", f"{ref!r} ({each.text('name')}) is neither in PAID_REFS nor in CASH_REFS"
            )
        with naming(each.path):
            yield Payment(
                method=each.text("name") or ref,
                amount=_amount(each, "amount", currency),
                reference=each.text("id"),
            )


def _customer(site: Part) -> Customer | None:
    who = site.part("customer")
    if who is None:
        return None
    name = f"{who.text('first_name')} {who.text('last_name')}".strip()
    return customer(name, who.text("phone"), who.text("email"), _code(site))


def _fulfilment(site: Part) -> Pickup | Delivery | DineIn:
    due_at = site.time("expected_time") if site.text("expected_time") else None
    service = site.text("service_type")
    if service == "collection":
        return Pickup(due_at=due_at)
    if service == "eat_in":
        if not site.text("service_type_ref"):
            raise site.fault("service_type_ref", "an order to eat in needs a table")
        return DineIn(due_at=due_at, table=site.text("service_type_ref"))
    if service != "delivery":
        raise site.fault("service_type", f"{service!r} is unknown")
    to = site.part("customer")
    if to is None or not to.text("address_1"):
        raise site.fault("customer.address_1", "a delivery needs an address")
    with naming(to.path):
        address = Address(
            line1=to.text("address_1"),
            line2=to.text("address_2"),
            city=to.text("city"),
            region=to.text("state"),
            postcode=to.text("postal_code"),
            country=to.text("country") or None,
        )
    return Delivery(due_at=due_at, address=address, instructions=to.text("delivery_notes"))


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
