"""Sample orders that every simulated store accepts, for the tests of adapters."""

from __future__ import annotations

from typing import Any

from tillpost import Order


def an_order(**changes: Any) -> Order:
    """Return a pickup of 28.81 AUD: two lines, a modifier, a charge, a discount, a tip of 1.00."""
    return Order.model_validate(SAMPLE | changes)


def plain_order(order_id: str = "", unit_price: int = 1450, **changes: Any) -> Order:
    """Return one BLT toastie, paid in full."""
    lines = [{"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": unit_price}]
    payment = {"method": "card", "amount": unit_price, "reference": "pi_1"}
    bare: dict[str, Any] = {
        "id": order_id or SAMPLE["id"],
        "lines": lines,
        "charges": [],
        "discounts": [],
        "tip": 0,
        "payments": [payment],
    }
    return an_order(**(bare | changes))


SAMPLE: dict[str, Any] = {
    "id": "ord_01JD7Q3W8YB3T6",
    "code": "B42",
    "placed_at": "2026-11-23T11:52:07+11:00",
    "currency": "AUD",
    "customer": {"name": "Mia Chen", "phone": "+61400111222", "email": "mia@example.com"},
    "fulfilment": {"type": "pickup"},
    "lines": [
        {
            "item_id": "7302",
            "sku": "FW-R",
            "name": "Flat white, regular",
            "quantity": 2,
            "unit_price": 550,
            "modifiers": [
                {"modifier_id": "228", "name": "Oat milk", "quantity": 1, "unit_price": 80}
            ],
            "note": "extra hot",
        },
        {"item_id": "5312", "sku": "BLT", "name": "BLT toastie", "quantity": 1, "unit_price": 1450},
    ],
    "charges": [{"kind": "surcharge", "name": "Weekend surcharge", "amount": 271}],
    "discounts": [{"name": "WELCOME", "amount": 200}],
    "tip": 100,
    "payments": [{"method": "card", "amount": 2881, "reference": "pi_3PabcDEF"}],
    "note": "Please add cutlery",
}
