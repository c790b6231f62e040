"""An order of Shopify's REST Admin API, with its transactions, as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from amounts import minor, read_json, rounding

from tillpost import (
    Address,
    Charge,
    Customer,
    Delivery,
    Discount,
    Line,
    Order,
    OrderTax,
    Payment,
    Pickup,
)

Json: TypeAlias = Mapping[str, Any]


def order_of(site: Json, transactions: Sequence[Json]) -> Order:
    """Return a Shopify order as ours.

    Args:
        site: The order, as `GET /orders/ID.json` has it below `order`.
        transactions: What was paid: `GET /orders/ID/transactions.json`.

    Raises:
        ValueError: It says something that an order of ours can't.
    """
    if site["refunds"]:
        raise ValueError("refunds: part of the order was refunded")
    for index, item in enumerate(site["line_items"]):
        if item["current_quantity"] != item["quantity"]:
            raise ValueError(f"line_items[{index}].current_quantity: the order was edited")
    currency: str = site["currency"]
    total = minor(site["total_price"], currency)
    # A tip is a line item, too. No other line has this key, whatever its value.
    items = [each for each in site["line_items"] if "tip_payment_gateway" not in each]
    lines = [_line(site, each) for each in items]
    charges = [_charge(site, each) for each in site["shipping_lines"]]
    tip = minor(site["total_tip_received"], currency)
    tax = 0 if site["taxes_included"] else minor(site["total_tax"], currency)
    parts = sum(line.discounted for line in lines) + sum(each.total for each in charges)
    charges += rounding(total - (parts + tip + tax), steps=len(lines) + len(charges))
    payments = list(_payments(transactions, currency))
    return Order(
        id=f"shopify-{site['id']}",
        code=site["name"],
        placed_at=datetime.fromisoformat(site["created_at"]),
        currency=currency,
        prices_include_tax=site["taxes_included"],
        customer=_customer(site),
        fulfilment=_fulfilment(site["shipping_address"]),
        lines=lines,
        charges=[charge for charge in charges if charge.amount],
        tip=tip,
        tax=tax,
        taxes=[_tax(each, currency) for each in site["tax_lines"]],
        payments=payments,
        amount_due=total - sum(payment.amount for payment in payments),
        note="; ".join(_notes(site)),
    )


def _line(site: Json, item: Json) -> Line:
    # The shop's own id, with a prefix: no POS has it, so the SKU finds the product. A custom item
    # has none, and is an open item.
    variant_id: int | None = item["variant_id"]
    return Line(
        item_id=f"shopify-{variant_id}" if variant_id else "",
        sku=item["sku"] or "",
        name=item["name"],
        quantity=item["quantity"],
        unit_price=minor(item["price"], site["currency"]),
        note="; ".join(_written(item["properties"])),
        discounts=_discounts(site, item),
    )


def _charge(site: Json, line: Json) -> Charge:
    return Charge(
        kind="delivery",
        name=line["title"],
        amount=minor(line["price"], site["currency"]),
        taxed=any(minor(each["price"], site["currency"]) for each in line["tax_lines"]),
        discounts=_discounts(site, line),
    )


def _discounts(site: Json, line: Json) -> list[Discount]:
    """Return a line's share of each discount: a coupon on the whole order is spread, too."""
    discounts: list[Discount] = []
    for share in line["discount_allocations"]:
        application = site["discount_applications"][share["discount_application_index"]]
        name = application.get("code") or application.get("title") or "Discount"
        discounts.append(Discount(name=name, amount=minor(share["amount"], site["currency"])))
    return discounts


def _tax(tax: Json, currency: str) -> OrderTax:
    return OrderTax(name=tax["title"], rate=tax["rate"], amount=minor(tax["price"], currency))


def _payments(transactions: Sequence[Json], currency: str) -> Iterator[Payment]:
    """Yield what was captured. An authorisation is a promise only."""
    for each in transactions:
        if each["kind"] in ("sale", "capture") and each["status"] == "success":
            yield Payment(
                method=each["gateway"].replace("_", " "),
                amount=minor(each["amount"], currency),
                reference=each["authorization"] or str(each["id"]),
            )


def _customer(site: Json) -> Customer | None:
    customer = site["customer"]
    if customer is None:
        return None
    name = f"{customer['first_name'] or ''} {customer['last_name'] or ''}".strip()
    return Customer(name=name or site["name"], phone=site["phone"] or "", email=site["email"] or "")


def _fulfilment(address: Json | None) -> Pickup | Delivery:
    """Return how the order goes out. One to be collected has no address."""
    if address is None:
        return Pickup()
    return Delivery(
        address=Address(
            line1=address["address1"] or "",
            line2=address["address2"] or "",
            city=address["city"] or "",
            region=address["province_code"] or "",
            postcode=address["zip"] or "",
            country=address["country_code"],
        )
    )


def _notes(site: Json) -> Iterator[str]:
    if site["note"]:
        yield site["note"]
    yield from _written(site["note_attributes"])


def _written(properties: Sequence[Json]) -> Iterator[str]:
    """Yield what the customer chose in a theme's own fields. Hidden ones begin with `_`."""
    for each in properties:
        if not each["name"].startswith("_"):
            yield f"{each['name']}: {each['value']}"


if __name__ == "__main__":
    answers = read_json(sys.argv[1])
    print(order_of(answers["order"], answers["transactions"]).canonical_json())
