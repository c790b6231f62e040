"""A caller of the simulator over real HTTP, which checks each answer by what Square publishes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import httpx

from adapters.square.spec import SquareSpec, square_spec
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """An answer: its status and its JSON."""

    status: int
    body: Json

    @property
    def error(self) -> tuple[str, str]:
        """The code and the field of the first error."""
        first = self.body["errors"][0]
        return first["code"], first.get("field", "")

    @property
    def order(self) -> Json:
        """The order of a successful answer."""
        assert self.status == 200, self.body
        return cast("Json", self.body["order"])


class Shop:
    """Calls a running simulator with its first token. `spec` checks every answer."""

    def __init__(self, running: Running[SquareSimulator], spec: SquareSpec | None = None) -> None:
        self.simulator = running.simulator
        self.settings = running.settings
        self.client = httpx.Client(base_url=running.url, timeout=60)
        self.headers = {"Authorization": f"Bearer {running.settings['access_token']}"}
        self._spec = spec or square_spec()
        self._keys = itertools.count(1)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Reply:
        """Send one request."""
        sent = {"Content-Type": "application/json", **self.headers, **(headers or {})}
        content = None if body is None else json.dumps(body)
        response = self.client.request(method, path, content=content, headers=sent, params=query)
        known = method in ("GET", "POST", "PUT") and response.status_code not in (302, 405)
        if known and not path.startswith(("/_simulator", "/nowhere", "/oauth2/authorize")):
            self._spec.check_answer(method, path, response.status_code, response.content)
        return Reply(response.status_code, response.json() if response.content else {})

    def get(self, path: str, **query: str) -> Reply:
        """Send a GET."""
        return self.ask("GET", path, None, None, **query)

    def post(self, path: str, body: object) -> Reply:
        """Send a POST."""
        return self.ask("POST", path, body)

    def create(self, order: Json, key: str | None = None) -> Reply:
        """CreateOrder."""
        return self.post("/v2/orders", {"order": order} | ({"idempotency_key": key} if key else {}))

    def update(
        self, order_id: str, order: Json, key: str | None = None, clear: list[str] | None = None
    ) -> Reply:
        """UpdateOrder."""
        body: Json = {"order": order}
        if key:
            body["idempotency_key"] = key
        if clear:
            body["fields_to_clear"] = clear
        return self.ask("PUT", f"/v2/orders/{order_id}", body)

    def fetch(self, order_id: str) -> Json:
        """RetrieveOrder."""
        return self.get(f"/v2/orders/{order_id}").order

    def pay(
        self,
        order: Json,
        amount: int | None = None,
        tip: int = 0,
        key: str | None = None,
        **more: object,
    ) -> Reply:
        """CreatePayment for an order, by default of its total."""
        body: Json = {
            "idempotency_key": key or f"pay-{next(self._keys)}",
            "source_id": "EXTERNAL",
            "order_id": order["id"],
            "amount_money": aud(order["total_money"]["amount"] if amount is None else amount),
            "external_details": {"type": "EXTERNAL", "source": "Our site"},
        }
        if tip:
            body["tip_money"] = aud(tip)
        return self.post("/v2/payments", body | more)

    def paid(self, order: Json | None = None) -> Json:
        """Create an order, pay it and return it."""
        created = self.create(order or pickup()).order
        assert self.pay(created).status == 200
        return self.fetch(created["id"])


def aud(amount: int) -> Json:
    """Return an amount of Australian cents."""
    return {"amount": amount, "currency": "AUD"}


def line(item: str = "5312", quantity: str = "1", **more: object) -> Json:
    """Return a catalogue line, by default a BLT toastie."""
    return {"catalog_object_id": item, "quantity": quantity, **more}


def ad_hoc(name: str = "Special", price: int = 1000, quantity: str = "1", **more: object) -> Json:
    """Return an ad hoc line."""
    return {"name": name, "quantity": quantity, "base_price_money": aud(price), **more}


def order_of(*lines: Json, **more: object) -> Json:
    """Return an order without a fulfilment."""
    return {"location_id": "L-CAFE", "line_items": list(lines), **more}


def pickup(*lines: Json, reference: str = "ord-1", **more: object) -> Json:
    """Return an order for pickup as soon as possible, by default one BLT toastie."""
    details = {
        "recipient": {"display_name": "Mia Chen"},
        "schedule_type": "ASAP",
        "note": "Please add cutlery",
    }
    return order_of(
        *(lines or (line(),)),
        reference_id=reference,
        ticket_name="B42",
        pricing_options={"auto_apply_taxes": True},
        fulfillments=[{"type": "PICKUP", "pickup_details": details}],
        **more,
    )
