"""Alembic's entry point.

It runs the steps on the connection of `migrate`, in its transaction.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="tillpost_version",
    transaction_per_migration=False,
    transactional_ddl=False,  # the caller's transaction is around it already
)
context.run_migrations()
