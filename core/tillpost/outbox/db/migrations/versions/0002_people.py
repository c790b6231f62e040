"""What people do: connections made here, acts, problems, and orders that are watched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.String(200)
_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add to the tables, and make the new ones."""
    for column in (
        sa.Column("problem_at", sa.Double),
        sa.Column("escalate_at", sa.Double),
        sa.Column("escalations", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pos_id", _NAME),
        sa.Column("received_at", sa.Double),
        sa.Column("watch_at", sa.Double),
        sa.Column("expect_at", sa.Double),
        sa.Column("proved_at", sa.Double),
        sa.Column("unseen_at", sa.Double),
        sa.Column("ticket", sa.Text),
    ):
        op.add_column("tillpost_orders", column)
    indexed = (
        ("problem", "problem_at"),
        ("watched", "watch_at"),
        ("escalated", "escalate_at"),
        ("expected", "expect_at"),
    )
    for name, when in indexed:
        there = sa.text(f"{when} IS NOT NULL")
        op.create_index(
            f"tillpost_orders_{name}",
            "tillpost_orders",
            [when],
            sqlite_where=there,
            postgresql_where=there,
        )
    # Orders that stood in error before have waited for a person since then.
    op.execute(
        "UPDATE tillpost_orders SET problem_at = updated_at WHERE state = 'error' OR waits_for = 'authorisation'"
    )
    there = sa.text("pos_id IS NOT NULL")
    both = ["pos_id", "connection"]
    op.create_index(
        "tillpost_orders_pos_id",
        "tillpost_orders",
        both,
        sqlite_where=there,
        postgresql_where=there,
    )
    of_json = (
        "json_extract(pos_order, '$.id')"
        if op.get_bind().dialect.name == "sqlite"
        else "pos_order::json ->> 'id'"
    )
    op.execute(f"UPDATE tillpost_orders SET pos_id = {of_json} WHERE pos_order IS NOT NULL")  # noqa: S608  our own text
    for column in (
        sa.Column("import_at", sa.Double),
        sa.Column("readiness", sa.Text),
        sa.Column("check_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("takes_orders", sa.Boolean),
        sa.Column("takes_since", sa.Double),
    ):
        op.add_column("tillpost_connections", column)
    op.create_table(
        "tillpost_credentials",
        sa.Column("connection", _NAME, primary_key=True),
        sa.Column("platform", sa.String(100), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("sealed_with", sa.String(64), nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("connected_at", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("follows", sa.String(64), nullable=False),
        sa.Column("refresher", sa.String(36)),
    )
    op.create_table(
        "tillpost_acts",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("connection", _NAME, nullable=False),
        sa.Column("order_id", sa.String(40)),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("tillpost_acts_order", "tillpost_acts", ["order_id", "at"])
