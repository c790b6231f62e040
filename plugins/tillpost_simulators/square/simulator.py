"""The simulated Square: its addresses, and the checks that every request passes.

    with serve_in_thread(SquareSimulator()) as running:
        Till.connect("square", **running.settings)

The checks are, in this order: the API version, the token and its scopes, the body. Then the
operation runs. A refused request changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import format_datetime
from typing import NamedTuple, TypeAlias, cast

from tillpost.simulator import Answer, Call, FaultPlan, Ledger, LedgerEntry, Route, Section
from tillpost.simulator.sender import Sender, Sent
from tillpost_simulators.square import (
    access,
    catalogue_api,
    locations,
    order_search,
    order_updates,
    orders,
    payments,
    webhooks,
)
from tillpost_simulators.square.actions import MerchantActions
from tillpost_simulators.square.errors import Refusal, bad_request, of_status
from tillpost_simulators.square.register import ledger
from tillpost_simulators.square.register_view import register_rows
from tillpost_simulators.square.stock import new_world
from tillpost_simulators.square.world import Replay, World, WorldSettings, digest_of

Handler: TypeAlias = Callable[[World, Call], Answer]


class Operation(NamedTuple):
    """An operation of the spec.

    `scopes` are what its token needs; None means that it needs no bearer token.
    """

    name: str
    method: str
    path: str
    handler: Handler
    scopes: tuple[str, ...] | None


_ORDERS_READ = ("ORDERS_READ",)
_ORDERS_WRITE = ("ORDERS_WRITE",)
_PAYMENTS_READ = ("PAYMENTS_READ",)
_PAYMENTS_WRITE = ("PAYMENTS_WRITE",)
_ITEMS_READ = ("ITEMS_READ",)
_MERCHANT_READ = ("MERCHANT_PROFILE_READ",)

OPERATIONS: tuple[Operation, ...] = (
    Operation("CreateOrder", "POST", "/v2/orders", orders.create_order, _ORDERS_WRITE),
    Operation("CalculateOrder", "POST", "/v2/orders/calculate", orders.calculate_order, ()),
    Operation(
        "BatchRetrieveOrders",
        "POST",
        "/v2/orders/batch-retrieve",
        orders.batch_retrieve_orders,
        _ORDERS_READ,
    ),
    Operation(
        "SearchOrders", "POST", "/v2/orders/search", order_search.search_orders, _ORDERS_READ
    ),
    Operation("RetrieveOrder", "GET", "/v2/orders/{order_id}", orders.retrieve_order, _ORDERS_READ),
    Operation(
        "UpdateOrder", "PUT", "/v2/orders/{order_id}", order_updates.update_order, _ORDERS_WRITE
    ),
    Operation(
        "PayOrder",
        "POST",
        "/v2/orders/{order_id}/pay",
        orders.pay_order,
        _PAYMENTS_WRITE + _ORDERS_WRITE,
    ),
    Operation("ListPayments", "GET", "/v2/payments", payments.list_payments, _PAYMENTS_READ),
    Operation("CreatePayment", "POST", "/v2/payments", payments.create_payment, _PAYMENTS_WRITE),
    Operation(
        "CancelPaymentByIdempotencyKey",
        "POST",
        "/v2/payments/cancel",
        payments.cancel_payment_by_key,
        _PAYMENTS_WRITE,
    ),
    Operation(
        "GetPayment", "GET", "/v2/payments/{payment_id}", payments.get_payment, _PAYMENTS_READ
    ),
    Operation("ListCatalog", "GET", "/v2/catalog/list", catalogue_api.list_catalog, _ITEMS_READ),
    Operation(
        "SearchCatalogObjects",
        "POST",
        "/v2/catalog/search",
        catalogue_api.search_catalog,
        _ITEMS_READ,
    ),
    Operation(
        "BatchRetrieveCatalogObjects",
        "POST",
        "/v2/catalog/batch-retrieve",
        catalogue_api.batch_retrieve_objects,
        _ITEMS_READ,
    ),
    Operation("CatalogInfo", "GET", "/v2/catalog/info", catalogue_api.catalog_info, _ITEMS_READ),
    Operation(
        "RetrieveCatalogObject",
        "GET",
        "/v2/catalog/object/{object_id}",
        catalogue_api.retrieve_object,
        _ITEMS_READ,
    ),
    Operation("ListLocations", "GET", "/v2/locations", locations.list_locations, _MERCHANT_READ),
    Operation(
        "RetrieveLocation",
        "GET",
        "/v2/locations/{location_id}",
        locations.retrieve_location,
        _MERCHANT_READ,
    ),
    Operation(
        "RetrieveMerchant",
        "GET",
        "/v2/merchants/{merchant_id}",
        locations.retrieve_merchant,
        _MERCHANT_READ,
    ),
    Operation("Authorize", "GET", "/oauth2/authorize", access.authorize, None),
    Operation("ObtainToken", "POST", "/oauth2/token", access.obtain_token, None),
    Operation("RevokeToken", "POST", "/oauth2/revoke", access.revoke_token, None),
    Operation("RetrieveTokenStatus", "POST", "/oauth2/token/status", access.token_status, None),
)

_OPERATIONS_WITH_KEY = frozenset({"CreateOrder", "PayOrder", "CreatePayment"})


class SquareSimulator(MerchantActions):
    """One merchant at Square, on its own server.

    Args:
        settings: The initial state (currency, taxes, ids, page sizes), and how Square behaves where
            its documents are silent.
        faults: The fault plan to start with; no faults by default.
    """

    def __init__(
        self, settings: WorldSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        self.settings = settings or WorldSettings()
        self.sender = Sender()
        super().__init__(faults)

    def new_world(self) -> World:
        """Return the merchant in its initial state."""
        return new_world(self.settings)

    def start_afresh(self) -> None:
        """Restore the initial state, and forget the webhooks that were sent."""
        super().start_afresh()
        self.sender.clear()

    def routes(self) -> Sequence[Route]:
        """Return the address of every operation."""
        return [
            Route(operation.method, operation.path, self._with_checks(operation))
            for operation in OPERATIONS
        ]

    def ledger(self) -> Ledger:
        """Return the orders as staff see them now."""
        with self.lock:
            return ledger(self.world)

    def register_rows(self, entry: LedgerEntry) -> Sequence[Section]:
        """Return the sections of an order's view, as the register shows it."""
        return register_rows(self.world.orders[entry.order_id])

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """Return the settings that connect a till."""
        return {
            "base_url": url,
            "access_token": self.settings.access_token,
            "location_id": self.settings.location_id,
        }

    def application(self) -> Mapping[str, str]:
        """Return the OAuth application, to try `tillpost connect` with."""
        return {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Return Square's answer for a status that no operation chose."""
        answer = of_status(status).answer()
        if retry_after is None:
            return answer
        return replace(answer, headers={"Retry-After": str(retry_after)})

    # --- webhooks ---

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The webhooks so far, oldest first, sent or only recorded."""
        with self.lock:
            return tuple(self.sender.recorded)

    def after_action(self) -> None:
        """Send the webhooks that are due."""
        self._send_webhooks()

    def deliver_webhooks(self) -> None:
        """Send all webhooks that wait, and once more those that weren't taken.

        It returns when all were sent. Not for a thread that holds the lock.
        """
        self._send_webhooks(whole=True)
        for request in self.sender.wait():
            self.sender.send(request)
        self.sender.wait()

    def _send_webhooks(self, *, whole: bool = False) -> None:
        with self.lock:
            webhooks.announce(self.world)
            for request in webhooks.take_waiting(self.world, whole=whole):
                self.sender.send(request)

    # --- requests ---

    def _with_checks(self, operation: Operation) -> Callable[[Call], Answer]:
        def handle(call: Call) -> Answer:
            try:
                version = access.check_version(call)
                if operation.scopes is not None:
                    access.check_access(self.world, call, operation.scopes)
                _check_body(call)
                answer = operation.handler(self.world, call)
            except Refusal as refusal:
                return self._refused(operation, call, refusal)
            # The date is that of the simulator's clock, as all other times of the answer.
            date = format_datetime(self.world.clock.now(), usegmt=True)
            headers = {**answer.headers, "Square-Version": version, "Date": date}
            self._send_webhooks()
            return replace(answer, headers=headers)

        return handle

    def _refused(self, operation: Operation, call: Call, refusal: Refusal) -> Answer:
        """Return the refusal, and use up the idempotency key if the settings say so."""
        answer = refusal.answer()
        if not self.settings.refusals_burn_keys or operation.name not in _OPERATIONS_WITH_KEY:
            return answer
        key = _idempotency_key(call.body)
        if key and refusal.status not in (401, 403):
            replay = Replay(digest_of(call.body), answer)
            self.world.replays.setdefault((operation.name, key), replay)
        return answer


def _check_body(call: Call) -> None:
    """Refuse a body that isn't a JSON object, or isn't declared as JSON."""
    if call.method not in ("POST", "PUT") or not call.body:
        return
    content_type = call.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        # unconfirmed: the code and status; a call to the sandbox with another content type would
        # show it.
        detail = f"The content type `{media_type}` is not application/json."
        raise bad_request("INVALID_CONTENT_TYPE", detail)
    try:
        body: object = json.loads(call.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_request("EXPECTED_JSON_BODY", "The request body must be a JSON object.")


def _idempotency_key(body: bytes) -> str | None:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    key = cast("dict[str, object]", parsed).get("idempotency_key")
    return key if isinstance(key, str) else None
