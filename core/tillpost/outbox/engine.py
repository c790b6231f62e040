"""Engines: what wakes the workers when an order becomes due.

The bundled engine is polling: `worker` asks the database itself. A plugin brings another through
the hook `outbox_engines`; `[outbox] engine` or `Outbox(engine=...)` chooses it. Leases, limits and
the sequence of orders are kept in the database, so an engine may be late or wake twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from sqlalchemy import Connection

from tillpost.errors.exceptions import ConfigError
from tillpost.plugins.manager import factories

__all__ = ["Embedded", "Engine", "engine_named", "engines"]


class Engine(Protocol):
    """Wakes the workers."""

    def is_ready(self, db: Connection) -> bool:
        """Return whether the database has what the engine needs. Called often.

        Raises:
            ConfigError: this database can't have it.
        """
        ...

    def prepare(self, db: Connection) -> None:
        """Create what the engine needs, in the transaction that is given.

        Called by one program at a time, and only while `is_ready` returns False.
        """
        ...

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Arrange a call of `Processor.process(order_id)` if the transaction is committed.

        Args:
            db: The transaction that makes the order due.
            order_id: The order's id.
            at: When to call it, in epoch seconds by `Outbox.clock`.
        """
        ...


class Embedded:
    """The bundled engine. Its workers poll the database, so they need no wake-up."""

    def is_ready(self, db: Connection) -> bool:
        """Return True: the outbox's tables are enough."""
        return True

    def prepare(self, db: Connection) -> None:
        """Do nothing."""

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Do nothing."""


def engines() -> Mapping[str, Callable[[], Engine]]:
    """Return the factory of each engine, by name."""
    from_plugins = cast("Mapping[str, Callable[[], Engine]]", factories("outbox_engines"))
    return {**from_plugins, "embedded": Embedded}


def engine_named(name: str) -> Engine:
    """Return the engine of a name.

    Raises:
        ConfigError: there is none. The text lists those that there are.
    """
    if name == "embedded":
        return Embedded()
    known = engines()
    if name not in known:
        names = ", ".join(sorted(known))
        raise ConfigError(f"no outbox engine {name!r}; there are: {names}")
    return known[name]()
