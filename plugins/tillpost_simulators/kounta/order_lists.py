"""Lists of orders: filters combine in the path, ranges in the query (vendor's page: Orders).

`/companies/5678/sites/823/registers/16/orders/complete?created_gte=2019-03-01&value_lt=100`. Orders
of every status are listed unless the path says otherwise, the newest first (third-party code), the
deleted ones only under `deleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import Any

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.order_json import listed_order, single_order
from tillpost_simulators.kounta.orders import STATUSES
from tillpost_simulators.kounta.responses import paged
from tillpost_simulators.kounta.order_pricing import priced
from tillpost_simulators.kounta.wire import json_answer
from tillpost_simulators.kounta.world import Order, World

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "": eq,
    "_lt": lt,
    "_lte": le,
    "_gt": gt,
    "_gte": ge,
}
_PAIRS = ("sites", "registers", "staff", "customers")
_WORDS = {status.lower(): status for status in STATUSES}


@dataclass
class Filter:
    """What the path asks for. A missing id is any."""

    ids: dict[str, int] = field(default_factory=dict[str, int])
    statuses: set[str] = field(default_factory=set[str])
    deleted: bool = False
    discounted: bool = False
    with_customer: bool = False

    def matches(self, order: Order) -> bool:
        """Whether an order is one of these."""
        own = {
            "sites": order.site_id,
            "registers": order.register_id,
            "customers": order.customer_id,
        }
        return (
            order.deleted == self.deleted
            and all(own.get(kind) == wanted for kind, wanted in self.ids.items())
            and (not self.statuses or order.status in self.statuses)
            and (not self.discounted or _discounted(order))
            and (not self.with_customer or order.customer_id is not None)
        )


def list_orders(world: World, call: Call, steps: Sequence[str]) -> Answer:
    """The orders that `steps`, the parts of the path after the company, ask for."""
    wanted, checks = _read_path(steps), _ranges(world, call)
    now = world.clock.now()
    found = [
        order
        for order in reversed(world.orders.values())
        if order.visible_at <= now
        and wanted.matches(order)
        and all(check(order) for check in checks)
    ]
    return paged(
        world,
        call,
        found,
        lambda order: order.id,
        lambda order: listed_order(world, order),
        newer=True,
    )


def by_sale_id(world: World, call: Call) -> Answer:
    """One order by its sale id.

    unconfirmed: whether that is the caller's `sale_number`; the sample is `tj4ds8n3`.
    `sale_id_is_sale_number` has it both ways; a real order looked up by its number would tell.
    """
    asked = call.path_values["sale_id"]
    for order in reversed(world.orders.values()):
        name = order.sale_number if world.settings.sale_id_is_sale_number else order.sale_id
        if name == asked and order.visible_at <= world.clock.now() and not order.deleted:
            return json_answer(single_order(world, order))
    raise not_found()


def _read_path(steps: Sequence[str]) -> Filter:
    wanted = Filter()
    rest = [step for step in steps if step != "orders"]
    while rest:
        step = rest.pop(0)
        if step in _PAIRS and rest and rest[0].isdecimal():
            wanted.ids[step] = int(rest.pop(0))
        elif step in _WORDS:
            wanted.statuses.add(_WORDS[step])
        elif step == "deleted":
            wanted.deleted = True
        elif step == "discounted":
            wanted.discounted = True
        elif step == "linkedcustomer":
            wanted.with_customer = True
        else:
            raise not_found()
    return wanted


def _ranges(world: World, call: Call) -> list[Callable[[Order], bool]]:
    """What the query asks of when an order was made and what it is worth. `value` is the total with its tax.

    unconfirmed: that `value` includes tax; a search around a real order's total would tell.
    """
    checks: list[Callable[[Order], bool]] = []
    for suffix, compare in _COMPARE.items():
        if (day := call.query.get(f"created{suffix}")) is not None:
            checks.append(_made(world, day, suffix))
        if (amount := call.query.get(f"value{suffix}")) is not None:
            checks.append(_worth(world, _number(amount, f"value{suffix}"), compare))
    return checks


def _worth(
    world: World, limit: Decimal, compare: Callable[[Any, Any], bool]
) -> Callable[[Order], bool]:
    return lambda order: compare(priced(world, order).total, limit)


def _number(text: str, field: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise bad_request(f"{field} is not a number.")
    return number


def _made(world: World, text: str, suffix: str) -> Callable[[Order], bool]:
    """A date without a time is its first moment, but for `created`, which is the whole day.

    unconfirmed: that `created_lte` with a date leaves that day out; a search for today would tell.
    """
    limit = world.clock.read(text, f"created{suffix}")
    compare = _COMPARE[suffix]
    until = limit + timedelta(days=1)

    def check(order: Order) -> bool:
        made = order.created.replace(
            microsecond=0
        )  # as it is written: a limit may lie within that second
        return limit <= made < until if not suffix and "T" not in text else compare(made, limit)

    return check


def _discounted(order: Order) -> bool:
    variations = [order.price_variation, *(line.price_variation for line in order.lines)]
    return any(variation is not None and variation < 1 for variation in variations)
