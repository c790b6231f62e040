"""On every platform and tax model, any order arrives whole at what was paid, or is refused.

Refused means before it is sent, by a field. Nothing is altered without a notice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random

import httpx
import pytest

from adapters.menu_shops import PLATFORMS
from adapters.money_orders import SECRET, OrderMaker
from adapters.money_shops import MODELS, MoneyShop, TaxModel, money_shop
from tillpost import OrderError, PosError, PosOrder
from tillpost.errors import Outcome
from tillpost.models.money import to_major
from tillpost.models.order import Delivery, DineIn, Line, Order, Pickup
from tillpost.models.safe_text import one_line
from tillpost.simulator import LedgerEntry, LedgerLine

REFUSALS: Mapping[str, Mapping[str, float]] = {
    "generic": {},
    "kounta": {},
    "square": {
        "amount_due": 0.15,
        "charges[].amount": 0.15,
        "charges[].taxed": 0.3,
        "fulfilment.instructions": 0.05,
        "note": 0.05,
    },
}
"""The fields that a platform may refuse, and the largest share of the orders.

No register of Square's shows an order that isn't paid. It can't take a rounding off prices without
tax, and gives a charge the taxes of the lines, if these have the same. Its notes hold so much.
"""

ORDERS_OF_A_SHOP = 24


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_any_order_arrives_as_paid_or_is_refused_by_field(platform: str, model: TaxModel) -> None:
    refused = assert_all_arrive(platform, model, Random(f"{platform} {model.name}"), count=5)
    assert refused.total() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_two_thousand_orders_arrive_as_paid(platform: str, model: TaxModel, seed: int) -> None:
    each = 2000 // (len(PLATFORMS) * len(MODELS)) + 1
    refused = assert_all_arrive(platform, model, Random(f"{seed} {platform} {model.name}"), each)
    for field, count in refused.items():
        assert count <= REFUSALS[platform][field] * each, refused
    print(f"{platform}, {model.name}: {each} orders, refused {dict(refused)}")


def assert_all_arrive(platform: str, model: TaxModel, random: Random, count: int) -> Counter[str]:
    """Submit random orders, and return how many were refused by which field.

    Some go by another process, which knows no menu yet.
    """
    refused = Counter[str]()
    for number, (shop, order) in enumerate(orders(platform, model, random, count)):
        till = shop.shop.till if number % 4 else shop.shop.connect()
        shop.shop.requests.clear()
        try:
            made = till.submit(order, is_new=True)
        except PosError as error:
            refused[refused_field(shop, error)] += 1
            continue
        assert_whole(shop, order, made)
    assert set(refused) <= set(REFUSALS[platform])
    return refused


def orders(
    platform: str, model: TaxModel, random: Random, count: int
) -> Iterator[tuple[MoneyShop, Order]]:
    for first in range(0, count, ORDERS_OF_A_SHOP):
        shop = money_shop(platform, model, random)
        maker = OrderMaker(shop, random)
        for number in range(first, min(first + ORDERS_OF_A_SHOP, count)):
            yield shop, maker.order(f"ord_{number}")


# ---------------------------------------------------------------- refusals


def refused_field(shop: MoneyShop, error: PosError) -> str:
    """Return the field for which an order was refused, before which nothing was created."""
    assert type(error) is OrderError, error
    assert error.outcome is Outcome.NOT_CREATED
    assert not any(map(is_create, shop.shop.requests)), error
    field = re.match(r"[\w.\[\]]+", error.detail)
    assert field, error
    return re.sub(r"\[\d+\]", "[]", field[0])


def is_create(request: httpx.Request) -> bool:
    path = request.url.path.partition(".")[0]
    return request.method == "POST" and path.endswith("/orders")


# ---------------------------------------------------------------- the register


def assert_whole(shop: MoneyShop, order: Order, made: PosOrder) -> None:
    """Check that the register shows all of an order, at what was paid."""
    (entry,) = shop.shop.simulator.ledger().for_reference(order.id)
    assert entry.shown
    assert made.total == entry.total == order.total
    assert entry.paid == order.paid
    assert entry.currency == order.currency
    assert not any(SECRET.encode() in request.content for request in shop.shop.requests)
    text = _shown(entry)
    view = shop.shop.simulator.register_view(order.id)
    assert_adds_up(view, order)
    assert_lines(entry, order, made)
    for name in _names(order):
        assert_text(name, text, made)
        assert_text(name, view, made)
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            assert address.line1 in text
            assert_text(instructions, text, made)
        case DineIn(table=table, guests=guests):
            assert f"TABLE {table}" in text
            assert not guests or str(guests) in text
        case Pickup(curbside=curbside) if curbside:
            assert curbside.details in text
        case _:
            pass


def assert_adds_up(view: str, order: Order) -> None:
    """Check that the amounts of a view add up to its total, and what is due."""
    _, _, body = view.partition("\n--")
    above, _, below = body.partition(f"\nTotal {order.currency}")
    amounts = map(Decimal, re.findall(r" {2,}(-?[0-9.]+)$", above, re.MULTILINE))
    total, *paid, due = map(Decimal, re.findall(r" {2,}(-?[0-9.]+)$", below, re.MULTILINE))
    assert sum(amounts) == total == to_major(order.total, order.currency), view
    assert total - sum(paid) == due == to_major(order.amount_due, order.currency), view


def assert_lines(entry: LedgerEntry, order: Order, made: PosOrder) -> None:
    """Check the lines, in their sequence; what is beyond them is named in a notice."""
    names = [name for name, _ in _amounts(entry)]
    beyond = [line for line in entry.lines if line.note == "Rounding"]
    adjusted = len(beyond) + names.count("Rounding")
    assert bool(adjusted) == any("ounding" in notice for notice in made.notices), made.notices
    for seen, line in zip(entry.lines, order.lines, strict=False):
        assert seen.quantity == line.quantity
        assert seen.item_id == line.item_id or line.is_open
        assert_modifiers(seen, line)


def assert_modifiers(seen: LedgerLine, line: Line) -> None:
    counts = Counter[str]()
    for flat in line.flat_modifiers():
        counts[flat.modifier.modifier_id] += flat.quantity
    shown = Counter[str]()
    for modifier in seen.modifiers:
        shown[modifier.modifier_id] += int(modifier.quantity)
    assert shown == counts


def _names(order: Order) -> Iterator[str]:
    """Yield every name, note and discount of an order that staff must see."""
    yield order.note
    yield order.code
    if order.customer:
        yield order.customer.name
    for line in order.lines:
        yield line.note
        yield from (flat.modifier.name for flat in line.flat_modifiers())
        yield from (discount.name for discount in line.discounts)
        if line.is_open:
            yield line.name
    for charge in order.charges:
        yield charge.name
        yield from (discount.name for discount in charge.discounts)
    yield from (discount.name for discount in order.discounts)


def assert_text(text: str, shown: str, made: PosOrder) -> None:
    """Check that staff see every word of a text: a note may go on in another place."""
    missing = set(_words(text)) - set(_words(shown))
    assert not missing, (text, shown, made.notices)


def _words(text: str) -> Sequence[str]:
    return one_line(text).split()


def _shown(entry: LedgerEntry) -> str:
    """Return all that the register shows of an order."""
    texts = [entry.ticket_name, entry.note]
    texts += [name for name, _ in _amounts(entry)]
    for line in entry.lines:
        texts += [line.name, line.note, *(modifier.name for modifier in line.modifiers)]
    return "\n".join(texts)


def _amounts(entry: LedgerEntry) -> Sequence[tuple[str, int]]:
    return [(each.name, each.amount) for each in (*entry.charges, *entry.discounts)]
