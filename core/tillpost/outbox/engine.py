"""Who wakes the workers when an order falls due: the least that an engine is. The bundled one asks the store by itself.

A plugin brings another through the hook `outbox_engines`, and is chosen by `[outbox] engine`, or `Outbox(engine=...)`.
Leases, limits and the order of the orders are the store's, so an engine can be late or wake twice, and no harm is done.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

__all__ = ["Embedded", "Engine"]


class Engine(Protocol):
    """Wakes whoever processes."""

    def prepare(self, db: Connection) -> None:
        """Make a new database ready for the engine's own needs. Called with the store's own first use."""
        ...

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Have `Processor.process(order_id)` called at a time (epoch seconds), if the transaction is committed."""
        ...


class Embedded:
    """The engine of `worker`: it looks into the store every so often, so nobody has to be woken."""

    def prepare(self, db: Connection) -> None:
        """Do nothing: the store's tables are all it needs."""

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Do nothing: the worker will look."""
