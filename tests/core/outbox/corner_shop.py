"""A simulated Square store and its orders: real HTTP, a real SQLite file, a real worker.

Retries and leases are short, so that no test waits long.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from recent import PLACED_AT
from tillpost import Order
from tillpost.client.base import adapter_for
from tillpost.outbox import (
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

QUICK = OutboxSettings(first_wait=0.05, longest_wait=0.2, outage_after=2)

_LUNCH = Path(__file__).parents[3] / "docs" / "examples" / "orders" / "lunch-pickup.json"


def lunch(order_id: str = "ord-1", **changes: Any) -> Order:
    """Return a paid order that the simulated store accepts: 28.81 AUD, as soon as possible."""
    order = Order.model_validate_json(_LUNCH.read_text())
    placed_at = datetime.fromisoformat(PLACED_AT)
    return order.model_copy(update={"id": order_id, "placed_at": placed_at, **changes})


def connected(running: Running[SquareSimulator], **changes: object) -> OutboxConnection:
    """Return the connection to the store."""
    return OutboxConnection(adapter_for("square", {**running.settings, **changes}))


def work_off(outbox: Outbox, known: Mapping[str, OutboxConnection], *hooks: object) -> None:
    """Run a worker until it is idle."""
    with Processor(outbox, connections=from_mapping(known), hooks=hooks) as processor:
        Worker(processor).run(until_idle=True)
