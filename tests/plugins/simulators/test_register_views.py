"""What each register shows of one order, whole."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.menu_shops import shop_of
from adapters.sample_orders import SAMPLE, an_order

GENERIC = """\
Order: B42
State: new
Reference: ord_01JD7Q3W8YB3T6
Placed: 2026-11-23T11:52:07+11:00
Delivery: as soon as possible
Address: 1 Example St, Newtown NSW 2042
Instructions: ring twice
Customer: Mia Chen
Phone: +61400111222
E-mail: mia@example.com
--
2 x Flat white, regular 11.00
+ 1 x Oat milk 1.60
+ 2 x Extra shot 2.40
BIRTHDAY -0.50
Note: extra hot
leave the lid off
1 x BLT toastie 14.50
--
Delivery fee 5.00
HALF DELIVERY -2.50
WELCOME -2.00
Tip 1.00
Total AUD 30.50
Paid, gift card GC-1 10.00
Still due 20.50
Tax included: 2.68 AUD
GST 10 %: 2.68 AUD
--
Note: Please add cutlery
"""

SQUARE = """\
Order: B42
State: OPEN
Reference: ord_01JD7Q3W8YB3T6
From: Online order
PICKUP, PROPOSED
Due: 2099-11-23T01:00:00Z
Customer: Mia Chen
Phone: +61400111222
E-mail: mia@example.com
Note: Please add cutlery
Curbside: red car, 4KX
--
2 x Flat white (regular) 11.00
+ 1 x Oat milk 1.60
Note: extra hot
1 x BLT toastie (Regular) 14.50
--
WELCOME -2.00
Weekend surcharge 2.71
Tip 1.00
Total AUD 28.81
Paid, other 28.81
Still due 0.00
GST 10 % included: 2.28 AUD
--
Payment note: card 28.81 AUD pi_3PabcDEF
"""

KOUNTA = """\
Order: ord_01JD7Q3W8YB3T6
State: SUBMITTED
Type: Dine in
Guests: 4
Customer: Mia Chen
Phone: +61400111222
E-mail: mia@example.com
--
2 x Flat white, regular 11.67
+ 1 x Oat milk (each 0.80 AUD)
Price x 0.9262
Note: extra hot
1 x BLT toastie 13.43
Price x 0.9262
1 x Delivery 2.71
Note: Weekend surcharge
1 x Tip 1.00
Note: Tip
--
Total AUD 28.81
Paid, Online ord_01JD7Q3W8YB3T6 28.81
Still due 0.00
GST included: 2.53 AUD
--
Note: Ref: ord_01JD7Q3W8YB3T6
Please add cutlery
B42 Mia Chen +61400111222
TABLE 7, 4 GUESTS
PAID: card 28.81 AUD pi_3PabcDEF
DISCOUNT: WELCOME -2.00 AUD
"""


def test_generic_register_shows_nested_choices_and_what_is_due() -> None:
    coffee, toastie = SAMPLE["lines"]
    (milk,) = coffee["modifiers"]
    shot = {"modifier_id": "231", "name": "Extra shot", "quantity": 2, "unit_price": 60}
    line = {
        **coffee,
        "modifiers": [{**milk, "modifiers": [shot]}],
        "discounts": [{"name": "BIRTHDAY", "amount": 50}],
        "note": "extra hot\nleave the lid off",
    }
    charge = {
        "kind": "delivery",
        "name": "Delivery fee",
        "amount": 500,
        "taxed": True,
        "discounts": [{"name": "HALF DELIVERY", "amount": 250}],
    }
    address = {"line1": "1 Example St", "city": "Newtown", "region": "NSW", "postcode": "2042"}
    shown = view(
        "generic",
        lines=[line, toastie],
        charges=[charge],
        fulfilment={"type": "delivery", "address": address, "instructions": "ring twice"},
        payments=[{"method": "gift card", "amount": 1000, "reference": "GC-1"}],
        taxes=[{"name": "GST", "rate": "0.1", "amount": 268}],
        amount_due=2050,
    )
    assert shown == GENERIC


def test_square_register_shows_curbside_and_the_payments_note() -> None:
    pickup = {
        "type": "pickup",
        "due_at": "2099-11-23T12:00:00+11:00",
        "curbside": {"details": "red car, 4KX"},
    }
    assert view("square", fulfilment=pickup) == SQUARE


def test_kounta_register_shows_table_guests_and_variations() -> None:
    shown = view(
        "kounta",
        {
            "charge_products": {"surcharge": "9002"},
            "discounts": "multiplier",
            "tip_product": "9003",
        },
        fulfilment={"type": "dine_in", "table": "7", "guests": 4},
    )
    assert shown == KOUNTA


def test_square_register_shows_no_unpaid_order() -> None:
    shop = shop_of("square")
    order = an_order()
    shop.till.submit(order)
    for stored in shop.simulator.world.orders.values():
        stored.settled = False
    with pytest.raises(LookupError, match="shows no order"):
        shop.simulator.register_view(order.id)


def view(platform: str, settings: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return the view of an order, without its indents, rules and columns."""
    shop = shop_of(platform, **(settings or {}))
    order = an_order(**changes)
    shop.till.submit(order)
    rows = shop.simulator.register_view(order.id).splitlines()
    plain = [" ".join(row.split()) for row in rows]
    return "\n".join("--" if row.startswith("---") else row for row in plain) + "\n"
