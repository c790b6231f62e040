"""The export of an order for a provider's support.

It has ids, the error and the journal, without the customer. `OrderOperations.export` returns it;
`tillpost orders export` prints it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tillpost.errors import ErrorRecord, PosError
from tillpost.models.order import PosOrder
from tillpost.outbox.orders.models import StoredOrder
from tillpost.outbox.orders.queries import JournalEntry

__all__ = ["export_order"]


def export_order(stored: StoredOrder, entries: Sequence[JournalEntry]) -> Mapping[str, object]:
    """Return an order as JSON values. Times are in epoch seconds."""
    return {
        "order": stored.id,
        "connection": stored.connection,
        "state": stored.state.value,
        "added_at": stored.added_at,
        "pos_order": _pos_order_values(stored.pos_order),
        "ticket": _pos_order_values(stored.ticket),
        "error": _error_values(stored.error),
        "journal": [_entry_values(entry) for entry in entries],
    }


def _pos_order_values(pos_order: PosOrder | None) -> Mapping[str, object] | None:
    # Notices quote texts of the order, such as what the customer wrote.
    if not pos_order:
        return None
    return pos_order.model_dump(mode="json", exclude={"notices"})


def _error_values(error: ErrorRecord | None) -> Mapping[str, object] | None:
    if error is None:
        return None
    values = error.model_dump(mode="json", exclude={"pos_order", "subjects"})
    remedy = PosError.from_record(error).remedy
    return {**values, "remedy": remedy.developer}


def _entry_values(entry: JournalEntry) -> Mapping[str, object]:
    exchange = entry.exchange.model_dump(mode="json") if entry.exchange else None
    return {
        "number": entry.number,
        "event": type(entry.happened).__name__,
        "of_ticket": entry.of_ticket,
        "at": entry.event.at,
        "exchange": exchange,
    }
