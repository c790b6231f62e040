"""Tillpost submits paid online orders to restaurants' point-of-sale platforms. One call, any POS.

    from tillpost import Order, Till

    with Till.connect("square", location_id="L123", access_token=token) as till:
        pos_order = till.submit(order)      # or raises MenuError, OutageError, PermissionsError, TaxError, ...

Every refusal is a `PosError` whose class says what kind of remedy helps and whose `remedy` says who acts, and how.
"""

from tillpost.async_till import AsyncTill
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
    UnsupportedError,
)
from tillpost.hookspecs import hookimpl
from tillpost.menu import Menu
from tillpost.order import Order, PosOrder
from tillpost.recovery import Policy
from tillpost.till import Till
from tillpost.transport import Limits
from tillpost.words import explain

__all__ = [
    "AsyncTill",
    "ConfigError",
    "DoubtError",
    "Limits",
    "Menu",
    "MenuError",
    "Order",
    "OrderError",
    "OutageError",
    "Outcome",
    "PermissionsError",
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
    "UnsupportedError",
    "explain",
    "hookimpl",
]
