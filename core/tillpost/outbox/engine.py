"""Who wakes the workers when an order falls due: the least that an engine is. The bundled one asks the store by itself.

A plugin brings another through the hook `outbox_engines`, and is chosen by `[outbox] engine`, or
`Outbox(engine=...)`. Leases, limits and the order of the orders are the store's, so an engine can
be late or wake twice, and no harm is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from sqlalchemy import Connection

from tillpost.errors.exceptions import ConfigError
from tillpost.plugins.manager import factories

__all__ = ["Embedded", "Engine", "engine_named", "engines"]


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


class Embedded:
    """The engine of `worker`: it looks into the store every so often, so nobody has to be woken."""

    def is_ready(self, db: Connection) -> bool:
        """Say yes: the store's tables are all it needs."""
        return True

    def prepare(self, db: Connection) -> None:
        """Do nothing."""

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Do nothing: the worker will look."""


def engines() -> Mapping[str, Callable[[], Engine]]:
    """Return what makes each engine, by name."""
    brought = cast("Mapping[str, Callable[[], Engine]]", factories("outbox_engines"))
    return {**brought, "embedded": Embedded}


def engine_named(name: str) -> Engine:
    """Return the engine of that name; raise `ConfigError` that lists those there are."""
    if name == "embedded":
        return Embedded()
    known = engines()
    if name not in known:
        raise ConfigError(f"no outbox engine {name!r}; there are: {', '.join(sorted(known))}")
    return known[name]()
