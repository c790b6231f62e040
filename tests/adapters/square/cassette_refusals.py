"""Square's refusals: one case for each kind of error, or why there can be none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from adapters.cassette_orders import CANARY_TOKEN, TOASTIE, order
from adapters.cassette_refusals import NEVER, Refusal, on_create
from tillpost.errors import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.order import Pickup
from tillpost.simulator import Call, Fault, FaultKind, FaultPlan
from tillpost_simulators.square import SquareSimulator

ONLY_SIMULATED = "The document has no sample of a refusal, so code and text are the simulator's."


def every(fault: Fault) -> FaultPlan:
    return on_create("^/v2/orders$", fault)


def use_key(square: SquareSimulator) -> None:
    """Use up the key of the order's first generation for another body."""
    body = b'{"idempotency_key": "ord-1-0", "order": {"location_id": "L-CAFE"}}'
    (create,) = (
        route for route in square.routes() if (route.method, route.path) == ("POST", "/v2/orders")
    )
    headers = {"authorization": f"Bearer {CANARY_TOKEN}", "content-type": "application/json"}
    create.handler(
        Call(method="POST", path="/v2/orders", body=body, headers=headers, query={}, path_values={})
    )


TOO_EARLY = order(TOASTIE, fulfilment=Pickup(due_at=datetime(2020, 1, 1, tzinfo=UTC)))

REFUSALS: Sequence[Refusal[SquareSimulator]] = (
    Refusal(
        "error-menu-gone",
        MenuError,
        "NOT_FOUND",
        status=404,
        lines=(1,),
        reason="gone",
        subjects=("BLT toastie (line 2)",),
        prepare=lambda square: square.remove_variation("5312"),
    ),
    Refusal(
        "error-menu-sold-out",
        MenuError,
        "INVALID_VALUE",
        lines=(0,),
        reason="sold_out",
        subjects=("Flat white, regular (line 1)",),
        prepare=lambda square: square.sell_out("7302"),
    ),
    Refusal(
        "error-menu-price",
        MenuError,
        status=None,
        lines=(1,),
        reason="price",
        subjects=("BLT toastie (line 2)",),
        prepare=lambda square: square.change_price("5312", 1500),
    ),
    Refusal(
        "error-tax",
        TaxError,
        status=None,
        subjects=("Weekend",),
        prepare=lambda square: square.add_tax("Weekend", "15"),
    ),
    Refusal(
        "error-outage",
        OutageError,
        "SERVICE_UNAVAILABLE",
        503,
        outcome=Outcome.UNKNOWN,
        prepare=lambda square: square.set_outage(),
    ),
    Refusal(
        "error-outage-html",
        OutageError,
        status=502,
        outcome=Outcome.UNKNOWN,
        faults=every(Fault(kind=FaultKind.HTML)),
    ),
    Refusal(
        "error-outage-empty",
        OutageError,
        status=200,
        outcome=Outcome.UNKNOWN,
        faults=every(Fault(kind=FaultKind.EMPTY)),
    ),
    Refusal(
        "error-rate-limit",
        RateLimitError,
        "RATE_LIMITED",
        429,
        retry_after=7.0,
        faults=every(Fault(kind=FaultKind.RATE_LIMITED, retry_after=7)),
    ),
    Refusal(
        "error-doubt",
        DoubtError,
        "IDEMPOTENCY_KEY_REUSED",
        outcome=Outcome.UNKNOWN,
        prepare=use_key,
    ),
    Refusal(
        "error-permissions-unauthorized",
        PermissionsError,
        "UNAUTHORIZED",
        401,
        settings={"access_token": f"{CANARY_TOKEN}-of-nobody"},
    ),
    Refusal(
        "error-permissions-revoked",
        PermissionsError,
        "ACCESS_TOKEN_REVOKED",
        401,
        reason="withdrawn",
        prepare=lambda square: square.revoke_token(),
    ),
    Refusal(
        "error-permissions-expired",
        PermissionsError,
        "ACCESS_TOKEN_EXPIRED",
        401,
        reason="expired",
        prepare=lambda square: square.expire_token(),
    ),
    Refusal(
        "error-permissions-scopes",
        PermissionsError,
        "INSUFFICIENT_SCOPES",
        403,
        reason="scopes",
        prepare=lambda square: square.drop_scope("ORDERS_WRITE"),
    ),
    Refusal("error-order", OrderError, "INVALID_TIME", reason="late", order=TOO_EARLY),
    Refusal("error-setup", SetupError, "NOT_FOUND", 404, settings={"location_id": "L-NOWHERE"}),
    Refusal(
        "error-unknown",
        UnknownPosError,
        status=418,
        outcome=Outcome.UNKNOWN,
        faults=every(Fault(kind=FaultKind.HTML, status=418)),
    ),
)

IMPOSSIBLE: Mapping[type[PosError], str] = {
    StoreClosedError: "Square takes orders at any hour; no code says that a store is closed.",
    RegisterOfflineError: "Square takes orders whether or not a register is connected, "
    "and says nothing of it.",
    **NEVER,
}
"""Kinds of error of which there can be no cassette, and why."""
