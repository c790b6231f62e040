"""Operations that list orders.

Filters combine in the path, ranges in the query (vendor's page).

    /companies/5678/sites/823/registers/16/orders/complete?created_gte=2019-03-01&value_lt=100

Orders of every status are listed unless the path selects some, the newest first (third-party code),
deleted ones only under `deleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import Any, TypeAlias

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request, not_found
from tillpost_simulators.kounta.order_json import listed_order, single_order
from tillpost_simulators.kounta.order_pricing import priced
from tillpost_simulators.kounta.orders import STATUSES
from tillpost_simulators.kounta.resources import paged
from tillpost_simulators.kounta.wire import json_answer
from tillpost_simulators.kounta.world import Order, World

Comparison: TypeAlias = Callable[[Any, Any], bool]
Check: TypeAlias = Callable[[Order], bool]

_COMPARISON_BY_SUFFIX: dict[str, Comparison] = {
    "": eq,
    "_lt": lt,
    "_lte": le,
    "_gt": gt,
    "_gte": ge,
}
_STEPS_WITH_ID = ("sites", "registers", "staff", "customers")
_STATUS_BY_STEP = {status.lower(): status for status in STATUSES}


@dataclass
class PathFilter:
    """The filters in the path. A kind of id that is missing matches any."""

    ids: dict[str, int] = field(default_factory=dict[str, int])
    statuses: set[str] = field(default_factory=set[str])
    deleted: bool = False
    discounted: bool = False
    with_customer: bool = False

    def matches(self, order: Order) -> bool:
        """Return whether an order passes all filters."""
        if order.deleted != self.deleted:
            return False
        if self.statuses and order.status not in self.statuses:
            return False
        if self.discounted and not _is_discounted(order):
            return False
        if self.with_customer and order.customer_id is None:
            return False
        order_ids = {
            "sites": order.site_id,
            "registers": order.register_id,
            "customers": order.customer_id,
        }
        return all(order_ids.get(kind) == wanted for kind, wanted in self.ids.items())


def list_orders(world: World, call: Call, steps: Sequence[str]) -> Answer:
    """List orders.

    Args:
        world: The company.
        call: The request, with ranges in its query.
        steps: The parts of the path after the company.
    """
    path_filter = _read_path(steps)
    checks = _range_checks(world, call)
    now = world.clock.now()
    found: list[Order] = []
    for order in reversed(world.orders.values()):
        if order.visible_at > now or not path_filter.matches(order):
            continue
        if all(check(order) for check in checks):
            found.append(order)
    return paged(
        world,
        call,
        found,
        key=lambda order: order.id,
        write=lambda order: listed_order(world, order),
        newer=True,
    )


def by_sale_id(world: World, call: Call) -> Answer:
    """Return one order by its sale id.

    unconfirmed: whether that is the caller's `sale_number`; the sample is `tj4ds8n3`.
    `sale_id_is_sale_number` chooses; a real order looked up by its number would show it.
    """
    wanted = call.path_values["sale_id"]
    now = world.clock.now()
    for order in reversed(world.orders.values()):
        name = order.sale_number if world.settings.sale_id_is_sale_number else order.sale_id
        if name == wanted and order.visible_at <= now and not order.deleted:
            return json_answer(single_order(world, order))
    raise not_found()


def _read_path(steps: Sequence[str]) -> PathFilter:
    path_filter = PathFilter()
    rest = [step for step in steps if step != "orders"]
    while rest:
        step = rest.pop(0)
        if step in _STEPS_WITH_ID and rest and rest[0].isdecimal():
            path_filter.ids[step] = int(rest.pop(0))
        elif step in _STATUS_BY_STEP:
            path_filter.statuses.add(_STATUS_BY_STEP[step])
        elif step == "deleted":
            path_filter.deleted = True
        elif step == "discounted":
            path_filter.discounted = True
        elif step == "linkedcustomer":
            path_filter.with_customer = True
        else:
            raise not_found()
    return path_filter


def _range_checks(world: World, call: Call) -> list[Check]:
    """Return a check for each range in the query.

    `created` is when an order was made, `value` its total with tax.

    unconfirmed: that `value` includes tax; a search around a real order's total would show it.
    """
    checks: list[Check] = []
    for suffix in _COMPARISON_BY_SUFFIX:
        created = call.query.get(f"created{suffix}")
        if created is not None:
            checks.append(_created_check(world, created, suffix))
        value = call.query.get(f"value{suffix}")
        if value is not None:
            checks.append(_value_check(world, value, suffix))
    return checks


def _value_check(world: World, text: str, suffix: str) -> Check:
    compare = _COMPARISON_BY_SUFFIX[suffix]
    limit = _number(text, f"value{suffix}")

    def check(order: Order) -> bool:
        total = priced(world, order).total
        return compare(total, limit)

    return check


def _created_check(world: World, text: str, suffix: str) -> Check:
    """Return a check of the creation time.

    A date without a time is its first moment, except for `created`, where it is the whole day.

    unconfirmed: that `created_lte` with a date leaves that day out; a search for today would show.
    """
    compare = _COMPARISON_BY_SUFFIX[suffix]
    limit = world.clock.read(text, f"created{suffix}")
    day_end = limit + timedelta(days=1)
    is_whole_day = not suffix and "T" not in text

    def check(order: Order) -> bool:
        # To the second, as it is written: a limit may be within that second.
        created = order.created.replace(microsecond=0)
        if is_whole_day:
            return limit <= created < day_end
        return compare(created, limit)

    return check


def _number(text: str, field: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise bad_request(f"{field} is not a number.")
    return number


def _is_discounted(order: Order) -> bool:
    variations = [order.price_variation, *(line.price_variation for line in order.lines)]
    return any(variation is not None and variation < 1 for variation in variations)
