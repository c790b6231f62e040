"""The engine that core knows: it makes Procrastinate's tables, defers jobs in the outbox's transactions, and works.

A job is deferred by calling Procrastinate's own function in plain SQL, on whatever connection the
order is added with: sync or async, a Session of the caller's or ours. Jobs have no lock and no
queueing lock: one would outlive a killed worker, the other would make a caller's transaction wait
for another's or fail. Two jobs for one order do no harm.
"""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Double, Text, bindparam, text

from tillpost.errors import ConfigError
from tillpost_procrastinate.names import QUEUE, TASK

if TYPE_CHECKING:
    from tillpost.outbox import Processor
    from tillpost_procrastinate.worker import ProcrastinateWorker

__all__ = ["QUEUE", "TASK", "Procrastinate"]


_DEFER = text(f"""
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW('{QUEUE}', '{TASK}', 0, NULL, NULL, CAST(:args AS jsonb), to_timestamp(CAST(:at AS double precision)))
        ::procrastinate_job_to_defer_v1])
""").bindparams(bindparam("args", type_=Text), bindparam("at", type_=Double))

_HAS_TABLE = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_HAS_FUNCTION = text("""
    SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'procrastinate_defer_jobs_v1' AND pg_function_is_visible(oid))
""")


class Procrastinate:
    """Wakes workers by Procrastinate's jobs, which are as durable as the orders."""

    def __init__(self) -> None:
        """Raise `ConfigError` when Procrastinate isn't installed."""
        if find_spec("procrastinate") is None:
            raise ConfigError(
                "the engine procrastinate isn't installed: pip install 'tillpost[procrastinate]'"
            )

    def is_ready(self, db: Connection) -> bool:
        """Whether Procrastinate's tables are there; raise `ConfigError` where they can't be used, or can't be."""
        if db.dialect.name != "postgresql":
            raise ConfigError(
                f"the engine procrastinate needs a PostgreSQL database, and this one is {db.dialect.name}"
            )
        if not db.scalar(_HAS_TABLE):
            return False
        if not db.scalar(_HAS_FUNCTION):
            raise ConfigError(
                "the database's Procrastinate tables are of a version older than 3.0: apply Procrastinate's migrations"
            )
        return True

    def prepare(self, db: Connection) -> None:
        """Make Procrastinate's tables. Later versions' migrations are the operator's to apply."""
        from procrastinate.schema import SchemaManager  # here, since only a new database needs it

        raw = db.connection.driver_connection
        assert raw is not None
        raw.execute(
            SchemaManager.get_schema()
        )  # as it stands: it holds several statements, and percent signs

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Defer a job for the order, in the transaction that is given."""
        later = (
            at if at > time.time() else None
        )  # now, whatever the time is on the database's machine
        db.execute(_DEFER, {"args": json.dumps({"order_id": order_id}), "at": later})

    def worker(self, processor: Processor) -> ProcrastinateWorker:
        """Return the worker that takes the jobs."""
        from tillpost_procrastinate.worker import ProcrastinateWorker

        return ProcrastinateWorker(processor)
