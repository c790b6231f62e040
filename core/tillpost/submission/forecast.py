"""What would become of an order, as far as that shows before it is sent.

Pure: nothing is read from the platform, and nothing is recorded. An order may pass and be refused
by its platform all the same; one that doesn't pass is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from tillpost.errors import Outcome, PosError
from tillpost.models.order import Order
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, create_unsent
from tillpost.submission.outgoing import first_outgoing
from tillpost.submission.prechecks import faults, known_currencies

__all__ = ["Forecast", "forecast"]


class Forecast(NamedTuple):
    """What would become of an order.

    Attributes:
        refusals: Why it would be refused before anything is sent; empty if it would be sent.
        notices: What would be changed on the way, for people; empty if it would be refused.
        needs_menu: Whether more would show with the store's menu, which isn't known.
        knows_currency: Whether the store's currency is known, and was compared.
    """

    refusals: Sequence[PosError]
    notices: Sequence[str]
    needs_menu: bool
    knows_currency: bool


def forecast(connection: Connection, order: Order) -> Forecast:
    """Return what would become of an order that was never sent, by what is known now.

    The connection's menu counts, as far as it is known. Its credentials aren't used.
    """
    adapter = connection.adapter
    context = OperationContext(connection, "submit", order)
    to_send = first_outgoing(connection, order)
    menu = to_send.attempt.menu
    notices = to_send.notices
    needs_menu = menu is None and adapter.needs_menu_for(order)
    refusals = list(faults(connection, to_send.order, menu, to_send.withheld))
    if not refusals and not needs_menu:
        try:
            attempt = replace(to_send.attempt, is_forecast=True)
            create = create_unsent(context, adapter.submit, to_send.order, attempt)
        except PosError as error:
            refusals.append(error)
        else:
            notices = (*notices, *(create.notices if create else ()))
    for refusal in refusals:
        context.stamp(refusal).outcome = Outcome.NOT_CREATED
    return Forecast(
        refusals,
        () if refusals else notices,
        needs_menu,
        knows_currency=any(known_currencies(connection, menu)),
    )
