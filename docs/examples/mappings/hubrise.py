"""An order of HubRise's API (`GET /location/orders/ID`) as a Tillpost order.

For accounts whose prices include tax: HubRise has no amounts of tax.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from amounts import minor, read_json

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

# Refs are the account's own: fill in those of yours.
TIP_REFS = {"TIP"}
DELIVERY_REFS = {"DEL"}
CASH_REFS = {"CSH"}  # paid when the customer gets the order, so not paid yet


def order_of(site: Json) -> Order:
    """Return a HubRise order as ours.

    Raises:
        ValueError: It says something that an order of ours can't.
    """
    total, currency = _money(site["total"])
    charges = list(_kept(site["charges"]))
    payments = [each for each in _kept(site["payments"]) if each["ref"] not in CASH_REFS]
    paid = [_payment(each) for each in payments]
    return Order(
        id=f"hubrise-{site['id']}",
        code=site["collection_code"] or site["ref"] or site["id"],
        placed_at=datetime.fromisoformat(site["created_at"]),
        currency=currency,
        customer=_customer(site["customer"]),
        fulfilment=_fulfilment(site),
        lines=[
            _line(index, each, site["deals"]) for index, each in enumerate(_kept(site["items"]))
        ],
        charges=[_charge(each) for each in charges if each["ref"] not in TIP_REFS],
        discounts=[
            Discount(name=each["name"], amount=_amount(each["price_off"]))
            for each in _kept(site["discounts"])
        ],
        tip=sum(_amount(each["price"]) for each in charges if each["ref"] in TIP_REFS),
        payments=paid,
        amount_due=total - sum(payment.amount for payment in paid),
        note=site["customer_notes"] or "",
        metadata={"seller_notes": site["seller_notes"] or ""},
    )


def _kept(parts: Iterable[Json]) -> Iterator[Json]:
    """Yield the parts that weren't deleted. HubRise keeps the others in its list."""
    return (part for part in parts if not part["deleted"])


def _money(text: str) -> tuple[int, str]:
    """Return minor units and currency. HubRise writes both, always with two decimals.

    >>> _money("8.90 EUR"), _money("1200.00 JPY")
    ((890, 'EUR'), (1200, 'JPY'))
    """
    amount, _, currency = text.partition(" ")
    return minor(amount, currency), currency


def _amount(text: str) -> int:
    amount, _ = _money(text)
    return amount


def _line(index: int, item: Json, deals: Mapping[str, Json]) -> Line:
    quantity = Decimal(item["quantity"])
    if quantity != int(quantity):
        raise ValueError(f"items[{index}].quantity: {quantity} isn't a whole number of pieces")
    name = item["product_name"]
    if item["sku_name"]:
        name = f"{name}, {item['sku_name']}"
    removed = [each for each in item["options"] if each["removed"]]
    if any(each["price"] and _amount(each["price"]) for each in removed):
        raise ValueError(f"items[{index}].options: leaving something out has a price")
    return Line(
        # With a prefix: the ref may be a POS's id or its SKU, and the SKU is looked up.
        item_id=f"hubrise-{item['sku_ref'] or name}",
        sku=item["sku_ref"] or "",
        name=name,
        quantity=int(quantity),
        unit_price=_amount(item["price"]),
        modifiers=[_modifier(each) for each in item["options"] if not each["removed"]],
        note="; ".join(_line_notes(item, removed, deals)),
    )


def _line_notes(item: Json, removed: Sequence[Json], deals: Mapping[str, Json]) -> Iterator[str]:
    if item["customer_notes"]:
        yield item["customer_notes"]
    for option in removed:
        yield f"NO {option['name']}"
    if item.get("deal_line"):
        yield f"Deal: {deals[item['deal_line']['deal_key']]['name']}"


def _modifier(option: Json) -> Modifier:
    return Modifier(
        modifier_id=f"hubrise-{option['ref'] or option['name']}",
        sku=option["ref"] or "",
        name=option["name"],
        quantity=option["quantity"],
        unit_price=_amount(option["price"]) if option["price"] else 0,
    )


def _charge(charge: Json) -> Charge:
    return Charge(
        kind="delivery" if charge["ref"] in DELIVERY_REFS else "surcharge",
        name=charge["name"],
        amount=_amount(charge["price"]),
        taxed=charge["tax_rate"] is not None and Decimal(charge["tax_rate"]) > 0,
    )


def _payment(payment: Json) -> Payment:
    return Payment(
        method=payment["name"] or payment["ref"] or "online",
        amount=_amount(payment["amount"]),
        reference=payment["id"],
    )


def _customer(customer: Json | None) -> Customer | None:
    if customer is None:
        return None
    name = f"{customer['first_name'] or ''} {customer['last_name'] or ''}".strip()
    if not name:
        return None
    return Customer(name=name, phone=customer["phone"] or "", email=customer["email"] or "")


def _fulfilment(site: Json) -> Pickup | Delivery | DineIn:
    expected = site["expected_time"]
    due_at = datetime.fromisoformat(expected) if expected else None
    if site["service_type"] == "eat_in":
        if not site["service_type_ref"]:
            raise ValueError("service_type_ref: an order to eat in needs a table")
        return DineIn(due_at=due_at, table=site["service_type_ref"])
    if site["service_type"] == "collection":
        return Pickup(due_at=due_at)
    to = site["customer"]
    if to is None or not to["address_1"]:
        raise ValueError("customer.address_1: a delivery needs an address")
    address = Address(
        line1=to["address_1"],
        line2=to["address_2"] or "",
        city=to["city"] or "",
        region=to["state"] or "",
        postcode=to["postal_code"] or "",
        country=to["country"],
    )
    return Delivery(due_at=due_at, address=address, instructions=to["delivery_notes"] or "")


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
