"""The removal of what may quote a customer from errors and events.

What decides is kept. A platform's texts are searched for the customer's before they are kept
(`adapter.echoes`), but not every form of them is found. So when a customer's data is erased, these
texts go too. No decision of `history` depends on them.
"""

from __future__ import annotations

import dataclasses

from tillpost.errors import ErrorRecord, Transcript
from tillpost.models.order import PosOrder
from tillpost.submission.journal import (
    Cancelled,
    Event,
    Failed,
    Intended,
    LookedUp,
    OfTicket,
    Pruned,
    Submitted,
)

__all__ = [
    "ERASED",
    "error_without_texts",
    "event_without_texts",
    "exchange_without_texts",
    "without_notices",
]

ERASED = "erased with the customer's data"
"""Takes the place of an error's text."""


def event_without_texts(event: Event) -> Event:
    """Return an event without what may quote the customer."""
    match event:
        case OfTicket():
            inner = event_without_texts(event.event)
            assert not isinstance(inner, OfTicket)
            return OfTicket(inner)
        case Failed():
            return dataclasses.replace(event, error=error_without_texts(event.error))
        case Intended():
            return dataclasses.replace(event, notices=())
        case LookedUp(found=PosOrder() as found):
            return dataclasses.replace(event, found=without_notices(found))
        case Submitted() | Cancelled():
            return dataclasses.replace(event, pos_order=without_notices(event.pos_order))
        case Pruned(pos_order=PosOrder() as pos_order):
            return dataclasses.replace(event, pos_order=without_notices(pos_order))
        case _:
            return event


def error_without_texts(error: ErrorRecord) -> ErrorRecord:
    """Return an error without its text, its lines, and what was sent and received."""
    return error.model_copy(
        update={
            "detail": ERASED if error.detail else "",
            "subjects": (),
            "pos_order": without_notices(error.pos_order) if error.pos_order else None,
            "exchange": exchange_without_texts(error.exchange) if error.exchange else None,
        }
    )


def exchange_without_texts(exchange: Transcript) -> Transcript:
    """Return an exchange without its bodies. Method, path, status and request id stay."""
    return exchange.model_copy(update={"request_body": "", "response_body": ""})


def without_notices(pos_order: PosOrder) -> PosOrder:
    """Return an order at the platform without its notices.

    They quote what was ordered.
    """
    return pos_order.model_copy(update={"notices": ()})
