"""The outbox's distributed engine.

Workers run on many machines, and are woken by Procrastinate's jobs.

    [outbox]
    db = "postgresql+psycopg://..."
    engine = "procrastinate"

A job is deferred in the same transaction as its order, so either both exist or neither. A job only
wakes a worker; claims and limits are kept in the outbox's own tables. Needs PostgreSQL and the
extra `procrastinate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tillpost.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from tillpost_procrastinate.engine import Procrastinate

__all__ = ["outbox_engines"]


@hookimpl
def outbox_engines() -> Mapping[str, Callable[[], Procrastinate]]:
    """Register the engine `procrastinate`."""
    return {"procrastinate": _create_engine}


def _create_engine() -> Procrastinate:
    # Imported here, so that searching for plugins stays cheap.
    from tillpost_procrastinate.engine import Procrastinate

    return Procrastinate()
