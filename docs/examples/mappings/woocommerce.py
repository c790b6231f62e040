"""An order of WooCommerce's REST API (`GET /wp-json/wc/v3/orders/ID`) as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from amounts import minor, read_json, rounding, unit_price

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
from tillpost.adapter import nearest_minor

Json: TypeAlias = Mapping[str, Any]

PICKUP_METHODS = {"local_pickup", "pickup_location"}
TIP_FEES = {"Tip"}  # what your tip plugin calls its fee


def order_of(site: Json) -> Order:
    """Return a WooCommerce order as ours.

    Raises:
        ValueError: It says something that an order of ours can't.
    """
    if site["refunds"]:
        raise ValueError("refunds: part of the order was refunded")
    currency: str = site["currency"]
    total = minor(site["total"], currency)
    tip, charges, discounts = _fees(site)
    charges += [
        _charge(site, each, "delivery", each["method_title"]) for each in site["shipping_lines"]
    ]
    lines = [_line(site, each) for each in site["line_items"]]
    discounts += [
        Discount(name=each["code"], amount=_amount(site, each["discount"], each["discount_tax"]))
        for each in site["coupon_lines"]
    ]
    taxes = list(_taxes(site))
    tax = 0 if site["prices_include_tax"] else sum(each.amount for each in taxes)
    parts = sum(line.total for line in lines) + sum(charge.amount for charge in charges)
    difference = total - (parts - sum(each.amount for each in discounts) + tip + tax)
    # Each amount is the sum of two that were rounded, and a line is divided by its quantity.
    steps = sum(1 + line.quantity // 2 for line in lines) + len(charges) + len(discounts)
    charges += rounding(difference, steps)
    is_paid = site["date_paid_gmt"] is not None
    payment = Payment(
        method=site["payment_method_title"],
        amount=total,
        reference=site["transaction_id"],
    )
    return Order(
        id=f"woo-{site['id']}",
        code=site["number"],
        placed_at=datetime.fromisoformat(site["date_created_gmt"]).replace(tzinfo=UTC),
        currency=currency,
        prices_include_tax=site["prices_include_tax"],
        customer=_customer(site["billing"]),
        fulfilment=_fulfilment(site),
        lines=lines,
        charges=[charge for charge in charges if charge.amount],
        discounts=discounts,
        tip=tip,
        tax=tax,
        taxes=taxes,
        payments=[payment] if is_paid else [],
        amount_due=0 if is_paid else total,
        note=site["customer_note"],
        metadata={"order_key": site["order_key"]},
    )


def _amount(site: Json, net: str, tax: str) -> int:
    """Return an amount as the shop's prices are, to the nearest minor unit.

    WooCommerce always writes it without tax, and the tax beside it.
    """
    amount = Decimal(net)
    if site["prices_include_tax"]:
        amount += Decimal(tax)
    return nearest_minor(amount, site["currency"])


def _line(site: Json, item: Json) -> Line:
    before_coupons = _amount(site, item["subtotal"], item["subtotal_tax"])
    return Line(
        # The shop's own id, with a prefix: no POS has it, so the SKU finds the product.
        item_id=f"woo-{item['variation_id'] or item['product_id']}",
        sku=item["sku"],
        name=item["name"],
        quantity=item["quantity"],
        unit_price=unit_price(before_coupons, item["quantity"]),
        note="; ".join(_choices(item["meta_data"])),
    )


def _choices(meta_data: Sequence[Json]) -> Iterator[str]:
    """Yield what add-on plugins wrote on a line. Their own keys begin with an underscore."""
    for each in meta_data:
        if not each["key"].startswith("_"):
            yield f"{each['key']}: {each['value']}"


def _fees(site: Json) -> tuple[int, list[Charge], list[Discount]]:
    """Return the fees as a tip, as charges, and, where they are negative, as discounts."""
    tip = 0
    charges: list[Charge] = []
    discounts: list[Discount] = []
    for fee in site["fee_lines"]:
        amount = _amount(site, fee["total"], fee["total_tax"])
        if fee["name"] in TIP_FEES:
            tip += amount
        elif amount < 0:
            discounts.append(Discount(name=fee["name"], amount=-amount))
        else:
            charges.append(_charge(site, fee, "surcharge", fee["name"]))
    return tip, charges, discounts


def _charge(site: Json, line: Json, kind: Any, name: str) -> Charge:
    amount = _amount(site, line["total"], line["total_tax"])
    return Charge(kind=kind, name=name, amount=amount, taxed=Decimal(line["total_tax"]) != 0)


def _taxes(site: Json) -> Iterator[OrderTax]:
    for each in site["tax_lines"]:
        amount = Decimal(each["tax_total"]) + Decimal(each["shipping_tax_total"])
        yield OrderTax(name=each["label"], amount=nearest_minor(amount, site["currency"]))


def _customer(billing: Json) -> Customer | None:
    name = f"{billing['first_name']} {billing['last_name']}".strip()
    if not name:
        return None
    return Customer(name=name, phone=billing["phone"], email=billing["email"])


def _fulfilment(site: Json) -> Pickup | Delivery:
    methods = {each["method_id"] for each in site["shipping_lines"]}
    if not methods or methods & PICKUP_METHODS:
        return Pickup()
    to = site["shipping"]
    address = Address(
        line1=to["address_1"],
        line2=to["address_2"],
        city=to["city"],
        region=to["state"],
        postcode=to["postcode"],
        country=to["country"] or None,
    )
    return Delivery(address=address)


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
