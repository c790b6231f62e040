"""Find the connections that are due by an index, however many there are.

It only adds indexes, so a program of the version before works beside it as ever.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
oldest = "0001"


def upgrade() -> None:
    """Index the times of `tillpost_connections` by which workers plan."""
    _index("check", "check_at", "paused = ''")
    _index("paused", "pause_probe_at", "paused <> ''")
    _index("sync", "sync_at", "sync_at IS NOT NULL")
    _index("import", "import_at", "import_at IS NOT NULL")


def _index(name: str, column: str, where: str) -> None:
    op.create_index(
        f"tillpost_connections_{name}",
        "tillpost_connections",
        [column],
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
