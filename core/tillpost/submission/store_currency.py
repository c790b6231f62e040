"""How the currency that a store sells in becomes known.

It is known from the store's menu, or from the platform, which is asked once
(`Adapter.store_currency`). The connection's setting `currency` may be wrong, so it replaces
neither. `prechecks.other_currency` compares an order's.
"""

from __future__ import annotations

import re

from tillpost.errors import PosError
from tillpost.models.menu import Menu
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, run_operation

__all__ = ["learn_currency"]


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
        code = yield from run_operation(context, adapter.store_currency)
        cache.currency = code if _CODE.fullmatch(code) else ""
    except PosError as error:
        if error.refreshable:
            raise  # the token was refused, and not this request
        if not error.transient:
            cache.currency = ""
