"""What would become of an order, as far as that shows before it is sent.

Pure: nothing is read from the platform, and nothing is recorded. An order may pass and be refused
by its platform all the same; one that doesn't pass is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tillpost.adapter.base import Attempt
from tillpost.adapter.order_features import refuse_uncarried
from tillpost.errors import OrderError, PosError
from tillpost.models.order import Order
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, first_request
from tillpost.submission.order_menu import bound, misfits
from tillpost.submission.store_currency import refuse_other_currency
from tillpost.submission.withholding import is_past_due, without

__all__ = ["FirstAttempt", "Forecast", "first_attempt", "forecast"]


class FirstAttempt(NamedTuple):
    """An order as it would be sent if it was never sent before.

    Attributes:
        order: The order, bound to the known menu, without what is withheld.
        attempt: What `Adapter.submit` would know besides.
        notices: What was changed, for people.
    """

    order: Order
    attempt: Attempt
    notices: Sequence[str]


class Forecast(NamedTuple):
    """What would become of an order.

    Attributes:
        refusals: Why it would be refused before anything is sent; empty if it would be sent.
        notices: What would be changed on the way, for people.
        needs_menu: Whether more would show with the store's menu, which isn't known.
    """

    refusals: Sequence[PosError]
    notices: Sequence[str]
    needs_menu: bool


def forecast(connection: Connection, order: Order) -> Forecast:
    """Return what would become of an order that was never sent, by what is known now.

    The connection's menu counts, as far as it is known. Its credentials aren't used.
    """
    adapter = connection.adapter
    context = OperationContext(connection, "submit", order)
    order_to_send, attempt, notices = first_attempt(connection, order)
    needs_menu = attempt.menu is None and adapter.needs_menu_for(order)
    refusals = list(_refusals(connection, order_to_send, attempt))
    if not refusals and not needs_menu:
        try:
            request = first_request(context, adapter.submit, order_to_send, attempt)
        except PosError as error:
            refusals.append(error)
        else:
            notices = (*notices, *(request.notices if request else ()))
    return Forecast([context.stamp(error) for error in refusals], notices, needs_menu)


def first_attempt(connection: Connection, order: Order) -> FirstAttempt:
    """Return an order that was never sent, as it would be sent now."""
    adapter = connection.adapter
    menu = connection.menu_cache.known
    binding = bound(connection, order, menu)
    is_late = is_past_due(order, connection.platform_now())
    fields = frozenset({"due_at"}) if is_late else frozenset[str]()
    withheld = without(binding.order, fields, adapter.title)
    attempt = Attempt(
        menu=menu,
        keep_paid=binding.keep_paid,
        remarks=(*withheld.remarks, *binding.remarks),
        withheld=fields,
    )
    return FirstAttempt(withheld.order, attempt, (*withheld.notices, *binding.notices))


def _refusals(connection: Connection, order: Order, attempt: Attempt) -> Sequence[PosError]:
    """Return why core would refuse the order: by its fields, by the menu, by its time."""
    adapter = connection.adapter
    refusals: list[PosError] = []
    try:
        refuse_uncarried(order, adapter.carries, adapter.title)
        refuse_other_currency(connection, order, None)  # the menu's is compared below
    except OrderError as error:
        refusals.append(error)
    if attempt.menu is not None:
        refusals += misfits(connection, order, attempt.menu)
    if "due_at" in attempt.withheld and connection.policy.past_due == "refuse":
        refusals.append(OrderError("the order's time has passed", reason="late"))
    return refusals
