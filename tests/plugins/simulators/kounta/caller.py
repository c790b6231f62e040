"""A caller of the simulator, over real HTTP: the calls that tests make."""

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
    """Calls a running simulator with the token that it began with. Paths are those after the company, in `.json`."""

    def __init__(self, running: Running[KountaSimulator]) -> None:
        self.simulator = running.simulator
        self.url = running.url
        self.settings = running.settings
        self.client = httpx.Client(base_url=running.url, timeout=10)
        self.client.headers["Authorization"] = f"Bearer {running.settings['access_token']}"

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request to any path, whatever its answer."""
        return self.client.request(method, path, **options)

    def get(self, path: str, **query: str | float) -> httpx.Response:
        """A GET of a path after the company."""
        return self.ask("GET", f"{COMPANY}/{path}.json", params=query)

    def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """A POST of JSON to a path after the company."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return self.ask("POST", f"{COMPANY}/{path}.json", content=json.dumps(body), headers=sent)

    def put(self, path: str, body: object) -> httpx.Response:
        """A PUT of JSON to a path after the company."""
        return self.ask("PUT", f"{COMPANY}/{path}.json", json=body)

    def delete(self, path: str) -> httpx.Response:
        """A DELETE of a path after the company."""
        return self.ask("DELETE", f"{COMPANY}/{path}.json")

    def place(self, *lines: Json, **more: object) -> int:
        """Makes an order and returns its id, which is in `Location`."""
        answer = self.post("orders", order_of(*lines, **more))
        assert answer.status_code == 201, answer.text
        return int(answer.headers["Location"].rpartition("/")[2].removesuffix(".json"))

    def order(self, order_id: int) -> Json:
        """One order, whole."""
        return cast("Json", self.get(f"orders/{order_id}").json())

    def listed(self, path: str = "orders", **query: str | float) -> list[Json]:
        """One page of a list."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return cast("list[Json]", answer.json())

    def refusal(self, *lines: Json, **more: object) -> str:
        """The text with which an order is refused."""
        answer = self.post("orders", order_of(*lines, **more))
        assert answer.status_code == 400, answer.text
        return cast("str", answer.json()["error_description"])


Start: TypeAlias = Callable[[KountaSettings], AbstractContextManager[Caller]]


def line(product_id: int = 5312, quantity: float = 1, **more: object) -> Json:
    """A line; a BLT toastie unless told otherwise."""
    return {"product_id": product_id, "quantity": quantity, **more}


def order_of(*lines: Json, **more: object) -> Json:
    """An order that is paid for online; one BLT toastie unless told otherwise."""
    return {
        "site_id": 2301,
        "status": "SUBMITTED",
        "sale_number": "ord-1",
        "lines": list(lines or (line(),)),
        "payments": [{"method_id": 12, "amount": 14.5, "ref": "ord-1"}],
        "placed_at": "2026-11-23T11:52:07+11:00",
        **more,
    }
