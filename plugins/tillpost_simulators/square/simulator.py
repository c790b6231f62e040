"""The Square simulator: its addresses, what each needs, and the way every request takes through them.

    simulator = SquareSimulator()
    with serve_in_thread(simulator) as running:
        Till.connect("square", **running.settings)

A request passes these, in order: the API version, the token and its scopes, the body; then its
operation. A refusal anywhere leaves the world as it was.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from email.utils import format_datetime
from typing import NamedTuple, TypeAlias, cast

from tillpost.simulator import Answer, Call, FaultPlan, Ledger, Route
from tillpost_simulators.square import (
    access,
    catalogue_api,
    order_search,
    orders,
    payments,
    places,
    updates,
)
from tillpost_simulators.square.actions import MerchantActions
from tillpost_simulators.square.errors import Refusal, bad_request, of_status
from tillpost_simulators.square.register import ledger
from tillpost_simulators.square.stock import new_world
from tillpost_simulators.square.world import Replay, World, WorldSettings, digest_of

Handler: TypeAlias = Callable[[World, Call], Answer]


class Operation(NamedTuple):
    """An operation of the spec: where it is, who carries it out, and the scopes it needs (None: no bearer token)."""

    name: str
    method: str
    path: str
    handler: Handler
    scopes: tuple[str, ...] | None


OPERATIONS: tuple[Operation, ...] = (
    Operation("CreateOrder", "POST", "/v2/orders", orders.create_order, ("ORDERS_WRITE",)),
    Operation("CalculateOrder", "POST", "/v2/orders/calculate", orders.calculate_order, ()),
    Operation(
        "BatchRetrieveOrders",
        "POST",
        "/v2/orders/batch-retrieve",
        orders.batch_retrieve_orders,
        ("ORDERS_READ",),
    ),
    Operation(
        "SearchOrders", "POST", "/v2/orders/search", order_search.search_orders, ("ORDERS_READ",)
    ),
    Operation(
        "RetrieveOrder", "GET", "/v2/orders/{order_id}", orders.retrieve_order, ("ORDERS_READ",)
    ),
    Operation(
        "UpdateOrder", "PUT", "/v2/orders/{order_id}", updates.update_order, ("ORDERS_WRITE",)
    ),
    Operation(
        "PayOrder",
        "POST",
        "/v2/orders/{order_id}/pay",
        orders.pay_order,
        ("PAYMENTS_WRITE", "ORDERS_WRITE"),
    ),
    Operation("ListPayments", "GET", "/v2/payments", payments.list_payments, ("PAYMENTS_READ",)),
    Operation(
        "CreatePayment", "POST", "/v2/payments", payments.create_payment, ("PAYMENTS_WRITE",)
    ),
    Operation(
        "CancelPaymentByIdempotencyKey",
        "POST",
        "/v2/payments/cancel",
        payments.cancel_payment_by_key,
        ("PAYMENTS_WRITE",),
    ),
    Operation(
        "GetPayment", "GET", "/v2/payments/{payment_id}", payments.get_payment, ("PAYMENTS_READ",)
    ),
    Operation(
        "ListCatalog", "GET", "/v2/catalog/list", catalogue_api.list_catalog, ("ITEMS_READ",)
    ),
    Operation(
        "SearchCatalogObjects",
        "POST",
        "/v2/catalog/search",
        catalogue_api.search_catalog,
        ("ITEMS_READ",),
    ),
    Operation(
        "BatchRetrieveCatalogObjects",
        "POST",
        "/v2/catalog/batch-retrieve",
        catalogue_api.batch_retrieve_objects,
        ("ITEMS_READ",),
    ),
    Operation(
        "CatalogInfo", "GET", "/v2/catalog/info", catalogue_api.catalog_info, ("ITEMS_READ",)
    ),
    Operation(
        "RetrieveCatalogObject",
        "GET",
        "/v2/catalog/object/{object_id}",
        catalogue_api.retrieve_object,
        ("ITEMS_READ",),
    ),
    Operation(
        "ListLocations", "GET", "/v2/locations", places.list_locations, ("MERCHANT_PROFILE_READ",)
    ),
    Operation(
        "RetrieveLocation",
        "GET",
        "/v2/locations/{location_id}",
        places.retrieve_location,
        ("MERCHANT_PROFILE_READ",),
    ),
    Operation(
        "RetrieveMerchant",
        "GET",
        "/v2/merchants/{merchant_id}",
        places.retrieve_merchant,
        ("MERCHANT_PROFILE_READ",),
    ),
    Operation("Authorize", "GET", "/oauth2/authorize", access.authorize, None),
    Operation("ObtainToken", "POST", "/oauth2/token", access.obtain_token, None),
    Operation("RevokeToken", "POST", "/oauth2/revoke", access.revoke_token, None),
    Operation("RetrieveTokenStatus", "POST", "/oauth2/token/status", access.token_status, None),
)

_KEPT_BY_KEY = frozenset({"CreateOrder", "PayOrder", "CreatePayment"})


class SquareSimulator(MerchantActions):
    """One merchant at Square, on a server of its own.

    `settings` says how the world begins (currency, taxes, ids, page sizes, and what Square leaves
    open); `faults` is the fault plan to begin with.
    """

    def __init__(
        self, settings: WorldSettings | None = None, faults: FaultPlan | None = None
    ) -> None:
        super().__init__(faults)
        self.settings = settings or WorldSettings()
        self._beginning: World | None = None
        self._world = new_world(self.settings)

    @property
    def world(self) -> World:
        """The present state. Hold `lock` while reading it from another thread."""
        return self._world

    def routes(self) -> Sequence[Route]:
        """Every operation, ready to be called."""
        return [
            Route(operation.method, operation.path, self._entrance(operation))
            for operation in OPERATIONS
        ]

    def ledger(self) -> Ledger:
        """What staff would see now."""
        with self.lock:
            return ledger(self._world)

    def start_afresh(self) -> None:
        """Puts the world back to where it began, or to where `remember` was last called."""
        self._world = (
            copy.deepcopy(self._beginning) if self._beginning else new_world(self.settings)
        )

    def remember(self) -> None:
        """Takes the present state as the one that `reset` goes back to."""
        with self.lock:
            self._beginning = copy.deepcopy(self._world)

    def connection_settings(self, url: str) -> Mapping[str, str]:
        """What a till needs: `base_url`, `access_token` and `location_id`."""
        return {
            "base_url": url,
            "access_token": self.settings.access_token,
            "location_id": self.settings.location_id,
        }

    def application(self) -> Mapping[str, str]:
        """What `tillpost connect` is tried with."""
        return {"client_id": self.settings.client_id, "client_secret": self.settings.client_secret}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        """Square's own words for a status that no operation chose."""
        answer = of_status(status).answer()
        return (
            answer
            if retry_after is None
            else replace(answer, headers={"Retry-After": str(retry_after)})
        )

    def down(self) -> Answer | None:
        """503 while there is an outage."""
        return self.failure(503) if self._world.outage else None

    def _entrance(self, operation: Operation) -> Callable[[Call], Answer]:
        def enter(call: Call) -> Answer:
            try:
                version = access.check_version(call)
                if operation.scopes is not None:
                    access.check_access(self._world, call, operation.scopes)
                _check_body(call)
                answer = operation.handler(self._world, call)
            except Refusal as refusal:
                return self._refused(operation, call, refusal)
            told = format_datetime(
                self._world.clock.now(), usegmt=True
            )  # the one clock of all that it says
            return replace(
                answer, headers={**answer.headers, "Square-Version": version, "Date": told}
            )

        return enter

    def _refused(self, operation: Operation, call: Call, refusal: Refusal) -> Answer:
        answer = refusal.answer()
        if (
            self.settings.refusals_burn_keys
            and operation.name in _KEPT_BY_KEY
            and refusal.status not in (401, 403)
        ):
            key = _key_in(call.body)
            if key:
                self._world.replays.setdefault(
                    (operation.name, key), Replay(digest_of(call.body), answer)
                )
        return answer


def _check_body(call: Call) -> None:
    """A body must be JSON and say so."""
    if call.method not in ("POST", "PUT") or not call.body:
        return
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # unconfirmed: the code and status; a call to the sandbox with another content type would
        # tell.
        raise bad_request(
            "INVALID_CONTENT_TYPE", f"The content type `{kind}` is not application/json."
        )
    try:
        body: object = json.loads(call.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_request("EXPECTED_JSON_BODY", "The request body must be a JSON object.")


def _key_in(body: bytes) -> str | None:
    try:
        key = cast("dict[str, object]", json.loads(body)).get("idempotency_key")
    except (ValueError, AttributeError):
        return None
    return key if isinstance(key, str) else None
