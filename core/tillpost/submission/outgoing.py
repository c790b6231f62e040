"""An order as it is to be sent.

It is bound to the menu, and without the fields that are withheld.
"""

from __future__ import annotations

from typing import NamedTuple

from tillpost.adapter.base import Attempt
from tillpost.menus.matching import Binding, rebind
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.submission.context import Connection
from tillpost.submission.history import History
from tillpost.submission.withholding import is_past_due, without

__all__ = ["Outgoing", "bound", "first_outgoing", "outgoing"]


class Outgoing(NamedTuple):
    """An order as it is to be sent.

    Attributes:
        order: The order, bound to the known menu, without what is withheld.
        attempt: What `Adapter.submit` gets besides.
        withheld: The fields that are withheld.
        notices: What was changed, for people.
    """

    order: Order
    attempt: Attempt
    withheld: tuple[str, ...]
    notices: tuple[str, ...]


def bound(connection: Connection, order: Order, menu: Menu | None) -> Binding:
    """Return an order bound to a menu, as the connection's platform is sent it."""
    shows_names = connection.adapter.shows_names
    return rebind(order, menu, connection.policy.prices, shows_names=shows_names)


def outgoing(
    connection: Connection, binding: Binding, menu: Menu | None, history: History
) -> Outgoing:
    """Return an order as it is to be sent now.

    Args:
        connection: Where it is sent to.
        binding: The order, bound to the menu.
        menu: The menu as far as it is known.
        history: What is known of the order.
    """
    fields = _withheld_fields(connection, binding.order, history)
    withheld = without(binding.order, fields, connection.adapter.title)
    attempt = Attempt(
        generation=history.generation,
        menu=menu,
        keep_paid=binding.keep_paid,
        remarks=(*withheld.remarks, *binding.remarks),
        since=history.since,
        withheld=frozenset(fields),
    )
    return Outgoing(withheld.order, attempt, fields, (*withheld.notices, *binding.notices))


def first_outgoing(connection: Connection, order: Order) -> Outgoing:
    """Return an order that was never sent, as it would be sent now."""
    menu = connection.menu_cache.known
    binding = bound(connection, order, menu)
    return outgoing(connection, binding, menu, History())


def _withheld_fields(connection: Connection, order: Order, history: History) -> tuple[str, ...]:
    """Return the fields of the order that aren't sent.

    In doubt they are those of the create that may have worked: its body must go out again.
    """
    if history.doubts:
        return history.doubts[-1].intent.withheld
    is_late = is_past_due(order, connection.platform_now())
    past_due = ("due_at",) if is_late and "due_at" not in history.refused else ()
    return (*history.refused, *past_due)
