"""The engine, which creates Procrastinate's tables and defers jobs.

Jobs are deferred in the outbox's transactions. A job is deferred by Procrastinate's own SQL
function, on whatever connection the order is added with: sync or async, the caller's or ours. Jobs
have neither a lock nor a queueing lock. The first would outlive a killed worker; the second would
make a caller's transaction wait for another's, or fail. Two jobs for one order do no harm.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Double, Text, bindparam, text

from tillpost.errors import ConfigError
from tillpost_procrastinate.names import QUEUE, TASK

if TYPE_CHECKING:
    from tillpost.outbox import Processor
    from tillpost_procrastinate.worker import ProcrastinateWorker

__all__ = ["QUEUE", "TASK", "Procrastinate"]


# A job without a time is run at once, also by a worker whose transaction began a moment ago.
_DEFER = text(f"""
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW('{QUEUE}', '{TASK}', 0, NULL, NULL, CAST(:args AS jsonb),
            CASE WHEN :at > date_part('epoch', clock_timestamp()) THEN to_timestamp(:at) END)
        ::procrastinate_job_to_defer_v1])
""").bindparams(bindparam("args", type_=Text), bindparam("at", type_=Double))

_HAS_TABLE = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")

_HAS_FUNCTION = text("""
    SELECT EXISTS (SELECT FROM pg_proc
                   WHERE proname = 'procrastinate_defer_jobs_v1' AND pg_function_is_visible(oid))
""")


class Procrastinate:
    """An engine whose jobs, which wake workers, are as durable as the orders."""

    def __init__(self) -> None:
        """Check that Procrastinate is installed.

        Raises:
            ConfigError: it isn't.
        """
        if find_spec("procrastinate") is None:
            raise ConfigError(
                "the engine procrastinate isn't installed: pip install 'tillpost[procrastinate]'"
            )

    def is_ready(self, db: Connection) -> bool:
        """Return whether Procrastinate's tables exist.

        Raises:
            ConfigError: the database isn't PostgreSQL, or the tables are too old.
        """
        dialect = db.dialect.name
        if dialect != "postgresql":
            raise ConfigError(
                f"the engine procrastinate needs a PostgreSQL database, and this one is {dialect}"
            )
        if not db.scalar(_HAS_TABLE):
            return False
        if not db.scalar(_HAS_FUNCTION):
            raise ConfigError(
                "the database's Procrastinate tables are of a version older than 3.0: "
                "apply Procrastinate's migrations"
            )
        return True

    def prepare(self, db: Connection) -> None:
        """Create Procrastinate's tables.

        The migrations of later versions are the operator's.
        """
        # Imported here, since only a new database needs it.
        from procrastinate.schema import SchemaManager

        driver = db.connection.driver_connection
        assert driver is not None
        # On the driver: the schema holds several statements, and percent signs.
        driver.execute(SchemaManager.get_schema())

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        """Defer a job for an order, in the transaction that is given."""
        args = json.dumps({"order_id": order_id})
        db.execute(_DEFER, {"args": args, "at": at})

    def worker(self, processor: Processor) -> ProcrastinateWorker:
        """Return a worker that runs the jobs."""
        from tillpost_procrastinate.worker import ProcrastinateWorker

        return ProcrastinateWorker(processor)
