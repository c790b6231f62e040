"""Send a test order to a store, follow it to the register, and withdraw it.

`run_test_order` is what `tillpost test-order` calls, for a store that was never tried before. The
order has the cheapest line of the imported menu. Its code, customer and notes all say TEST, so
that nobody prepares it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from tillpost.client.sync import Till
from tillpost.errors import MenuError, PosError
from tillpost.models.base import FrozenModel
from tillpost.models.menu import GroupUse, Item, Menu, ModifierOption, Variation, display_name
from tillpost.models.order import Customer, Line, Modifier, Order, Payment, PosOrder, PosState

__all__ = ["DeliveryReport", "build_test_order", "run_test_order"]

NOTE = "TEST ORDER from the ordering site: please don't prepare it"


class DeliveryReport(FrozenModel):
    """How far a test order came.

    Attributes:
        order: The order that was sent.
        pos_order: The order at the platform.
        reached: The last hop that is proved: the platform, or the register.
        withdrawn: Whether the platform cancelled the order. If not, `text` says what to do.
        text: What happened, for people.
    """

    order: Order
    pos_order: PosOrder
    reached: Literal["platform", "register"]
    withdrawn: bool
    text: str


def build_test_order(menu: Menu, *, now: datetime, order_id: str) -> Order:
    """Return an order of the cheapest line on the menu.

    The line has the fewest modifiers that its item allows.

    Raises:
        MenuError: If nothing on the menu can be ordered.
    """
    lines: list[Line] = []
    for item in menu.items:
        for variation in item.variations:
            line = _build_line(menu, item, variation)
            if line is not None:
                lines.append(line)
    if not lines:
        raise MenuError("nothing on the menu can be ordered")
    cheapest = min(lines, key=lambda line: (line.total, line.item_id))
    item, _ = menu.by_variation[cheapest.item_id]
    added_rates = [tax.rate for tax in menu.taxes_on(item) if not tax.included]
    added_rate = sum(added_rates, Decimal(0))
    tax = round(cheapest.total * added_rate)
    payment = Payment(method="test", amount=cheapest.total + tax, reference="TEST")
    return Order(
        id=order_id,
        code="TEST",
        placed_at=now,
        currency=menu.currency,
        prices_include_tax=not added_rate,
        customer=Customer(name="TEST ORDER"),
        lines=(cheapest,),
        tax=tax,
        payments=(payment,),
        note=NOTE,
    )


def _build_line(menu: Menu, item: Item, variation: Variation) -> Line | None:
    """Return a line of one variation, or None when it can't be ordered."""
    is_sold_out = variation.is_sold_out(datetime.now(UTC))
    if variation.price is None or variation.price < 0 or is_sold_out or not item.online:
        return None
    modifiers: list[Modifier] = []
    for use in item.groups:
        options = _cheapest_options(menu, use)
        if options is None:
            return None
        modifiers.extend(_build_modifier(option) for option in options)
    return Line(
        item_id=variation.id,
        sku=variation.sku,
        name=display_name(item, variation),
        quantity=1,
        unit_price=variation.price,
        modifiers=tuple(modifiers),
        note="TEST",
    )


def _build_modifier(option: ModifierOption) -> Modifier:
    return Modifier(
        modifier_id=option.id,
        sku=option.sku,
        name=option.name or option.id,
        unit_price=option.price or 0,
    )


def _cheapest_options(menu: Menu, use: GroupUse) -> list[ModifierOption] | None:
    """Return the cheapest options that satisfy a group, or None when none do."""
    group = menu.group_by_id.get(use.group_id)
    options = group.options if group else ()
    now = datetime.now(UTC)
    priced = [
        (option.price, option.id, option)
        for option in options
        if not option.is_sold_out(now) and option.price is not None and option.price >= 0
    ]
    if len(priced) < use.minimum:
        return None
    priced.sort(key=lambda entry: entry[:2])
    return [option for _, _, option in priced[: use.minimum]]


def run_test_order(
    till: Till,
    *,
    seconds: float = 30.0,
    every: float = 2.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda text: None,
) -> DeliveryReport:
    """Send a test order, follow it to the register, and withdraw it.

    Args:
        till: The store.
        seconds: How long to wait for the register to confirm the order.
        every: How long to wait between two queries, in seconds.
        clock: Returns the time in epoch seconds.
        sleep: Waits for a number of seconds.
        say: Called with a text before each of the four phases.

    Raises:
        PosError: If the platform refuses the order.
    """
    say("Importing the menu")
    menu = till.import_menu().menu or till.held_menu
    assert menu
    started_at = clock()
    order = build_test_order(
        menu,
        now=datetime.fromtimestamp(started_at, UTC),
        order_id=f"TEST-{int(started_at * 1000):x}",
    )
    say(f"Sending one {order.lines[0].name}, marked TEST")
    pos_order = till.submit(order, is_new=True)
    say("Waiting for the register to confirm the order")
    deadline = started_at + seconds
    while pos_order.state is PosState.RECEIVED and clock() + every <= deadline:
        sleep(every)
        pos_order = _fetch(till, pos_order)
    say("Withdrawing the order")
    withdrawn, withdrawal = _withdraw(till, pos_order)
    at_register = pos_order.state in (PosState.ACCEPTED, PosState.REJECTED)
    progress = _CONFIRMED if at_register else _NOT_CONFIRMED.format(seconds=seconds)
    return DeliveryReport(
        order=order,
        pos_order=pos_order,
        reached="register" if at_register else "platform",
        withdrawn=withdrawn,
        text=f"{progress} {withdrawal}",
    )


_CONFIRMED = "The register has confirmed the order."
_NOT_CONFIRMED = (
    "The platform has the order, but the register hasn't confirmed it within {seconds:g} s. Most "
    "registers confirm an order only when staff accept it. Check whether TEST is on the register."
)


def _fetch(till: Till, pos_order: PosOrder) -> PosOrder:
    """Return the order as it is now, or as it was when the platform fails in passing."""
    try:
        current = till.fetch(pos_order)
    except PosError as error:
        if not error.transient:
            raise
        return pos_order
    return current.model_copy(update={"reference": pos_order.reference})


def _withdraw(till: Till, pos_order: PosOrder) -> tuple[bool, str]:
    """Cancel the order.

    Returns whether that worked, and what happened or what staff have to do.
    """
    if "cancel" not in till.capabilities:
        return False, "This platform can't cancel orders. Void TEST at the register."
    try:
        till.cancel(pos_order)
    except PosError as error:
        return False, f"The order couldn't be withdrawn ({error}). Void TEST at the register."
    return True, "The order was withdrawn."
