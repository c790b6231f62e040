"""Watches how long orders take to arrive while a storm goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from crash.world import Placed
from tillpost.outbox import DatabaseError, OrderState, Outbox
from tillpost.outbox.db import schema as t


class Deliveries:
    """Watches when orders arrive, by this process's clock, over its own database connection.

    `late` has the journals of the orders that took longer than `late_after` seconds, as they were
    on arrival: they may be pruned soon.
    """

    def __init__(self, outbox: Outbox, late_after: float = float("inf")) -> None:
        self._outbox = outbox
        self._late_after = late_after
        self.late: dict[str, str] = {}
        self._added: dict[str, float] = {}
        self._arrived: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def expect(self, placed: Placed) -> None:
        """Expect an order to arrive soon from now on."""
        self._added[placed.order.id] = time.monotonic()

    @property
    def seconds(self) -> Mapping[str, float]:
        """How long each order that was expected took; infinite if it hasn't arrived."""
        return {
            order_id: self._arrived.get(order_id, float("inf")) - added
            for order_id, added in self._added.items()
        }

    @property
    def missing(self) -> Sequence[str]:
        """The orders that are expected and haven't arrived."""
        return [order_id for order_id in self._added if order_id not in self._arrived]

    def __enter__(self) -> Deliveries:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        arrived = (OrderState.RECEIVED.value, OrderState.ACCEPTED.value)
        query = select(t.orders.c.id).where(t.orders.c.state.in_(arrived))
        while not self._stop.wait(0.2):
            try:
                with self._outbox.database.reading() as db:
                    found = db.scalars(query).all()
            except DatabaseError:
                continue
            now = time.monotonic()
            for order_id in found:
                if order_id not in self._arrived:
                    self._arrived[order_id] = now
                    self._keep_if_late(order_id)

    def _keep_if_late(self, order_id: str) -> None:
        arrived = self._arrived[order_id]
        took = arrived - self._added.get(order_id, arrived)
        if took > self._late_after:
            events = map(str, self._outbox.journal(order_id))
            self.late[order_id] = "\n".join([f"{order_id} took {took:.0f} s", *events])
