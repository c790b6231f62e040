"""The Kounta simulator: its addresses, and the way every request takes through them.

    simulator = KountaSimulator()
    with serve_in_thread(simulator) as running:
        Till.connect("kounta", **running.settings)

A request passes these, in order: is there such an address, does it say that it wants JSON, does its
body say that it is JSON, whose is it, is there budget left, is the company its own; then its
operation. A refusal anywhere leaves the world as it was.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tillpost.simulator import Answer, Call, FaultPlan, Ledger, Route
from tillpost_simulators.kounta import (
    access,
    customers_api,
    menu_api,
    order_lists,
    orders,
    places_api,
    webhooks,
)
from tillpost_simulators.kounta import stock as beginning
from tillpost_simulators.kounta.actions import CompanyActions
from tillpost_simulators.kounta.errors import Refusal, bad_request, of_status
from tillpost_simulators.kounta.register import ledger
from tillpost_simulators.kounta.settings import KountaSettings
from tillpost_simulators.kounta.wire import Misfit
from tillpost_simulators.kounta.world import Window, World

Handler: TypeAlias = Callable[[World, Call], Answer]


class Operation(NamedTuple):
    """An operation: its method, where it is under `/v1/`, and who carries it out. Each address may end in `.json`."""

    method: str
    path: str
    handler: Handler


_COMPANY = "companies/{company}"

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "sites_status", places_api.sites_status),
    Operation("GET", _COMPANY, places_api.get_company),
    Operation("GET", f"{_COMPANY}/status", places_api.company_status),
    Operation("GET", f"{_COMPANY}/sites", places_api.list_sites),
    Operation("GET", f"{_COMPANY}/sites/{{site}}", places_api.get_site),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/status", places_api.site_status),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/registers", places_api.list_registers),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/products", menu_api.list_products),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/products/{{product}}", menu_api.get_product),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/categories", menu_api.list_categories),
    Operation(
        "GET", f"{_COMPANY}/sites/{{site}}/categories/{{category}}/products", menu_api.list_products
    ),
    Operation("GET", f"{_COMPANY}/sites/{{site}}/inventory", menu_api.list_inventory),
    Operation("GET", f"{_COMPANY}/registers", places_api.list_registers),
    Operation("GET", f"{_COMPANY}/products", menu_api.list_products),
    Operation("GET", f"{_COMPANY}/products/{{product}}", menu_api.get_product),
    Operation("GET", f"{_COMPANY}/products/{{product}}/modifiers", menu_api.list_modifiers),
    Operation(
        "GET", f"{_COMPANY}/products/{{product}}/categories", menu_api.list_product_categories
    ),
    Operation("GET", f"{_COMPANY}/categories", menu_api.list_categories),
    Operation("GET", f"{_COMPANY}/categories/{{category}}/products", menu_api.list_products),
    Operation("GET", f"{_COMPANY}/taxes", menu_api.list_taxes),
    Operation("GET", f"{_COMPANY}/price_lists", menu_api.list_price_lists),
    Operation("GET", f"{_COMPANY}/price_lists/{{price_list}}", menu_api.get_price_list),
    Operation("GET", f"{_COMPANY}/payment_methods", menu_api.list_payment_methods),
    Operation("GET", f"{_COMPANY}/customers", customers_api.list_customers),
    Operation("POST", f"{_COMPANY}/customers", customers_api.create_customer),
    Operation("GET", f"{_COMPANY}/customers/{{customer}}", customers_api.get_customer),
    Operation("PUT", f"{_COMPANY}/customers/{{customer}}", customers_api.update_customer),
    Operation("GET", f"{_COMPANY}/webhooks", webhooks.list_webhooks),
    Operation("POST", f"{_COMPANY}/webhooks", webhooks.create_webhook),
    Operation("GET", f"{_COMPANY}/webhooks/{{webhook}}", webhooks.get_webhook),
    Operation("PUT", f"{_COMPANY}/webhooks/{{webhook}}", webhooks.update_webhook),
    Operation("DELETE", f"{_COMPANY}/webhooks/{{webhook}}", webhooks.delete_webhook),
    Operation("POST", f"{_COMPANY}/orders", orders.create_order),
    Operation("GET", f"{_COMPANY}/orders/saleid/{{sale_id}}", order_lists.by_sale_id),
    Operation("GET", f"{_COMPANY}/orders/{{order:id}}", orders.get_order),
    Operation("PUT", f"{_COMPANY}/orders/{{order:id}}", orders.update_order),
    Operation("DELETE", f"{_COMPANY}/orders/{{order:id}}", orders.delete_order),
)

_DEEPEST = 14
"""How many steps an address can have after `/v1`: lists of orders combine any number of filters."""


def _pattern(path: str) -> re.Pattern[str]:
    digits = re.sub(r"\{(\w+):id\}", r"(?P<\1>\\d+)", path)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", digits))


_PATTERNS = tuple((operation, _pattern(operation.path)) for operation in OPERATIONS)


class KountaSimulator(CompanyActions):
    """One company at Kounta, on a server of its own.

    `settings` says how the world begins, and what Kounta leaves open; `faults` is the fault plan to
    begin with.
    """

    def __init__(
        self, settings: KountaSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        super().__init__(faults)
        self.settings = settings or KountaSettings()
        self.sender = webhooks.Sender()
        self._beginning: World | None = None
        self._world = beginning.new_world(self.settings)

    @property
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""
        return self._world

    def routes(self) -> Sequence[Route]:
        """Every address that there can be; which of them there is, each request is told as Kounta would tell it."""
        steps = [f"{{step{number}}}" for number in range(1, _DEEPEST + 1)]
        return [
            Route("GET", "/authorize", self._authorize),
            Route("POST", "/v1/token", self._token_endpoint),
            Route("POST", "/v1/token.json", self._token_endpoint),
            *(
                Route(method, "/v1/" + "/".join(steps[:depth]), self._enter)
                for depth in range(1, _DEEPEST + 1)
                for method in ("GET", "POST", "PUT", "DELETE")
            ),
        ]

    def ledger(self) -> Ledger:
        """What staff would see now."""
        with self.lock:
            return ledger(self._world)

    @property
    def sent(self) -> tuple[webhooks.Sent, ...]:
        """What Kounta has told by itself so far, oldest first: callbacks and webhooks, sent or only recorded."""
        with self.lock:
            return tuple(self.sender.recorded)

    def tell(self) -> None:
        """Sends what the world has to tell."""
        for request in webhooks.due(self._world):
            self.sender.take(request)

    def wait_for_sending(self) -> None:
        """Waits until what was told by now has been sent. Not for a thread that holds the lock."""
        self.sender.wait()

    def start_afresh(self) -> None:
        """Puts the world back to where it began, or to where `remember` was last called."""
        self._world = (
            copy.deepcopy(self._beginning)
            if self._beginning
            else beginning.new_world(self.settings)
        )
        self.sender.forget()

    def remember(self) -> None:
        """Takes the present state as the one that `reset` goes back to."""
        with self.lock:
            self._beginning = copy.deepcopy(self._world)

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """What a till needs. `base_url` is without `/v1`."""
        return {
            "base_url": url,
            "access_token": self.settings.access_token,
            "company_id": str(self.settings.company_id),
            "site_id": str(self.settings.site_id),
            "payment_method_id": str(self.settings.payment_method_id),
        }

    def application(self) -> Mapping[str, str]:
        """What `tillpost connect` is tried with."""
        return {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Kounta's words for a status that no operation chose. A 429 tells when the minute ends."""
        headers: dict[str, str] = {}
        if status == 429:
            window = self._world.windows.get(self.settings.access_token) or Window(
                self._world.clock.now()
            )
            headers = access.budget(self._world, window, self.settings.oauth_limit) | {
                "X-Ratelimit-Remaining": "0"
            }
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return of_status(status, headers).answer(self._world.behaviour.error_style)

    def down(self) -> Answer | None:
        """503 while there is an outage."""
        return self.failure(503) if self._world.outage else None

    def _enter(self, call: Call) -> Answer:
        headers: dict[str, str] = {}
        try:
            answer = self._carry_out(call, headers)
        except Refusal as refusal:
            answer = refusal.answer(self._world.behaviour.error_style)
        self.tell()
        return replace(answer, headers={**headers, **answer.headers})

    def _carry_out(self, call: Call, headers: dict[str, str]) -> Answer:
        path = call.path.removeprefix("/v1/")
        suffixed = path.endswith(".json")
        path = path.removesuffix(".json")
        if not suffixed and "application/json" not in call.headers.get("accept", ""):
            raise of_status(406)
        _check_content_type(call)
        headers.update(access.check_access(self._world, call))
        operation, values = _find(call.method, path)
        if "company" in values:
            access.check_company(self._world, values["company"])
        try:
            return operation(self._world, replace(call, path_values=values))
        except Misfit as misfit:
            raise bad_request(str(misfit)) from misfit

    def _token_endpoint(self, call: Call) -> Answer:
        return self._open(access.obtain_token, call)

    def _authorize(self, call: Call) -> Answer:
        return self._open(access.authorize, call)

    def _open(self, handler: Handler, call: Call) -> Answer:
        try:
            return handler(self._world, call)
        except Refusal as refusal:
            return refusal.answer(self._world.behaviour.error_style)


def _find(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """The operation at an address. Refuses an address that there isn't, and a method that it doesn't have."""
    hits = [
        (operation, hit) for operation, pattern in _PATTERNS if (hit := pattern.fullmatch(path))
    ]
    for operation, hit in hits:
        if operation.method == method:
            return operation.handler, hit.groupdict()
    steps = path.split("/")
    if method == "GET" and steps[0] == "companies" and "orders" in steps[2:]:
        return lambda world, call: order_lists.list_orders(world, call, steps[2:]), {
            "company": steps[1]
        }
    raise of_status(405 if hits else 404)


def _check_content_type(call: Call) -> None:
    """A body must say that it is JSON; anything else gets 400 (vendor's page)."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if call.method in ("POST", "PUT") and kind != "application/json":
        # unconfirmed: the text; a call with another content type would tell.
        raise bad_request("The Content-Type must be application/json.")
