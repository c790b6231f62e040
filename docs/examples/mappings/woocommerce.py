"""An order of WooCommerce's REST API (`GET /wp-json/wc/v3/orders/ID`) as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC
from html import unescape
from typing import Any, TypeAlias, cast

from amounts import check_total, due, rounding, unit_price
from site_json import Part, customer, naming, read_json

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

STATUSES = {"processing"}
PICKUP_METHODS = {"local_pickup", "pickup_location"}
TIP_FEES = {"Tip"}  # what your tip plugin calls its fee

# What each `payment_method` does. An order that WooCommerce marks as paid may still be paid in
# cash: some plugins for that have it marked when it is placed.
PAID_ONLINE = {"stripe", "woocommerce_payments", "ppcp-gateway", "square_credit_card"}
PAID_AT_STORE = {"cod"}


def order_of(content: Json) -> Order:
    """Return a WooCommerce order as ours.

    Raises:
        ValueError: It says something that an order of ours can't. The site's field is named.
    """
    with naming("the order"):
        return _order(Part(content))


def _order(site: Part) -> Order:
    if site.text("status") not in STATUSES:
        raise site.fault("status", f"{site.text('status')!r} isn't an order to prepare")
    if site.parts("refunds"):
        raise site.fault("refunds", "part of the order was refunded")
    currency = site.text("currency")
    total = site.amount("total", currency)
    tip, charges, discounts = _fees(site)
    charges += [
        _charge(site, each, "delivery", "method_title") for each in site.parts("shipping_lines")
    ]
    lines = [_line(site, each) for each in site.parts("line_items")]
    discounts += [_coupon(site, each) for each in site.parts("coupon_lines")]
    taxes = list(_taxes(site))
    with_tax = site.flag("prices_include_tax")
    tax = 0 if with_tax else sum(each.amount for each in taxes)
    parts = sum(line.total for line in lines) + sum(charge.amount for charge in charges)
    difference = total - (parts - sum(each.amount for each in discounts) + tip + tax)
    # Each amount is the sum of two that were rounded, and a line is divided by its quantity.
    steps = sum(1 + line.quantity // 2 for line in lines) + len(charges) + len(discounts)
    check_total("total", difference, steps, currency)
    charges += rounding(difference)
    payments = list(_payments(site, total))
    return Order(
        id=f"woo-{site.text('id')}",
        code=site.text("number"),
        placed_at=site.time("date_created_gmt").replace(tzinfo=UTC),
        currency=currency,
        prices_include_tax=with_tax,
        customer=_customer(site),
        fulfilment=_fulfilment(site),
        lines=lines,
        charges=[charge for charge in charges if charge.amount],
        discounts=discounts,
        tip=tip,
        tax=tax,
        taxes=taxes,
        payments=payments,
        amount_due=due("total", total, payments, currency),
        note=site.text("customer_note"),
        metadata={"order_key": site.text("order_key")},
    )


def _amount(site: Part, part: Part, net: str, tax: str) -> int:
    """Return an amount as the shop's prices are, to the nearest minor unit.

    WooCommerce always writes it without tax, and the tax beside it.
    """
    amount = part.decimal(net)
    if site.flag("prices_include_tax"):
        amount += part.decimal(tax)
    return nearest_minor(amount, site.text("currency"))


def _payments(site: Part, total: int) -> Iterator[Payment]:
    """Yield the payment, if the site has the money."""
    method = site.text("payment_method")
    is_marked_as_paid = site.is_set("date_paid_gmt")
    if not is_marked_as_paid or total == 0 or method in PAID_AT_STORE:
        return
    if method not in PAID_ONLINE:
        raise site.fault(
            "payment_method", f"{method!r} is neither in PAID_ONLINE nor in PAID_AT_STORE"
        )
    yield Payment(
        method=site.text("payment_method_title") or method,
        amount=total,
        reference=site.text("transaction_id"),
    )


def _line(site: Part, item: Part) -> Line:
    quantity = item.pieces("quantity")
    before_coupons = _amount(site, item, "subtotal", "subtotal_tax")
    with naming(item.path):
        return Line(
            # The shop's own id, with a prefix: no POS has it, so the SKU finds the product.
            item_id=f"woo-{item.value('variation_id') or item.value('product_id')}",
            sku=item.text("sku"),
            name=item.text("name"),
            quantity=quantity,
            unit_price=unit_price(before_coupons, quantity),
            note="; ".join(_choices(item)),
        )


def _choices(item: Part) -> Iterator[str]:
    """Yield what add-on plugins wrote on a line. Their own keys begin with an underscore.

    `key` and `value` are the plugin's codes, such as `pa_milk` and `oat`. What the customer read is
    beside them.
    """
    for each in item.parts("meta_data"):
        if each.text("key").startswith("_"):
            continue
        name = each.text("display_key") or each.text("key")
        shown = "display_value" if "display_value" in each else "value"
        values = each.value(shown)
        if isinstance(values, list):
            members = cast("list[object]", values)
            texts = [member for member in members if isinstance(member, str)]
            if len(texts) < len(members):
                raise each.fault(shown, "isn't a list of texts")
            text = ", ".join(texts)
        else:
            text = each.text(shown)
        yield unescape(f"{name}: {text}")


def _fees(site: Part) -> tuple[int, list[Charge], list[Discount]]:
    """Return the fees as a tip, as charges, and, where they are negative, as discounts."""
    tip = 0
    charges: list[Charge] = []
    discounts: list[Discount] = []
    for fee in site.parts("fee_lines"):
        amount = _amount(site, fee, "total", "total_tax")
        if fee.text("name") in TIP_FEES:
            tip += amount
        elif amount < 0:
            with naming(fee.path):
                discounts.append(Discount(name=fee.text("name"), amount=-amount))
        else:
            charges.append(_charge(site, fee, "surcharge", "name"))
    return tip, charges, discounts


def _charge(site: Part, line: Part, kind: Any, name: str) -> Charge:
    amount = _amount(site, line, "total", "total_tax")
    taxed = line.decimal("total_tax") != 0
    with naming(line.path):
        return Charge(kind=kind, name=line.text(name), amount=amount, taxed=taxed)


def _coupon(site: Part, coupon: Part) -> Discount:
    amount = _amount(site, coupon, "discount", "discount_tax")
    with naming(coupon.path):
        return Discount(name=coupon.text("code"), amount=amount)


def _taxes(site: Part) -> Iterator[OrderTax]:
    for each in site.parts("tax_lines"):
        amount = each.decimal("tax_total") + each.decimal("shipping_tax_total")
        with naming(each.path):
            yield OrderTax(
                name=each.text("label"), amount=nearest_minor(amount, site.text("currency"))
            )


def _customer(site: Part) -> Customer | None:
    billing = site.part("billing")
    if billing is None:
        return None
    name = f"{billing.text('first_name')} {billing.text('last_name')}".strip()
    return customer(name, billing.text("phone"), billing.text("email"), site.text("number"))


def _fulfilment(site: Part) -> Pickup | Delivery:
    methods = {each.text("method_id") for each in site.parts("shipping_lines")}
    if not methods or methods & PICKUP_METHODS:
        return Pickup()
    to = site.part("shipping")
    if to is None or not to.text("address_1"):
        raise site.fault("shipping.address_1", "a delivery needs an address")
    with naming(to.path):
        address = Address(
            line1=to.text("address_1"),
            line2=to.text("address_2"),
            city=to.text("city"),
            region=to.text("state"),
            postcode=to.text("postcode"),
            country=to.text("country") or None,
        )
    return Delivery(address=address)


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
