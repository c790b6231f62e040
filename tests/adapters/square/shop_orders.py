"""Orders of every kind that the menu of the simulator's shop allows."""

from __future__ import annotations

import random
from collections.abc import Sequence

from recent import PLACED_AT
from tillpost.models.order import (
    Charge,
    Customer,
    DineIn,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Order,
    Payment,
    Pickup,
)

OAT = Modifier(modifier_id="228", sku="M-OAT", name="Oat milk", unit_price=80)
FLAT_WHITE = Line(
    item_id="7302", sku="FW-R", name="Flat white, regular", quantity=1, unit_price=550
)
TOASTIE = Line(item_id="5312", sku="BLT", name="BLT toastie", quantity=1, unit_price=1450)
DRIFTED = TOASTIE.model_copy(update={"item_id": "OLD-5312"})
"""A toastie sold from an older menu, in which it had another id."""


FLAT_WHITE_WITH_OAT = FLAT_WHITE.model_copy(update={"modifiers": (OAT,)})


def shop_order(
    number: int,
    seed: int = 0,
    *,
    lines: Sequence[Line] = (FLAT_WHITE, TOASTIE, DRIFTED, FLAT_WHITE_WITH_OAT),
) -> Order:
    """Return a valid order of some of these lines, the same for the same number and seed.

    It may have modifiers, a charge, a discount and a tip.
    """
    draw = random.Random(f"{seed}/{number}")
    bought: list[Line] = []
    for _ in range(draw.randint(1, 4)):
        line = draw.choice(lines)
        bought.append(line.model_copy(update={"quantity": draw.randint(1, 3)}))
    fulfilments: list[Fulfilment] = [Pickup(), DineIn(table="12")]
    return paid(
        f"ord_{seed}_{number:05}",
        bought,
        fulfilment=draw.choice(fulfilments),
        surcharge=draw.choice((0, draw.randint(1, 500))),
        off=draw.choice((0, draw.randint(1, 300))),
        tip=draw.choice((0, 150)),
    )


def free_order(order_id: str) -> Order:
    """Return an order that costs nothing: a free item of the shop."""
    return paid(order_id, [TOASTIE], off=TOASTIE.total)


def paid(
    order_id: str,
    lines: list[Line],
    *,
    fulfilment: Fulfilment | None = None,
    surcharge: int = 0,
    off: int = 0,
    tip: int = 0,
) -> Order:
    """Return an order of those lines, paid in full."""
    total = sum(line.total for line in lines) + surcharge - off + tip
    return Order.model_validate(
        {
            "id": order_id,
            "code": "B42",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "customer": Customer(name="Mia Chen", phone="+61400111222"),
            "fulfilment": fulfilment or Pickup(),
            "lines": tuple(lines),
            "charges": (Charge(kind="surcharge", name="Weekend", amount=surcharge),)
            if surcharge
            else (),
            "discounts": (Discount(name="WELCOME", amount=off),) if off else (),
            "tip": tip,
            "payments": (Payment(method="card", amount=total, reference="pi_1"),),
        }
    )
