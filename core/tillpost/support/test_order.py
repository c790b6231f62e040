"""A test order: sent to a store, followed to its register, and withdrawn. For a store that was never tried.

`run_trial` is what `tillpost test-order` calls. The order is the cheapest thing on the imported
menu, and its code, its customer and its note all say TEST, so that nobody cooks it.
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

__all__ = ["TrialReport", "run_trial", "trial_order"]

NOTE = "TEST ORDER from the ordering site: please don't prepare it"


class TrialReport(FrozenModel):
    """How far a test order came.

    `reached` is the last hop that is proved: the platform's cloud, or the register. `withdrawn`:
    the platform says that it is gone; if not, `text` says what staff have to do.
    """

    order: Order
    pos_order: PosOrder
    reached: Literal["platform", "register"]
    withdrawn: bool
    text: str


def trial_order(menu: Menu, *, now: datetime, order_id: str) -> Order:
    """Return an order of the cheapest thing that can be ordered, with the least choices that it demands.

    Raises `MenuError` when nothing on the menu can be ordered.
    """
    lines = [line for item in menu.items for v in item.variations if (line := _line(menu, item, v))]
    if not lines:
        raise MenuError("nothing on the menu can be ordered")
    cheapest = min(lines, key=lambda line: (line.total, line.item_id))
    item, _ = menu.by_variation[cheapest.item_id]
    added = sum((tax.rate for tax in menu.taxes_on(item) if not tax.included), Decimal(0))
    tax = round(cheapest.total * added)
    return Order(
        id=order_id,
        code="TEST",
        placed_at=now,
        currency=menu.currency,
        prices_include_tax=not added,
        customer=Customer(name="TEST ORDER"),
        lines=(cheapest,),
        tax=tax,
        payments=(Payment(method="test", amount=cheapest.total + tax, reference="TEST"),),
        note=NOTE,
    )


def _line(menu: Menu, item: Item, variation: Variation) -> Line | None:
    """Return one piece of it, or None when it can't be ordered."""
    if variation.price is None or variation.price < 0 or variation.sold_out or not item.online:
        return None
    modifiers: list[Modifier] = []
    for use in item.groups:
        chosen = _least(menu, use)
        if chosen is None:
            return None
        modifiers += [
            Modifier(modifier_id=o.id, sku=o.sku, name=o.name or o.id, unit_price=o.price or 0)
            for o in chosen
        ]
    name = display_name(item, variation)
    return Line(
        item_id=variation.id,
        sku=variation.sku,
        name=name,
        quantity=1,
        unit_price=variation.price,
        modifiers=tuple(modifiers),
        note="TEST",
    )


def _least(menu: Menu, use: GroupUse) -> list[ModifierOption] | None:
    """Return the cheapest options that satisfy a group, or None when it can't be satisfied."""
    group = menu.group_by_id.get(use.group_id)
    there = [
        o
        for o in (group.options if group else ())
        if not o.sold_out and o.price is not None and o.price >= 0
    ]
    if len(there) < use.minimum:
        return None
    return sorted(there, key=lambda option: (option.price, option.id))[: use.minimum]


def run_trial(
    till: Till,
    *,
    seconds: float = 30.0,
    every: float = 2.0,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda text: None,
) -> TrialReport:
    """Send a test order, follow it for some seconds, and withdraw it. `say` is told what is being done.

    Raises a `PosError` when the platform refuses it: then it stopped at the hop from the site to
    the platform.
    """
    say("Importing the menu")
    imported = till.import_menu()
    menu = imported.menu or till.held_menu
    assert menu
    began = clock()
    order = trial_order(
        menu, now=datetime.fromtimestamp(began, UTC), order_id=f"TEST-{int(began * 1000):x}"
    )
    say(f"Sending one {order.lines[0].name}, marked TEST")
    there = till.submit(order, is_new=True)
    say("The platform has it; waiting for the register to show that it has it too")
    while there.state is PosState.RECEIVED and clock() + every <= began + seconds:
        sleep(every)
        there = _now(till, there)
    say("Withdrawing it")
    withdrawn, how = _withdrawn(till, there)
    at_register = there.state in (PosState.ACCEPTED, PosState.REJECTED)
    proof = (
        "The register has shown that it has the order."
        if at_register
        else _UNPROVED.format(seconds=seconds)
    )
    return TrialReport(
        order=order,
        pos_order=there,
        reached="register" if at_register else "platform",
        withdrawn=withdrawn,
        text=f"{proof} {how}",
    )


_UNPROVED = (
    "The platform has the order, but in {seconds:g} s the register has shown no sign of it. That needn't be a fault: "
    "most registers show one only when staff accept the order. Look whether TEST is on the register."
)


def _now(till: Till, there: PosOrder) -> PosOrder:
    """Return the order as it is now; one look that fails doesn't end the trial."""
    try:
        return till.fetch(there).model_copy(update={"reference": there.reference})
    except PosError as error:
        if not error.transient:
            raise
        return there


def _withdrawn(till: Till, there: PosOrder) -> tuple[bool, str]:
    """Withdraw the order where the platform can; say what staff have to do where it can't."""
    if "cancel" not in till.capabilities:
        return False, "This platform takes no cancellations: void TEST at the register."
    try:
        till.cancel(there)
    except PosError as error:
        return False, f"It couldn't be withdrawn ({error}): void TEST at the register."
    return True, "It has been withdrawn."
