"""The outbox's distributed engine: workers on many machines, woken by Procrastinate's jobs on PostgreSQL.

    [outbox]
    db = "postgresql+psycopg://..."
    engine = "procrastinate"

A job is deferred in the same transaction as the order, so it is there if and only if the order is.
It only wakes: who has an order in hand, and how many at once, stands in the outbox's own tables.
Needs the extra `procrastinate`.
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
    """Bring the engine `procrastinate`."""
    return {"procrastinate": _make}


def _make() -> Procrastinate:
    from tillpost_procrastinate.engine import (
        Procrastinate,
    )  # here, so that looking for plugins stays cheap

    return Procrastinate()
