"""The orders of the benchmarks, and what Square answers to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from adapters.in_process import InProcess
from benchmarks.canned import NOW, REFERENCE
from recent import PLACED_AT
from tillpost import Order, Till
from tillpost_simulators.square import SquareSimulator

__all__ = ["LOCATION", "TOKEN", "answers_to", "order_of", "sent_for"]

LOCATION = "L-CAFE"
TOKEN = "t" * 20

_CREATED_AT = re.compile(r'("(?:created|updated)_at": ")[^"]*')

_MODIFIERS = (("228", "Oat milk", 80), ("231", "Shot", 60), ("232", "Syrup", 70))


def order_of(lines: int, name: str) -> Order:
    """Return an order of so many lines, with 3 modifiers each, of the simulator's own shop."""
    modifiers = [
        {"modifier_id": modifier_id, "name": text, "unit_price": price}
        for modifier_id, text, price in _MODIFIERS
    ]
    line = {
        "item_id": "7302",
        "sku": "FW-R",
        "name": "Flat white, regular",
        "quantity": 1,
        "unit_price": 550,
        "modifiers": modifiers,
    }
    return Order.model_validate(
        {
            "id": name,
            "code": "B1",
            "placed_at": PLACED_AT,
            "currency": "AUD",
            "customer": {"name": "Mia Chen"},
            "lines": [line] * lines,
            "payments": [{"method": "card", "amount": lines * 760, "reference": "pi_1"}],
        }
    )


def _exchanged(order: Order) -> list[tuple[httpx.Request, httpx.Response]]:
    """Submit an order to the simulator; return the requests and its answers."""
    simulator = SquareSimulator()
    exchanged: list[tuple[httpx.Request, httpx.Response]] = []

    def keep(
        request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        answer = carry_out()
        exchanged.append((request, answer))
        return answer

    with httpx.Client(transport=InProcess(simulator, keep)) as client:
        settings: dict[str, Any] = dict(simulator.connection_settings("http://127.0.0.1"))
        Till.connect("square", http_client=client, **settings).submit(order)
    return exchanged


def answers_to(lines: int) -> Mapping[str, str]:
    """Return what Square answers while an order of so many lines is submitted, by path."""
    exchanged = _exchanged(order_of(lines, REFERENCE))
    return {
        request.url.raw_path.decode(): _CREATED_AT.sub(rf"\g<1>{NOW}", answer.text)
        for request, answer in exchanged
    }


def sent_for(order: Order) -> list[tuple[str, bytes]]:
    """Return the path and the body of each POST of an order's submission."""
    posts = [request for request, _ in _exchanged(order) if request.method == "POST"]
    return [(request.url.raw_path.decode(), request.content) for request in posts]


def params_for(order: Order) -> list[dict[str, Any]]:
    """Return the same bodies as the arguments of the vendor's SDK."""
    return [json.loads(body) for _, body in sent_for(order)]
