"""The migrations create the schema, and other versions of it are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.outbox.stores import Opening
from core.toy import toy_order
from core.toy_server import ToyServer
from tillpost.outbox import DatabaseError, Outbox, Processor
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.migrate import HEAD, VERSION_TABLE, VERSIONS, migrate


def test_migrations_create_the_tables_of_the_schema(outbox: Outbox) -> None:
    outbox.prepare()
    with outbox.database.reading() as db:
        context = MigrationContext.configure(db, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, t.metadata) == []


def test_migrations_create_defaults_and_indexes_of_the_schema(
    outbox: Outbox,
) -> None:
    """Alembic's comparison ignores the conditions of partial indexes."""
    outbox.prepare()
    with outbox.database.reading() as db:
        made = described(db)
    with outbox.database.writing() as db:
        for table in reversed(t.metadata.sorted_tables):
            table.drop(db)
        t.metadata.create_all(db)
    with outbox.database.reading() as db:
        assert described(db) == made


DESCRIBED = {
    "sqlite": """
        SELECT sql
        FROM sqlite_master
        WHERE type = 'index' AND sql IS NOT NULL AND tbl_name LIKE 'tillpost%'
        UNION ALL
        SELECT m.name || ' ' || c.name || ' ' || c.type || c."notnull"
            || ifnull(c.dflt_value, '') || c.pk
        FROM sqlite_master m, pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name LIKE 'tillpost%'
    """,
    "postgresql": """
        SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'tillpost%'
        UNION ALL
        SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns
        WHERE table_name LIKE 'tillpost%'
    """,
}
"""Queries that list all columns and indexes with their definitions."""


def described(db: sa.Connection) -> set[str]:
    return {str(row[0]) for row in db.execute(sa.text(DESCRIBED[db.dialect.name]))}


def test_current_version_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "tillpost.outbox.db:migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == HEAD
    assert {step.revision for step in script.walk_revisions()} == set(VERSIONS)


def set_version(outbox: Outbox, version: str) -> None:
    """Give the database a version that no other program works with."""
    outbox.prepare()
    change = sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :version, oldest = :version")
    with outbox.database.writing() as db:
        db.execute(change, {"version": version})


def test_database_of_newer_version_is_refused_and_unchanged(
    open_outbox: Opening, server: ToyServer
) -> None:
    before = open_outbox()
    before.add(toy_order(), connection="cafe")
    set_version(before, "9999")
    message = (
        f"the database has a newer version (9999) than this Tillpost supports ({HEAD}): "
        "update Tillpost"
    )
    uses: list[Callable[[Outbox], object]] = [
        lambda outbox: outbox.add(toy_order("ord-2"), connection="cafe"),
        lambda outbox: outbox.get("ord-1"),
        lambda outbox: outbox.orders(),
        lambda outbox: outbox.resume("cafe"),
        lambda outbox: Processor(outbox).__enter__(),
    ]
    for use in uses:
        with pytest.raises(DatabaseError) as refused:
            use(open_outbox())
        assert str(refused.value) == message
    newer = open_outbox()
    with pytest.raises(DatabaseError, match="newer version"), newer.database.writing() as db:
        migrate(db, newer.engine)
    set_version(before, HEAD)
    assert [stored.id for stored in open_outbox().orders()] == ["ord-1"]


def test_database_of_older_version_names_the_upgrade_command(
    open_outbox: Opening,
) -> None:
    set_version(open_outbox(), "0001")
    with pytest.raises(
        DatabaseError,
        match=r"^the database has an older version \(0001\): run `tillpost outbox migrate`$",
    ):
        open_outbox().orders()


def test_tables_coexist_with_an_embedders_own_migrations(outbox: Outbox) -> None:
    with outbox.database.writing() as db:
        db.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        db.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    outbox.add(toy_order(), connection="cafe")
    with outbox.database.reading() as db:
        assert db.scalar(sa.text("SELECT version_num FROM alembic_version")) == "theirs"
        assert all(
            name.startswith(("tillpost_", "alembic_version"))
            for name in sa.inspect(db).get_table_names()
        )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://x", "the database must be SQLite or PostgreSQL, not oracle"),
        (
            "orders.db",
            "not a database URL: it has no scheme, as in sqlite:///orders.db",
        ),
        (
            "sqlite://",
            "a database in memory loses its orders: name a file, as in sqlite:///orders.db",
        ),
    ],
)
def test_invalid_database_url_is_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        Outbox(url)
    assert str(refused.value) == message
