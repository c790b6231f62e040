"""An order of a site of your own, with times of the shop and yen, as a Tillpost order."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from amounts import check_total, due
from site_json import Part, customer, naming, read_json

from tillpost import Charge, Curbside, Line, Modifier, Order, Payment, Pickup

Json: TypeAlias = Mapping[str, Any]

SHOP_TIME = ZoneInfo("Asia/Tokyo")


def order_of(content: Json) -> Order:
    """Return an order of the site as ours.

    Raises:
        ValueError: It says something that an order of ours can't. The site's field is named.
    """
    with naming("the order"):
        return _order(Part(content))


def _order(site: Part) -> Order:
    currency = site.text("currency")
    total = site.amount("total", currency)
    paid = site.amount("paid_online", currency)
    payments = [Payment(method="card", amount=paid)] if paid else []
    bag = site.amount("bag", currency)
    lines = [_line(each, currency) for each in site.parts("items")]
    check_total("total", total - bag - sum(line.total for line in lines), 0, currency)
    number = site.text("number")
    return Order(
        id=number,
        code=number,
        placed_at=_time(site, "ordered"),
        currency=currency,
        customer=customer(site.text("name"), site.text("phone"), "", number),
        fulfilment=_pickup(site),
        lines=lines,
        charges=[Charge(kind="surcharge", name="Bag", amount=bag, taxed=True)],
        payments=payments,
        amount_due=due("paid_online", total, payments, currency),
    )


def _line(item: Part, currency: str) -> Line:
    with naming(item.path):
        return Line(
            item_id=f"site-{item.text('sku')}",
            sku=item.text("sku"),
            name=item.text("title"),
            quantity=item.pieces("count"),
            unit_price=item.amount("price", currency),
            modifiers=[_modifier(extra, currency) for extra in item.parts("extras")],
            note=item.text("wish"),
        )


def _modifier(extra: Part, currency: str) -> Modifier:
    with naming(extra.path):
        return Modifier(
            modifier_id=f"site-{extra.text('sku')}",
            sku=extra.text("sku"),
            name=extra.text("title"),
            unit_price=extra.amount("price", currency),
        )


def _pickup(site: Part) -> Pickup:
    curbside = Curbside(details=site.text("car")) if site.text("car") else None
    return Pickup(due_at=_time(site, "ready"), curbside=curbside)


def _time(site: Part, name: str) -> datetime:
    """Return a time of the shop with its offset."""
    return site.time(name).replace(tzinfo=SHOP_TIME)


if __name__ == "__main__":
    print(order_of(read_json(sys.argv[1])).canonical_json())
