"""The reading of a connection's webhooks.

It is for `Till`, `AsyncTill` and the outbox's receiver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tillpost.adapter.webhooks import (
    OrderChanged,
    OrderRefused,
    SeenEvents,
    WebhookEvent,
    read_webhook,
    settled,
)
from tillpost.models.order import PosOrder
from tillpost.submission.arrival import names_another
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext

__all__ = ["WebhookReader"]


class WebhookReader:
    """The reader of one connection's webhooks, which verifies them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def proves_orders(self) -> bool:
        """Whether a webhook's signature proves what it says of an order."""
        return self._connection.adapter.webhooks_proved

    def read(self, headers: Mapping[str, str], body: bytes, url: str) -> tuple[WebhookEvent, ...]:
        """Return a webhook's events, once it is proved to be the platform's.

        Where its signature proves nothing of an order, the events say only that it changed.

        Raises:
            WebhookError: It isn't the platform's, or can't be read.
        """
        parse = self._connection.adapter.parse_webhook
        events = read_webhook(parse, headers, body, url, self._connection.clock())
        if not self.proves_orders:
            events = tuple(_without_unproved_facts(event) for event in events)
        return tuple(_without_another_order(event) for event in events)

    def ids_to_fetch(self, events: Iterable[WebhookEvent]) -> set[str]:
        """Return the platform's ids of the orders whose state the signature doesn't prove."""
        if self.proves_orders:
            return set()
        return {event.pos_id for event in events if isinstance(event, OrderChanged)}

    def settle(
        self,
        events: Sequence[WebhookEvent],
        fetched: Mapping[str, PosOrder],
        seen: SeenEvents | None = None,
    ) -> tuple[WebhookEvent, ...]:
        """Return the events with the orders that were fetched, by the platform's ids.

        An order that staff turned down becomes an `OrderRefused`.

        Raises:
            WebhookError: An event was `seen` before.
        """
        context = OperationContext(self._connection, "parse_webhook")
        return settled(events, fetched, seen, context.stamp)


def _without_unproved_facts(event: WebhookEvent) -> WebhookEvent:
    """Return what an event shows whose signature proves nothing.

    That is a change at most: the order has to be fetched.
    """
    match event:
        case OrderChanged():
            return event.model_copy(update={"pos_order": None})
        case OrderRefused():
            return _changed(event)
        case _:
            return event


def _changed(event: OrderChanged | OrderRefused) -> OrderChanged:
    """Return that something of the event's order changed, and nothing more."""
    return OrderChanged(
        event_id=event.event_id,
        at=event.at,
        pos_id=event.pos_id,
        reference=event.reference,
    )


def _without_another_order(event: WebhookEvent) -> WebhookEvent:
    """Return an event without its state of the order, if that is of another order.

    A refusal then is only a change: the order has to be fetched.
    """
    match event:
        case OrderChanged(pos_order=PosOrder() as shown):
            pass
        case OrderRefused(error=error) if error.pos_order:
            shown = error.pos_order
        case _:
            return event
    is_same_id = shown.id == event.pos_id
    both_named = bool(event.reference)
    if is_same_id and not (both_named and names_another(event.reference, shown.reference)):
        return event
    return _changed(event)
