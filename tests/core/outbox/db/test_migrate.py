"""Migrating the tables: from an older version to a newer one, on request only, and all or nothing.

The first version is the only one so far, so these tests add a made-up second step to a copy of the
migrations.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.outbox.stores import Opening
from core.toy import toy_order
from tillpost.outbox import DatabaseError, Outbox
from tillpost.outbox.db import migrate as migrate_module

NEXT = "0003"

STEP = f'''
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{migrate_module.HEAD}"

def upgrade() -> None:
    op.add_column("tillpost_orders", sa.Column("made_up", sa.String(20), server_default="x"))
'''

FAILING_STEP = f"{STEP}    raise RuntimeError('the step failed')\n"


@pytest.fixture
def url(new_url: str) -> str:
    """Return the address of a database without tables: they are made, and migrated, here."""
    return new_url


def columns(outbox: Outbox) -> set[str]:
    with outbox.database.reading() as db:
        return {column["name"] for column in sa.inspect(db).get_columns("tillpost_orders")}


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migration steps, which Tillpost uses from now on as if it were newer."""
    copied = tmp_path / "a folder with 100 % blanks"
    shutil.copytree(migrate_module.STEPS, copied)
    monkeypatch.setattr(migrate_module, "STEPS", copied)
    monkeypatch.setattr(migrate_module, "VERSIONS", (*migrate_module.VERSIONS, NEXT))
    monkeypatch.setattr(migrate_module, "HEAD", NEXT)
    return copied / "versions" / f"{NEXT}_made_up.py"


@pytest.fixture
def older(open_outbox: Opening) -> Outbox:
    """An outbox of the first version, with one order."""
    outbox = open_outbox()
    outbox.add(toy_order(), connection="cafe")
    return outbox


def test_older_database_is_migrated_on_request_only(
    older: Outbox, open_outbox: Opening, steps: Path
) -> None:
    steps.write_text(STEP)
    newer = open_outbox()
    with pytest.raises(DatabaseError, match="older version"):
        newer.orders()
    assert "made_up" not in columns(older)

    assert newer.migrate()

    assert "made_up" in columns(newer)
    assert [stored.id for stored in newer.orders()] == ["ord-1"]
    assert not newer.migrate()


def test_failing_step_changes_nothing(older: Outbox, open_outbox: Opening, steps: Path) -> None:
    steps.write_text(FAILING_STEP)
    newer = open_outbox()

    with pytest.raises(RuntimeError, match="the step failed"):
        newer.migrate()

    assert "made_up" not in columns(newer)
    with pytest.raises(DatabaseError, match="older version"):
        open_outbox().orders()


def test_new_database_is_created_in_the_newest_version(new_url: str, steps: Path) -> None:
    steps.write_text(STEP)

    with Outbox(new_url) as outbox:
        outbox.add(toy_order(), connection="cafe")

        assert "made_up" in columns(outbox)
