"""Tillpost submits paid online orders to restaurants' point-of-sale platforms.

    from tillpost import Order, Till

    with Till.connect("square", location_id="L123", access_token=token) as till:
        pos_order = till.submit(order)  # or raises MenuError, OutageError, TaxError, ...

Every refusal is a `PosError`. Its class is the kind of remedy, and its `remedy` says who acts, and
how.

`Outbox` needs the extra `outbox`. It is imported on first use, so it isn't in `__all__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tillpost.client.aio import AsyncTill
from tillpost.client.sync import Till
from tillpost.errors import (
    ConfigError,
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
    UnreadableConfigError,
    UnsupportedError,
)
from tillpost.models.base import explain
from tillpost.models.menu import Menu
from tillpost.models.order import (
    Address,
    Charge,
    Curbside,
    Customer,
    Delivery,
    DineIn,
    Discount,
    Line,
    Modifier,
    Order,
    OrderTax,
    Payment,
    Pickup,
    PosOrder,
)
from tillpost.plugins.hookspecs import hookimpl
from tillpost.submission.policy import Policy
from tillpost.transport.http import Limits

if TYPE_CHECKING:
    from tillpost.outbox import Outbox as Outbox

__all__ = [
    "Address",
    "AsyncTill",
    "Charge",
    "ConfigError",
    "Curbside",
    "Customer",
    "Delivery",
    "DineIn",
    "Discount",
    "DoubtError",
    "Limits",
    "Line",
    "Menu",
    "MenuError",
    "Modifier",
    "Order",
    "OrderError",
    "OrderTax",
    "OutageError",
    "Outcome",
    "Payment",
    "PermissionsError",
    "Pickup",
    "Policy",
    "PosError",
    "PosOrder",
    "RateLimitError",
    "RegisterOfflineError",
    "SetupError",
    "StoreClosedError",
    "TaxError",
    "Till",
    "UnknownPosError",
    "UnreadableConfigError",
    "UnsupportedError",
    "explain",
    "hookimpl",
]


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Import a name that needs an extra.

        Raises:
            ModuleNotFoundError: The extra isn't installed; the message names it.
        """
        if name == "Outbox":
            from tillpost.outbox import Outbox

            return Outbox
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
