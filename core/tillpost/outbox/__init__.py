"""Durable submission: orders in a database, and the workers that submit them.

The database is SQLite or PostgreSQL. A site adds orders to an `Outbox`. A `Processor` submits them,
run by the bundled `Worker` or by an engine of your own. Needs the extra `outbox`.
"""

from importlib.util import find_spec

for _needed in ("sqlalchemy", "alembic"):
    if find_spec(_needed) is None:
        raise ModuleNotFoundError(f"the outbox needs {_needed}: pip install 'tillpost[outbox]'")

from tillpost.outbox.delivery.connections import (
    ConnectionSource,
    FromFile,
    OutboxConnection,
    from_mapping,
)
from tillpost.outbox.engine import Engine
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.menus.review import StoredImport
from tillpost.outbox.orders.models import OrderState, StoredOrder, WaitsFor
from tillpost.outbox.orders.queries import JournalEntry
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.processor import Processor
from tillpost.outbox.worker.worker import OwnWorkers, Runs, Worker, worker_for

__all__ = [
    "ConnectionOptions",
    "ConnectionSource",
    "DatabaseError",
    "Engine",
    "FromFile",
    "JournalEntry",
    "Maintenance",
    "OrderState",
    "Outbox",
    "OutboxConnection",
    "OutboxSettings",
    "OwnWorkers",
    "Processor",
    "Runs",
    "StoredImport",
    "StoredOrder",
    "WaitsFor",
    "Worker",
    "from_mapping",
    "worker_for",
]
