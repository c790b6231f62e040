"""What the generic format's cassettes are recorded from: its simulator.

The format is our own, so no vendor has a sample of it. What a POS says is held against the
published document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapters.cassette_orders import CANARY_KEY, CANARY_TOKEN, LUNCH, TOASTIE, Simulated, order
from adapters.cassette_refusals import Refusal, on_create
from tillpost.errors import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.order import DineIn, Pickup
from tillpost.simulator import Fault, FaultKind, FaultPlan
from tillpost.testing import Cassettes
from tillpost_simulators.generic import GenericSimulator, WorldSettings

GENERIC = Cassettes(
    "generic",
    folder=Path(__file__).parents[3] / "cassettes" / "generic",
    settings={
        "access_token": CANARY_TOKEN,
        "signing_key": CANARY_KEY,
        "allow_private": True,
        "look_after": (0.0,),
    },
    public_fields=frozenset(
        "group_id tax_ids imported_at rate name tables categories site".split()
    ),
)
NO_SAMPLE = "The format is our own, so there is no sample of a vendor's."


def _simulator(faults: FaultPlan | None, **world: Any) -> GenericSimulator:
    return GenericSimulator(
        WorldSettings(access_token=CANARY_TOKEN, signing_key=CANARY_KEY, **world), faults
    )


from_simulator = Simulated("generic", _simulator, clocks=["tillpost_simulators.generic.stock"])


def every(kind: FaultKind, **more: Any) -> FaultPlan:
    """Every create meets the fault."""
    return on_create("/orders$", Fault(kind=kind, **more))


def with_another_under_the_same_id(pos: GenericSimulator) -> None:
    """Let the POS have taken an order under this id that it then forgot the key of."""
    pos.refuse_orders("DoubtError", "an order with that reference is there, under another key")


def menu_fault(
    name: str,
    reason: str,
    prepare: Callable[[GenericSimulator], object],
    line: str = "BLT toastie (line 2)",
) -> Refusal[GenericSimulator]:
    """A refusal for what the menu says of a line."""
    place = int(line.rpartition(" ")[2].rstrip(")")) - 1
    return Refusal(name, MenuError, "MenuError", 422, (place,), reason, (line,), prepare=prepare)


TOO_EARLY = order(TOASTIE, fulfilment=Pickup(due_at=LUNCH.placed_at.replace(year=2020)))
AT_TABLE = order(TOASTIE, fulfilment=DineIn(table="7"))

REFUSALS: Sequence[Refusal[GenericSimulator]] = (
    menu_fault("error-menu-gone", "gone", lambda pos: pos.remove_variation("5312")),
    menu_fault("error-menu-sold-out", "sold_out", lambda pos: pos.sell_out("5312")),
    menu_fault("error-menu-price", "price", lambda pos: pos.change_price("5312", 1500)),
    menu_fault(
        "error-menu-choices",
        "choices",
        lambda pos: pos.set_modifier_limits("7302", "MILK", 0, 0),
        "Flat white, regular (line 1)",
    ),
    menu_fault(
        "error-menu-quantity",
        "quantity",
        lambda pos: pos.limit_quantity("7302", 1),
        "Flat white, regular (line 1)",
    ),
    Refusal(
        "error-menu-table",
        MenuError,
        "MenuError",
        status=422,
        reason="table",
        prepare=lambda pos: pos.remove_table("7"),
        order=AT_TABLE,
    ),
    Refusal(
        "error-tax",
        TaxError,
        "TaxError",
        422,
        (0, 1),
        prepare=lambda pos: pos.add_tax("Weekend", "15"),
    ),
    Refusal(
        "error-outage",
        OutageError,
        "OutageError",
        503,
        outcome=Outcome.UNKNOWN,
        prepare=lambda pos: pos.set_outage(),
    ),
    Refusal(
        "error-outage-html",
        OutageError,
        status=502,
        outcome=Outcome.UNKNOWN,
        faults=every(FaultKind.HTML),
    ),
    Refusal(
        "error-outage-empty",
        OutageError,
        status=200,
        outcome=Outcome.UNKNOWN,
        faults=every(FaultKind.EMPTY),
    ),
    Refusal(
        "error-rate-limit",
        RateLimitError,
        "RateLimitError",
        429,
        retry_after=7.0,
        faults=every(FaultKind.RATE_LIMITED, retry_after=7),
    ),
    Refusal(
        "error-register-offline",
        RegisterOfflineError,
        "RegisterOfflineError",
        503,
        prepare=lambda pos: pos.connect_register(online=False),
    ),
    Refusal(
        "error-store-closed",
        StoreClosedError,
        "StoreClosedError",
        422,
        prepare=lambda pos: pos.open_store(is_open=False),
    ),
    Refusal(
        "error-permissions",
        PermissionsError,
        "PermissionsError",
        401,
        reason="key",
        prepare=lambda pos: pos.change_signing_key("another-key-that-is-not-real"),
    ),
    Refusal(
        "error-permissions-scopes",
        PermissionsError,
        "PermissionsError",
        403,
        reason="scopes",
        prepare=lambda pos: pos.refuse_orders(
            "PermissionsError", "it may only read", status=403, reason="scopes"
        ),
    ),
    Refusal("error-order", OrderError, "OrderError", 422, order=TOO_EARLY),
    Refusal(
        "error-order-currency",
        OrderError,
        "OrderError",
        422,
        reason="currency",
        order=order(TOASTIE, currency="NZD"),
    ),
    Refusal(
        "error-menu-net-price",
        MenuError,
        "MenuError",
        422,
        (0,),
        "net_price",
        ("BLT toastie (line 1)",),
        order=order(TOASTIE, prices_include_tax=False, tax=145),
    ),
    Refusal(
        "error-setup",
        SetupError,
        "SetupError",
        400,
        prepare=lambda pos: pos.refuse_orders("SetupError", "there is no such site"),
    ),
    Refusal(
        "error-unknown",
        UnknownPosError,
        "TeapotError",
        418,
        outcome=Outcome.UNKNOWN,
        prepare=lambda pos: pos.refuse_orders("TeapotError", "it makes tea", status=418),
    ),
    Refusal(
        "error-doubt",
        DoubtError,
        "DoubtError",
        409,
        outcome=Outcome.UNKNOWN,
        prepare=with_another_under_the_same_id,
    ),
)
