"""The outbox: orders that survive a crash, in SQLite or PostgreSQL, and the worker that brings them to the register.

`Outbox` is what a site adds orders to; `Processor` carries them, under the bundled `Worker` or an engine of your own.
Needs the extra `outbox`.
"""

from importlib.util import find_spec

for _needed in ("sqlalchemy", "alembic"):
    if find_spec(_needed) is None:
        raise ModuleNotFoundError(f"the outbox needs {_needed}: pip install 'tillpost[outbox]'")

from tillpost.outbox.connecting import Connected, FromFile, from_mapping
from tillpost.outbox.engine import Engine, Runs
from tillpost.outbox.held import StoredImport
from tillpost.outbox.looking import JournalEntry
from tillpost.outbox.orders import OrderState, StoredOrder, WaitsFor
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.processor import Processor
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings
from tillpost.outbox.tending import Tending
from tillpost.outbox.trouble import StoreError
from tillpost.outbox.worker import Worker

__all__ = [
    "Connected",
    "ConnectionOptions",
    "Engine",
    "FromFile",
    "JournalEntry",
    "OrderState",
    "Outbox",
    "OutboxSettings",
    "Processor",
    "Runs",
    "StoreError",
    "StoredImport",
    "StoredOrder",
    "Tending",
    "WaitsFor",
    "Worker",
    "from_mapping",
]
