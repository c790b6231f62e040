"""The audit log: which person did what with which order, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from tillpost.outbox.db import schema as t
from tillpost.outbox.event_log import log_event
from tillpost.outbox.rows import Row

__all__ = ["Act", "read_acts", "record_act"]

_AUDIT_LOG = t.audit_log.c


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did.

    Attributes:
        at: When, in epoch seconds.
        who: Who did it, as given to `OrderOperations`.
        what: The operation, such as "resubmit".
        connection: The name of the order's connection.
        order_id: The order's id.
        note: Details, such as the progress that was set; "" if there are none.
    """

    at: float
    who: str
    what: str
    connection: str
    order_id: str | None
    note: str


def record_act(db: Connection, act: Act) -> None:
    """Write an act to the audit log and to the event log."""
    row = {
        "done_at": act.at,
        "actor": act.who,
        "action": act.what,
        "connection": act.connection,
        "order_id": act.order_id,
        "note": act.note,
    }
    db.execute(insert(t.audit_log).values(**row))
    log_event(
        "action_taken",
        action=act.what,
        id=act.order_id,
        connection=act.connection,
        note=act.note,
    )


def read_acts(db: Connection, order_id: str) -> Sequence[Act]:
    """Return the acts on an order, the oldest first."""
    of_order = select(t.audit_log).where(_AUDIT_LOG.order_id == order_id)
    query = of_order.order_by(_AUDIT_LOG.id)
    rows = [Row(t.audit_log, row) for row in db.execute(query).mappings()]
    return [
        Act(
            at=row["done_at"],
            who=row["actor"],
            what=row["action"],
            connection=row["connection"],
            order_id=row["order_id"],
            note=row["note"],
        )
        for row in rows
    ]
