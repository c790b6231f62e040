"""The simulated Kounta: its addresses, and the checks that every request passes.

    with serve_in_thread(KountaSimulator()) as running:
        Till.connect("kounta", **running.settings)

The checks are, in this order: the request accepts JSON, its body is declared as JSON, the
credential is valid and has budget left, the address exists, the company is the credential's own.
Then the operation runs. A refused request changes nothing but the budget.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tillpost.simulator import Answer, Call, FaultPlan, Ledger, LedgerEntry, Route, Section
from tillpost.simulator.sender import Sender, Sent
from tillpost_simulators.kounta import (
    access,
    customers_api,
    menu_api,
    order_lists,
    orders,
    sites_api,
    webhooks,
)
from tillpost_simulators.kounta.actions import CompanyActions
from tillpost_simulators.kounta.errors import Refusal, bad_request, of_status
from tillpost_simulators.kounta.register import ledger
from tillpost_simulators.kounta.register_view import register_rows
from tillpost_simulators.kounta.settings import KountaSettings
from tillpost_simulators.kounta.stock import new_world
from tillpost_simulators.kounta.wire import InvalidBody
from tillpost_simulators.kounta.world import Window, World

Handler: TypeAlias = Callable[[World, Call], Answer]


class Operation(NamedTuple):
    """An operation: its method, its path under `/v1/`, its handler.

    Each address may end in `.json`. A part `{name:id}` matches digits only.
    """

    method: str
    path: str
    handler: Handler


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "sites_status", sites_api.sites_status),
    Operation("GET", "companies/{company}", sites_api.get_company),
    Operation("GET", "companies/{company}/status", sites_api.company_status),
    Operation("GET", "companies/{company}/sites", sites_api.list_sites),
    Operation("GET", "companies/{company}/sites/{site}", sites_api.get_site),
    Operation("GET", "companies/{company}/sites/{site}/status", sites_api.site_status),
    Operation("GET", "companies/{company}/sites/{site}/registers", sites_api.list_registers),
    Operation("GET", "companies/{company}/sites/{site}/products", menu_api.list_products),
    Operation("GET", "companies/{company}/sites/{site}/products/{product}", menu_api.get_product),
    Operation("GET", "companies/{company}/sites/{site}/categories", menu_api.list_categories),
    Operation(
        "GET",
        "companies/{company}/sites/{site}/categories/{category}/products",
        menu_api.list_products,
    ),
    Operation("GET", "companies/{company}/sites/{site}/inventory", menu_api.list_inventory),
    Operation("GET", "companies/{company}/registers", sites_api.list_registers),
    Operation("GET", "companies/{company}/products", menu_api.list_products),
    Operation("GET", "companies/{company}/products/{product}", menu_api.get_product),
    Operation("GET", "companies/{company}/products/{product}/modifiers", menu_api.list_modifiers),
    Operation(
        "GET", "companies/{company}/products/{product}/categories", menu_api.list_product_categories
    ),
    Operation("GET", "companies/{company}/categories", menu_api.list_categories),
    Operation("GET", "companies/{company}/categories/{category}/products", menu_api.list_products),
    Operation("GET", "companies/{company}/taxes", menu_api.list_taxes),
    Operation("GET", "companies/{company}/price_lists", menu_api.list_price_lists),
    Operation("GET", "companies/{company}/price_lists/{price_list}", menu_api.get_price_list),
    Operation("GET", "companies/{company}/payment_methods", menu_api.list_payment_methods),
    Operation("GET", "companies/{company}/customers", customers_api.list_customers),
    Operation("POST", "companies/{company}/customers", customers_api.create_customer),
    Operation("GET", "companies/{company}/customers/{customer}", customers_api.get_customer),
    Operation("PUT", "companies/{company}/customers/{customer}", customers_api.update_customer),
    Operation("GET", "companies/{company}/webhooks", webhooks.list_webhooks),
    Operation("POST", "companies/{company}/webhooks", webhooks.create_webhook),
    Operation("GET", "companies/{company}/webhooks/{webhook}", webhooks.get_webhook),
    Operation("PUT", "companies/{company}/webhooks/{webhook}", webhooks.update_webhook),
    Operation("DELETE", "companies/{company}/webhooks/{webhook}", webhooks.delete_webhook),
    Operation("POST", "companies/{company}/orders", orders.create_order),
    Operation("GET", "companies/{company}/orders/saleid/{sale_id}", order_lists.by_sale_id),
    Operation("GET", "companies/{company}/orders/{order:id}", orders.get_order),
    Operation("PUT", "companies/{company}/orders/{order:id}", orders.update_order),
    Operation("DELETE", "companies/{company}/orders/{order:id}", orders.delete_order),
)

_MAX_STEPS = 14
"""How many parts an address can have after `/v1`.

Lists of orders combine any number of filters.
"""

_METHODS = ("GET", "POST", "PUT", "DELETE")


def _pattern(path: str) -> re.Pattern[str]:
    with_ids = re.sub(r"\{(\w+):id\}", r"(?P<\1>\\d+)", path)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", with_ids))


_PATTERNS = tuple((operation, _pattern(operation.path)) for operation in OPERATIONS)


class KountaSimulator(CompanyActions):
    """One company at Kounta, on its own server.

    Args:
        settings: The initial state, and how Kounta behaves where its documents are silent.
        faults: The fault plan to start with; no faults by default.
    """

    def __init__(
        self, settings: KountaSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        self.settings = settings or KountaSettings()
        self.sender = Sender()
        super().__init__(faults)

    def new_world(self) -> World:
        """Return the company in its initial state."""
        return new_world(self.settings)

    def routes(self) -> Sequence[Route]:
        """Return every possible address; `_find_operation` decides which of them exist."""
        steps = [f"{{step{number}}}" for number in range(1, _MAX_STEPS + 1)]
        routes = [
            Route("GET", "/authorize", self._authorize),
            Route("POST", "/v1/token", self._token_endpoint),
            Route("POST", "/v1/token.json", self._token_endpoint),
        ]
        for depth in range(1, _MAX_STEPS + 1):
            path = "/v1/" + "/".join(steps[:depth])
            routes += [Route(method, path, self._handle) for method in _METHODS]
        return routes

    def ledger(self) -> Ledger:
        """Return the orders as staff see them now."""
        with self.lock:
            return ledger(self.world)

    def start_afresh(self) -> None:
        """Restore the initial world, or the one that `remember` saved.

        What was sent is forgotten.
        """
        super().start_afresh()
        self.sender.clear()

    def register_rows(self, entry: LedgerEntry) -> Sequence[Section]:
        """Return the sections of an order's view, as the register shows it."""
        return register_rows(self.world, self.world.orders[int(entry.order_id)])

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """Return the settings that connect a till. `base_url` is without `/v1`."""
        return {
            "base_url": url,
            "access_token": self.settings.access_token,
            "company_id": str(self.settings.company_id),
            "site_id": str(self.settings.site_id),
            "payment_method_id": str(self.settings.payment_method_id),
        }

    def application(self) -> Mapping[str, str]:
        """Return the OAuth application, to try `tillpost connect` with."""
        return {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Return Kounta's answer for a status that no operation chose.

        A 429 reports when the minute ends.
        """
        headers: dict[str, str] = {}
        if status == 429:
            window = self.world.windows.get(self.settings.access_token)
            if window is None:
                window = Window(self.world.clock.now())
            headers = access.budget_headers(window, self.settings.oauth_limit)
            headers["X-Ratelimit-Remaining"] = "0"
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return self._refused(of_status(status, headers))

    # --- callbacks and webhooks ---

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The callbacks and webhooks so far, oldest first, sent or only recorded."""
        with self.lock:
            return tuple(self.sender.recorded)

    def send_events(self) -> None:
        """Send callbacks and webhooks for the events since the last call."""
        for request in webhooks.requests_for_events(self.world):
            self.sender.send(request)

    def after_action(self) -> None:
        """Send callbacks and webhooks for what the action changed."""
        self.send_events()

    def wait_for_sending(self) -> None:
        """Wait until every request so far was sent. Not for a thread that holds the lock."""
        self.sender.wait()

    # --- requests ---

    def _handle(self, call: Call) -> Answer:
        budget_headers: dict[str, str] = {}
        try:
            answer = self._run_operation(call, budget_headers)
        except Refusal as refusal:
            answer = self._refused(refusal)
        self.send_events()
        return replace(answer, headers={**budget_headers, **answer.headers})

    def _run_operation(self, call: Call, budget_headers: dict[str, str]) -> Answer:
        """Check a request and run its operation.

        Adds to `budget_headers` once access is given.
        """
        path = call.path.removeprefix("/v1/")
        accepts_json = "application/json" in call.headers.get("accept", "")
        if not accepts_json and not path.endswith(".json"):
            raise of_status(406)
        _check_content_type(call)
        budget_headers.update(access.check_access(self.world, call))
        handler, path_values = _find_operation(call.method, path.removesuffix(".json"))
        if "company" in path_values:
            access.check_company(self.world, path_values["company"])
        try:
            return handler(self.world, replace(call, path_values=path_values))
        except InvalidBody as error:
            raise bad_request(str(error)) from error

    def _token_endpoint(self, call: Call) -> Answer:
        return self._without_access_check(access.obtain_token, call)

    def _authorize(self, call: Call) -> Answer:
        return self._without_access_check(access.authorize, call)

    def _without_access_check(self, handler: Handler, call: Call) -> Answer:
        try:
            return handler(self.world, call)
        except Refusal as refusal:
            return self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Answer:
        return refusal.answer(self.world.behaviour.error_style)


def _find_operation(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """Return the handler of an address, and the named parts of the path.

    Raises:
        Refusal: There is no such address (404), or it doesn't have this method (405).
    """
    exists = False
    for operation, pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if operation.method == method:
            return operation.handler, match.groupdict()
        exists = True
    steps = path.split("/")
    if method == "GET" and steps[0] == "companies" and "orders" in steps[2:]:
        return _order_list(steps[2:]), {"company": steps[1]}
    raise of_status(405 if exists else 404)


def _order_list(steps: Sequence[str]) -> Handler:
    def handler(world: World, call: Call) -> Answer:
        return order_lists.list_orders(world, call, steps)

    return handler


def _check_content_type(call: Call) -> None:
    """Refuse a body that isn't declared as JSON with 400 (vendor's page)."""
    content_type = call.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if call.method in ("POST", "PUT") and media_type != "application/json":
        # unconfirmed: the text; a call with another content type would show it.
        raise bad_request("The Content-Type must be application/json.")
