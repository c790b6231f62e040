"""An order of a site of your own, with times of the shop and yen, as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from amounts import minor, read_json

from tillpost import Charge, Curbside, Customer, Line, Modifier, Order, Payment, Pickup

Json: TypeAlias = Mapping[str, Any]

SHOP_TIME = ZoneInfo("Asia/Tokyo")


def order_of(site: Json) -> Order:
    """Return an order of the site as ours."""
    currency: str = site["currency"]
    paid = minor(site["paid_online"], currency)
    return Order(
        id=site["number"],
        code=site["number"],
        placed_at=_time(site["ordered"]),
        currency=currency,
        customer=Customer(name=site["name"], phone=site["phone"]),
        fulfilment=_pickup(site),
        lines=[_line(each, currency) for each in site["items"]],
        charges=[
            Charge(kind="surcharge", name="Bag", amount=minor(site["bag"], currency), taxed=True)
        ],
        payments=[Payment(method="card", amount=paid)] if paid else [],
        amount_due=minor(site["total"], currency) - paid,
    )


def _line(item: Json, currency: str) -> Line:
    return Line(
        item_id=f"site-{item['sku']}",
        sku=item["sku"],
        name=item["title"],
        quantity=item["count"],
        unit_price=minor(item["price"], currency),
        modifiers=[
            Modifier(
                modifier_id=f"site-{extra['sku']}",
                sku=extra["sku"],
                name=extra["title"],
                unit_price=minor(extra["price"], currency),
            )
            for extra in item["extras"]
        ],
        note=item["wish"],
    )


def _pickup(site: Json) -> Pickup:
    curbside = Curbside(details=site["car"]) if site["car"] else None
    return Pickup(due_at=_time(site["ready"]), curbside=curbside)


def _time(text: str) -> datetime:
    """Return a time of the shop with its offset."""
    return datetime.fromisoformat(text).replace(tzinfo=SHOP_TIME)


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
