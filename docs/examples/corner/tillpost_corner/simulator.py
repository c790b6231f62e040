"""A simulator of Corner POS: a real HTTP server with the menu and the orders of one shop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from tillpost.simulator import (
    Answer,
    Call,
    FaultPlan,
    Ledger,
    LedgerEntry,
    LedgerLine,
    Route,
    Simulator,
    action,
)

TOKEN = "not-a-real-corner-token"
SHOP = "shop-1"


Json: TypeAlias = dict[str, Any]

MENU: list[Json] = [
    {
        "id": "7302",
        "sku": "FW-R",
        "name": "Flat white, regular",
        "price": 550,
        "sold_out": False,
        "options": [{"id": "228", "name": "Oat milk", "price": 80}],
    },
    {
        "id": "5312",
        "sku": "BLT",
        "name": "BLT toastie",
        "price": 1450,
        "sold_out": False,
        "options": [],
    },
]


def first_menu() -> dict[str, Json]:
    """Return the items of a new shop, by id."""
    return {item["id"]: dict(item) for item in MENU}


@dataclass
class Shop:
    """The state: a menu and orders by id, as the API returns them."""

    open: bool = True
    items: dict[str, Json] = field(default_factory=first_menu)
    orders: dict[str, Json] = field(default_factory=dict[str, Json])


class CornerSimulator(Simulator):
    """Corner's API for a `Shop`."""

    def __init__(self, faults: FaultPlan | None = None) -> None:
        super().__init__(faults)
        self.shop = Shop()

    def routes(self) -> Sequence[Route]:
        """Return the addresses of Corner's API."""
        return [
            Route("POST", "/orders", self._create),
            Route("GET", "/orders", self._search),
            Route("GET", "/orders/{id}", self._fetch),
            Route("GET", "/shops/{shop}", self._status),
            Route("GET", "/shops/{shop}/menu", self._menu),
        ]

    def ledger(self) -> Ledger:
        """Return what staff would see: every order, since Corner has no unpaid ones."""
        return Ledger(entries=tuple(_entry(order) for order in self.shop.orders.values()))

    def start_afresh(self) -> None:
        """Restore the first menu, and remove all orders."""
        self.shop = Shop()

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """Return the settings for a connection to this simulator."""
        return {"base_url": url, "access_token": TOKEN, "shop": SHOP}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Return Corner's answer for a failure that is injected."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return Answer.of(
            {"error": {"code": "FAILED", "message": f"status {status}"}}, status, headers
        )

    @action
    def renumber(self, item_id: str, new_id: str) -> None:
        """Give an item another id, so that orders with the old one are refused."""
        self.shop.items[new_id] = {**self.shop.items.pop(item_id), "id": new_id}

    @action
    def close(self) -> None:
        """Close the shop."""
        self.shop.open = False

    def _create(self, call: Call) -> Answer:
        if refusal := self._unauthorised(call):
            return refusal
        if not self.shop.open:
            return _refuse("CLOSED", "The shop is closed")
        order: Json = json.loads(call.body)
        for index, line in enumerate(order["lines"]):
            item = self.shop.items.get(line["item"])
            if item is None:
                return _refuse("NO_SUCH_ITEM", f"line {index}: no item {line['item']}")
            if item["sold_out"]:
                return _refuse("SOLD_OUT", f"line {index}: {item['name']} is sold out")
        order["id"] = f"C{len(self.shop.orders) + 1}"
        order["total"] = order["paid"]
        order["status"] = "NEW"
        self.shop.orders[order["id"]] = order
        return Answer.of(order, 201)

    def _search(self, call: Call) -> Answer:
        if refusal := self._unauthorised(call):
            return refusal
        reference = call.query.get("reference")
        orders = self.shop.orders.values()
        return Answer.of({"orders": [each for each in orders if each["reference"] == reference]})

    def _fetch(self, call: Call) -> Answer:
        if refusal := self._unauthorised(call):
            return refusal
        order = self.shop.orders.get(call.path_values["id"])
        if order is None:
            return _refuse("BAD_ORDER", "no such order")
        return Answer.of(order)

    def _status(self, call: Call) -> Answer:
        if refusal := self._unauthorised(call):
            return refusal
        return Answer.of({"open": self.shop.open, "register_online": True})

    def _menu(self, call: Call) -> Answer:
        if refusal := self._unauthorised(call):
            return refusal
        return Answer.of({"currency": "AUD", "items": list(self.shop.items.values())})

    def _unauthorised(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") == f"Bearer {TOKEN}":
            return None
        return Answer.of({"error": {"code": "BAD_TOKEN", "message": "Unknown token"}}, 401)


def _refuse(code: str, message: str) -> Answer:
    return Answer.of({"error": {"code": code, "message": message}}, 422)


def _entry(order: Mapping[str, Any]) -> LedgerEntry:
    return LedgerEntry(
        reference=order["reference"],
        order_id=order["id"],
        shown=True,
        settled=True,
        cancelled=False,
        state=order["status"],
        total=order["total"],
        paid=order["total"],
        currency="AUD",
        lines=tuple(
            LedgerLine(
                name=line["item"],
                item_id=line["item"],
                quantity=Decimal(line["quantity"]),
                unit_price=line["price"],
            )
            for line in order["lines"]
        ),
        note=order["note"],
    )
