"""What must hold of an order before anything is sent.

The platform takes all its parts, it is in the store's currency, it fits the menu, and its time can
be kept. A submission raises the first fault, a forecast lists all. Pure: they are judged by what is
known of the store now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from tillpost.adapter.order_features import uncarried_error
from tillpost.errors import OrderError, PosError, TaxError
from tillpost.menus.validation import check_order, currency_error
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.submission.context import Connection

__all__ = ["faults", "known_currencies", "misfits", "other_currency", "uncarried"]


def faults(
    connection: Connection,
    order: Order,
    menu: Menu | None,
    withheld: Collection[str],
) -> Iterator[PosError]:
    """Yield why the order would be refused, in the sequence in which it would be.

    Those that a menu import may mend aren't `OrderError`s.

    Args:
        connection: The store.
        order: The order as it is to be sent.
        menu: The menu as far as it is known.
        withheld: The fields of the order that aren't sent.
    """
    yield from uncarried(connection, order)
    in_other_currency = list(other_currency(connection, order, menu))
    yield from in_other_currency
    if menu is not None and not in_other_currency:
        yield from misfits(connection, order, menu)
    yield from _past_due(connection, withheld)


def uncarried(connection: Connection, order: Order) -> Iterator[PosError]:
    """Yield the errors of an order with parts that can't be sent.

    That is so whatever is on the menu: the platform doesn't take them, or the connection lacks a
    setting for them.
    """
    adapter = connection.adapter
    error = uncarried_error(order, adapter.carries, adapter.title)
    if error is not None:
        yield error
    lacking = adapter.missing_setting(order)
    if lacking is not None:
        yield lacking


def other_currency(connection: Connection, order: Order, menu: Menu | None) -> Iterator[PosError]:
    """Yield the error of an order in another currency than the store's.

    A platform that computes by its own menu takes any number as its own currency: 500 JPY would be
    sold for 500 AUD. See `store_currency` for how a store's currency becomes known.
    """
    for source, currency in known_currencies(connection, menu):
        if currency != order.currency:
            yield currency_error(order, source, currency)
            return


def known_currencies(connection: Connection, menu: Menu | None) -> Iterator[tuple[str, str]]:
    """Yield each currency that is known of the store, with what says it."""
    if menu is not None:
        yield "the store's menu is in", menu.currency
    elif connection.menu_cache.currency:
        yield "the store sells in", connection.menu_cache.currency
    configured = connection.adapter.config.currency
    if configured:
        yield "the connection is set to", configured


def misfits(connection: Connection, order: Order, menu: Menu) -> Sequence[PosError]:
    """Return the ways in which an order doesn't fit a menu.

    Taxes are left to a platform that compares totals by itself.
    """
    timestamp = connection.platform_now()
    now = datetime.fromtimestamp(timestamp, UTC)
    found = check_order(
        order,
        menu,
        connection.policy.prices,
        now,
    )
    if not connection.adapter.compares_totals:
        return found
    return [error for error in found if not isinstance(error, TaxError)]


def _past_due(connection: Connection, withheld: Collection[str]) -> Iterator[PosError]:
    """Yield the error of an order whose time can't be kept, if the policy refuses it."""
    is_refused = connection.policy.past_due == "refuse"
    if is_refused and "due_at" in withheld:
        yield OrderError("the order's time has passed", reason="late")
