"""A caller of the simulator over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, cast

import httpx

from tillpost.simulator import Running
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

Json: TypeAlias = dict[str, Any]
COMPANY = "/v1/companies/5678"
HERE = f"{COMPANY}/sites/2301"


class Caller:
    """Calls a running simulator with its initial token.

    Paths are relative to the company, and get the suffix `.json`.
    """

    def __init__(self, running: Running[KountaSimulator]) -> None:
        self.simulator = running.simulator
        self.url = running.url
        self.settings = running.settings
        self.client = httpx.Client(base_url=running.url, timeout=60)
        self.client.headers["Authorization"] = f"Bearer {running.settings['access_token']}"

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request to any path."""
        return self.client.request(method, path, **options)

    def get(self, path: str, **query: str | float) -> httpx.Response:
        """Send a GET."""
        return self.ask("GET", f"{COMPANY}/{path}.json", params=query)

    def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a POST with JSON."""
        sent = {"Content-Type": "application/json"}
        if headers is not None:
            sent.update(headers)
        return self.ask(
            "POST",
            f"{COMPANY}/{path}.json",
            content=json.dumps(body),
            headers=sent,
        )

    def put(self, path: str, body: object) -> httpx.Response:
        """Send a PUT with JSON."""
        return self.ask("PUT", f"{COMPANY}/{path}.json", json=body)

    def delete(self, path: str) -> httpx.Response:
        """Send a DELETE."""
        return self.ask("DELETE", f"{COMPANY}/{path}.json")

    def place(self, *lines: Json, **more: object) -> int:
        """Create an order and return its id, which is in `Location`."""
        answer = self.post("orders", order_of(*lines, **more))
        assert answer.status_code == 201, answer.text
        location: str = answer.headers["Location"]
        file_name = location.rpartition("/")[2]
        return int(file_name.removesuffix(".json"))

    def order(self, order_id: int) -> Json:
        """Return one order with all its fields."""
        answer = self.get(f"orders/{order_id}")
        return cast("Json", answer.json())

    def listed(self, path: str = "orders", **query: str | float) -> list[Json]:
        """Return one page of a list."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return cast("list[Json]", answer.json())

    def refusal(self, *lines: Json, **more: object) -> str:
        """Return the text with which an order is refused."""
        answer = self.post("orders", order_of(*lines, **more))
        assert answer.status_code == 400, answer.text
        return cast("str", answer.json()["error_description"])


Start: TypeAlias = Callable[[KountaSettings], AbstractContextManager[Caller]]


def line(product_id: int = 5312, quantity: float = 1, **more: object) -> Json:
    """Return a line, by default a BLT toastie."""
    return {
        "product_id": product_id,
        "quantity": quantity,
        **more,
    }


def order_of(*lines: Json, **more: object) -> Json:
    """Return an order that is paid online, by default one BLT toastie."""
    payment = {
        "method_id": 12,
        "amount": 14.5,
        "ref": "ord-1",
    }
    return {
        "site_id": 2301,
        "status": "SUBMITTED",
        "sale_number": "ord-1",
        "lines": list(lines or (line(),)),
        "payments": [payment],
        "placed_at": "2026-11-23T11:52:07+11:00",
        **more,
    }
