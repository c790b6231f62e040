"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String(200)
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables as `schema` described them at this version."""
    op.create_table(
        "tillpost_orders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("begin_at", sa.Double, nullable=False),
        sa.Column("is_new", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("progress", sa.String(20), nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("waits_for", sa.String(20), nullable=False),
        sa.Column("resume_at", sa.Double, nullable=False),
        sa.Column("to_ask", sa.Boolean, nullable=False),
        sa.Column("worker", sa.String(36)),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("crash_count", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("pos_order", sa.Text),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_index(
        "tillpost_orders_due",
        "tillpost_orders",
        ["connection", "due_at", "added_at"],
        sqlite_where=sa.text("worker IS NULL AND due_at IS NOT NULL"),
        postgresql_where=sa.text("worker IS NULL AND due_at IS NOT NULL"),
    )
    op.create_index(
        "tillpost_orders_held",
        "tillpost_orders",
        ["connection", "worker"],
        sqlite_where=sa.text("worker IS NOT NULL"),
        postgresql_where=sa.text("worker IS NOT NULL"),
    )
    op.create_index(
        "tillpost_orders_deadly",
        "tillpost_orders",
        ["due_at"],
        sqlite_where=sa.text("worker IS NULL AND due_at IS NOT NULL AND crash_count >= 2"),
        postgresql_where=sa.text("worker IS NULL AND due_at IS NOT NULL AND crash_count >= 2"),
    )
    op.create_index("tillpost_orders_added", "tillpost_orders", ["added_at"])
    op.create_index("tillpost_orders_state", "tillpost_orders", ["state", "added_at"])
    op.create_table(
        "tillpost_events",
        sa.Column(
            "order_id",
            sa.String(40),
            sa.ForeignKey("tillpost_orders.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("exchange", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tillpost_workers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("beat", sa.Integer, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
    )
    op.create_table(
        "tillpost_connections",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("paused", sa.String(20), nullable=False),
        sa.Column("paused_with", sa.String(64), nullable=False),
        sa.Column("paused_at", sa.Double),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double),
        sa.Column("probe_at", sa.Double, nullable=False),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("whose", sa.String(20), nullable=False),
        sa.Column("ramp", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("unreached_at", sa.Double, nullable=False),
        sa.Column("reached_at", sa.Double, nullable=False),
        sa.Column("menu", sa.Text),
        sa.Column("menu_at", sa.Double, nullable=False),
        sa.Column("held", sa.Text),
        sa.Column("importer", sa.String(36)),
        sa.Column("import_failed_at", sa.Double, nullable=False),
        sa.Column("import_failure", sa.Text),
        sa.Column("sync_at", sa.Double),
    )
    op.create_table(
        "tillpost_imports",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("settled", sa.String(20), nullable=False, server_default=""),
    )
    op.create_table(
        "tillpost_webhooks",
        sa.Column("connection", _NAME, primary_key=True),
        sa.Column("event_id", sa.String(200), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("tillpost_imports_connection", "tillpost_imports", ["connection", "at"])
