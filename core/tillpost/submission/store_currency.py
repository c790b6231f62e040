"""The comparison of an order's currency with the store's, before anything is sent.

A platform that computes by its own menu takes any number as its own currency: 500 JPY would be sold
for 500 AUD. What the store sells in is known from its menu or from the platform, which is asked
once (`Adapter.store_currency`). The connection's setting `currency` is compared as well; it may be
wrong, so it replaces neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tillpost.errors import PosError
from tillpost.menus.validation import other_currency
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, run_operation

__all__ = ["learn_currency", "refuse_other_currency"]


_CODE = re.compile(r"[A-Z]{3}")


def learn_currency(connection: Connection, menu: Menu | None) -> Flow[None]:
    """Ask the platform for the store's currency, if nothing else says it.

    It is asked once. An order doesn't fail because the platform doesn't answer: most platforms
    compare the currency, too.

    Raises:
        PosError: The access token has expired and can't be renewed.
    """
    cache = connection.menu_cache
    adapter = connection.adapter
    is_known = menu is not None or cache.currency is not None
    if is_known or "store_currency" not in adapter.capabilities():
        return
    context = OperationContext(connection, "store_currency")
    context.is_optional = True
    try:
        told = yield from run_operation(context, adapter.store_currency)
        cache.currency = told if _CODE.fullmatch(told) else ""
    except PosError as error:
        if error.refreshable:
            raise  # the token was refused, and not this request
        if not error.transient:
            cache.currency = ""


def refuse_other_currency(connection: Connection, order: Order, menu: Menu | None) -> None:
    """Raise `OrderError` if the order is in another currency than the store."""
    for source, currency in _known_currencies(connection, menu):
        if currency != order.currency:
            raise other_currency(order, source, currency)


def _known_currencies(connection: Connection, menu: Menu | None) -> Iterator[tuple[str, str]]:
    """Yield each currency that is known of the store, with what says it."""
    if menu is not None:
        yield "the store's menu is in", menu.currency
    elif connection.menu_cache.currency:
        yield "the store sells in", connection.menu_cache.currency
    if connection.adapter.config.currency:
        yield "the connection is set to", connection.adapter.config.currency
