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
    """A worker: what `tillpost worker` runs."""

    def run(self, *, until_idle: bool = False) -> None:
        """Work until stopped, or until nothing is left that would become due by itself soon."""
        ...

    def stop(self) -> None:
        """Ask `run` to end, within 10 seconds. Safe in a signal handler and from any thread."""
        ...


class Engine(Protocol):
    """Wakes whoever processes."""

    def is_ready(self, db: Connection) -> bool:
        """Whether the database has what the engine needs. Cheap. Raises `ConfigError` when it never can."""
        ...

    def prepare(self, db: Connection) -> None:
        """Make what the engine needs in a database that isn't ready, within the transaction that is given.

        One program at a time does so. It isn't called again once `is_ready`.
        """
        ...

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Have `Processor.process(order_id)` called at a time (epoch seconds), if the transaction is committed."""
        ...

    def worker(self, processor: Processor) -> Runs:
        """Return what processes in this program. The processor is entered while it runs, and not by it."""
        ...


class Embedded:
    """The engine of `worker`: it looks into the store every so often, so nobody has to be woken."""

    def is_ready(self, db: Connection) -> bool:
        """Say yes: the store's tables are all it needs."""
        return True

    def prepare(self, db: Connection) -> None:
        """Do nothing."""

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Do nothing: the worker will look."""

    def worker(self, processor: Processor) -> Runs:
        """Return the bundled worker."""
        from tillpost.outbox.worker import Worker  # here, since it stands on all of the outbox

        return Worker(processor)
