"""Create the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
oldest = "0001"

_NAME = sa.String(200)
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables as `schema` describes them at this version."""
    _create_orders()
    _create_events()
    _create_workers()
    _create_connections()
    _create_menu_imports()
    _create_webhooks()
    _create_credentials()
    _create_audit_log()


def _create_orders() -> None:
    op.create_table(
        "tillpost_orders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("eligible_at", sa.Double, nullable=False),
        sa.Column("wanted_at", sa.Double),
        sa.Column("is_new", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("progress", sa.String(20), nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("waits_for", sa.String(20), nullable=False),
        sa.Column("suspended_until", sa.Double, nullable=False),
        sa.Column("new_request", sa.Boolean, nullable=False),
        sa.Column("worker", sa.String(36)),
        sa.Column("fencing_token", sa.Integer, nullable=False),
        sa.Column("crash_count", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("pos_order", sa.Text),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("problem_at", sa.Double),
        sa.Column("escalate_at", sa.Double),
        sa.Column("escalations", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pos_id", _NAME),
        sa.Column("received_at", sa.Double),
        sa.Column("poll_at", sa.Double),
        sa.Column("expected_at", sa.Double),
        sa.Column("confirmed_at", sa.Double),
        sa.Column("unseen_reported_at", sa.Double),
        sa.Column("ticket", sa.Text),
        sa.Column("reported", sa.Text),
    )
    is_due = "worker IS NULL AND due_at IS NOT NULL"
    _create_order_index("claimed", "connection", "worker", where="worker IS NOT NULL")
    _create_order_index("problem", "problem_at", where="problem_at IS NOT NULL")
    _create_order_index("poll", "poll_at", where="poll_at IS NOT NULL")
    op.create_index("tillpost_orders_added", "tillpost_orders", ["added_at"])
    _create_order_index("escalate", "escalate_at", where="escalate_at IS NOT NULL")
    _create_order_index("expected", "expected_at", where="expected_at IS NOT NULL")
    _create_order_index("isolated", "due_at", where=f"{is_due} AND crash_count >= 2")
    op.create_index("tillpost_orders_state", "tillpost_orders", ["state", "added_at"])
    _create_order_index("pos_id", "pos_id", "connection", where="pos_id IS NOT NULL")
    _create_order_index("due", "connection", "due_at", "added_at", where=is_due)


def _create_order_index(name: str, *columns: str, where: str) -> None:
    op.create_index(
        f"tillpost_orders_{name}",
        "tillpost_orders",
        list(columns),
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def _create_events() -> None:
    op.create_table(
        "tillpost_events",
        sa.Column(
            "order_id",
            sa.String(40),
            sa.ForeignKey("tillpost_orders.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("exchange", sa.Text),
        sqlite_with_rowid=False,
    )


def _create_workers() -> None:
    op.create_table(
        "tillpost_workers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("beat", sa.Integer, nullable=False),
        sa.Column("lease", sa.Double, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
    )


def _create_connections() -> None:
    op.create_table(
        "tillpost_connections",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("paused", sa.String(20), nullable=False),
        sa.Column("refused_credentials", sa.String(64), nullable=False),
        sa.Column("paused_at", sa.Double),
        sa.Column("pause_probe_at", sa.Double),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double),
        sa.Column("probe_at", sa.Double, nullable=False),
        sa.Column("probes", sa.Integer, nullable=False),
        sa.Column("outage_cause", sa.String(20), nullable=False),
        sa.Column("recovery_limit", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("unreachable_at", sa.Double, nullable=False),
        sa.Column("reached_at", sa.Double, nullable=False),
        sa.Column("menu", sa.Text),
        sa.Column("menu_at", sa.Double, nullable=False),
        sa.Column("menu_in_review", sa.Text),
        sa.Column("importer", sa.String(36)),
        sa.Column("import_failed_at", sa.Double, nullable=False),
        sa.Column("import_failure", sa.Text),
        sa.Column("sync_at", sa.Double),
        sa.Column("import_at", sa.Double),
        sa.Column("readiness", sa.Text),
        sa.Column("check_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("takes_orders", sa.Boolean),
        sa.Column("takes_orders_since", sa.Double),
    )


def _create_menu_imports() -> None:
    op.create_table(
        "tillpost_menu_imports",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("imported_at", sa.Double, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("needed_review", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("review_result", sa.String(20), nullable=False, server_default=""),
    )
    op.create_index(
        "tillpost_menu_imports_connection", "tillpost_menu_imports", ["connection", "imported_at"]
    )


def _create_webhooks() -> None:
    op.create_table(
        "tillpost_webhooks",
        sa.Column("connection", _NAME, primary_key=True),
        sa.Column("event_id", sa.String(200), primary_key=True),
        sa.Column("received_at", sa.Double, nullable=False),
    )


def _create_credentials() -> None:
    op.create_table(
        "tillpost_credentials",
        sa.Column("connection", _NAME, primary_key=True),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("encrypted_secrets", sa.Text, nullable=False),
        sa.Column("key_fingerprint", sa.String(64), nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("connected_at", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("file_tokens_fingerprint", sa.String(64), nullable=False),
        sa.Column("refresher", sa.String(36)),
    )


def _create_audit_log() -> None:
    op.create_table(
        "tillpost_audit_log",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("done_at", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("order_id", sa.String(40)),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("tillpost_audit_log_order", "tillpost_audit_log", ["order_id", "done_at"])
