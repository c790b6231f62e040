"""Who wakes the workers when an order falls due: the least that an engine is. The bundled one asks the store by itself.

A plugin brings another through the hook `outbox_engines`, and is chosen by `[outbox] engine`, or `Outbox(engine=...)`.
Leases, limits and the order of the orders are the store's, so an engine can be late or wake twice, and no harm is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection

if TYPE_CHECKING:
    from tillpost.outbox.processor import Processor

__all__ = ["Embedded", "Engine", "Runs"]


class Runs(Protocol):
    """What an engine's worker is for whoever starts it: `tillpost worker`, or a program of your own."""

    def run(self, *, until_idle: bool = False) -> None:
        """Process orders until told to stop or, with `until_idle`, until nothing is left that soon becomes due."""
        ...

    def stop(self) -> None:
        """Ask it to end soon: orders in hand are carried on for a few seconds. Called from another thread."""
        ...


class Engine(Protocol):
    """Wakes whoever processes."""

    def prepare(self, db: Connection) -> None:
        """Make a new database ready for the engine's own needs. Called with the store's own first use."""
        ...

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Have `Processor.process(order_id)` called at a time (epoch seconds), if the transaction is committed."""
        ...

    def worker(self, processor: Processor) -> Runs:
        """Return what processes the orders in this process when it is run. The processor is open by then."""
        ...


class Embedded:
    """The engine of `worker`: it looks into the store every so often, so nobody has to be woken."""

    def prepare(self, db: Connection) -> None:
        """Do nothing: the store's tables are all it needs."""

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Do nothing: the worker will look."""

    def worker(self, processor: Processor) -> Runs:
        """Return the bundled worker."""
        from tillpost.outbox.worker import Worker  # it stands on the processor, which stands on the engine

        return Worker(processor)
