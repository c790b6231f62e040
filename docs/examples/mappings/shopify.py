"""An order of Shopify's REST Admin API, with its transactions, as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from amounts import check_total, due, rounding
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

Json: TypeAlias = Mapping[str, Any]


def order_of(content: Json, transactions: Sequence[Json]) -> Order:
    """Return a Shopify order as ours.

    Args:
        content: The order, as `GET /orders/ID.json` has it below `order`.
        transactions: What was paid: `GET /orders/ID/transactions.json?in_shop_currency=true`.

    Raises:
        ValueError: It says something that an order of ours can't. The site's field is named.
    """
    paid = [Part(each, f"transactions[{index}]") for index, each in enumerate(transactions)]
    with naming("the order"):
        return _order(Part(content), paid)


def _order(site: Part, transactions: Sequence[Part]) -> Order:
    _refuse_what_is_not_to_prepare(site)
    currency = site.text("currency")
    total = site.amount("total_price", currency)
    # A tip is a line item, too. No other line has this key, whatever its value.
    items = [each for each in site.parts("line_items") if "tip_payment_gateway" not in each]
    lines = [_line(site, each) for each in items]
    charges = [_charge(site, each) for each in site.parts("shipping_lines")]
    tip = site.amount("total_tip_received", currency)
    with_tax = site.flag("taxes_included")
    tax = 0 if with_tax else site.amount("total_tax", currency)
    parts = sum(line.discounted for line in lines) + sum(each.total for each in charges)
    difference = total - (parts + tip + tax)
    check_total("total_price", difference, len(lines) + len(charges), currency)
    charges += rounding(difference)
    payments = list(_payments(transactions, currency))
    return Order(
        id=f"shopify-{site.text('id')}",
        code=site.text("name"),
        placed_at=site.time("created_at"),
        currency=currency,
        prices_include_tax=with_tax,
        customer=_customer(site),
        fulfilment=_fulfilment(site),
        lines=lines,
        charges=[charge for charge in charges if charge.amount],
        tip=tip,
        tax=tax,
        taxes=[_tax(each, currency) for each in site.parts("tax_lines")],
        payments=payments,
        amount_due=due("transactions", total, payments, currency),
        note="; ".join(_notes(site)),
    )


def _refuse_what_is_not_to_prepare(site: Part) -> None:
    if site.is_set("cancelled_at"):
        raise site.fault("cancelled_at", "the order is cancelled")
    if site.is_set("test"):
        raise site.fault("test", "the order is a test")
    if site.text("financial_status") in ("voided", "expired"):
        raise site.fault("financial_status", "the payment was given up")
    if site.parts("refunds"):
        raise site.fault("refunds", "part of the order was refunded")
    for item in site.parts("line_items"):
        if item.value("current_quantity") != item.value("quantity"):
            raise item.fault("current_quantity", "the order was edited")


def _line(site: Part, item: Part) -> Line:
    # The shop's own id, with a prefix: no POS has it, so the SKU finds the product. A custom item
    # has none, and is an open item.
    variant_id = item.text("variant_id")
    with naming(item.path):
        return Line(
            item_id=f"shopify-{variant_id}" if variant_id else "",
            sku=item.text("sku"),
            name=item.text("name"),
            quantity=item.pieces("quantity"),
            unit_price=item.amount("price", site.text("currency")),
            note="; ".join(_written(item.parts("properties"))),
            discounts=_discounts(site, item),
        )


def _charge(site: Part, line: Part) -> Charge:
    currency = site.text("currency")
    with naming(line.path):
        return Charge(
            kind="delivery",
            name=line.text("title"),
            amount=line.amount("price", currency),
            taxed=any(each.amount("price", currency) for each in line.parts("tax_lines")),
            discounts=_discounts(site, line),
        )


def _discounts(site: Part, line: Part) -> list[Discount]:
    """Return a line's share of each discount: a coupon on the whole order is spread, too."""
    names = [
        each.text("code") or each.text("title") or "Discount"
        for each in site.parts("discount_applications")
    ]
    discounts: list[Discount] = []
    for share in line.parts("discount_allocations"):
        index: int = share.value("discount_application_index")
        if index not in range(len(names)):
            raise share.fault("discount_application_index", "isn't one of discount_applications")
        amount = share.amount("amount", site.text("currency"))
        discounts.append(Discount(name=names[index], amount=amount))
    return discounts


def _tax(tax: Part, currency: str) -> OrderTax:
    with naming(tax.path):
        return OrderTax(
            name=tax.text("title"), rate=tax.value("rate"), amount=tax.amount("price", currency)
        )


def _payments(transactions: Sequence[Part], currency: str) -> Iterator[Payment]:
    """Yield what was captured. An authorisation is a promise only."""
    for each in transactions:
        if each.text("kind") not in ("sale", "capture") or each.text("status") != "success":
            continue
        if each.is_set("test"):
            raise each.fault("test", "the payment is a test")
        if each.text("currency") != currency:
            raise each.fault(
                "currency",
                f"{each.text('currency')} isn't the order's {currency}; ask for the transactions "
                "with in_shop_currency=true",
            )
        with naming(each.path):
            yield Payment(
                method=each.text("gateway").replace("_", " "),
                amount=each.amount("amount", currency),
                reference=each.text("authorization") or each.text("id"),
            )


def _customer(site: Part) -> Customer | None:
    account = site.part("customer")
    name = ""
    if account is not None:
        name = f"{account.text('first_name')} {account.text('last_name')}".strip()
    return customer(name, site.text("phone"), site.text("email"), site.text("name"))


def _fulfilment(site: Part) -> Pickup | Delivery:
    """Return how the order goes out. One to be collected has no address."""
    to = site.part("shipping_address")
    if to is None:
        return Pickup()
    if not to.text("address1"):
        raise to.fault("address1", "a delivery needs an address")
    with naming(to.path):
        address = Address(
            line1=to.text("address1"),
            line2=to.text("address2"),
            city=to.text("city"),
            region=to.text("province_code"),
            postcode=to.text("zip"),
            country=to.text("country_code") or None,
        )
    return Delivery(address=address)


def _notes(site: Part) -> Iterator[str]:
    if site.text("note"):
        yield site.text("note")
    yield from _written(site.parts("note_attributes"))


def _written(properties: Sequence[Part]) -> Iterator[str]:
    """Yield what the customer chose in a theme's own fields. Hidden ones begin with `_`."""
    for each in properties:
        if not each.text("name").startswith("_"):
            yield f"{each.text('name')}: {each.text('value')}"


if __name__ == "__main__":
    answers = read_json(sys.argv[1])
    print(order_of(answers["order"], answers["transactions"]).canonical_json())
