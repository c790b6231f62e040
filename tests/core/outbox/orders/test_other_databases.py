"""An order that would go to another database than the outbox's, or be committed, is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.types.numeric import NumericLoader
from psycopg.types.string import TextLoader
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from core.toy import toy_order
from databases import PostgresServer, database_on
from tillpost.outbox import DatabaseError, Outbox


def address(url: str) -> str:
    return url.replace("+psycopg", "")


def file_of(url: str) -> str:
    return sa.make_url(url).database or ""


def refused(outbox: Outbox, session: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        outbox.add(toy_order(), connection="cafe", session=session)
    assert "\n" not in str(caught.value)
    assert outbox.orders() == []


def test_other_kind_of_database_is_refused(sqlite_url: str, prepared_postgres_url: str) -> None:
    other = sa.create_engine(prepared_postgres_url)
    with Outbox(sqlite_url) as outbox:
        with Session(other) as session:
            refused(outbox, session, "of PostgreSQL, but the outbox is in SQLite")
        with psycopg.connect(address(prepared_postgres_url)) as raw:
            refused(outbox, raw, "of PostgreSQL, but the outbox is in SQLite")
    other.dispose()
    with (
        Outbox(prepared_postgres_url) as outbox,
        closing(sqlite3.connect(file_of(sqlite_url))) as raw,
    ):
        refused(outbox, raw, "of SQLite, but the outbox is in PostgreSQL")


def test_other_file_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    with Outbox(f"sqlite:///{elsewhere}") as other:
        other.prepare()
    engine = sa.create_engine(f"sqlite:///{elsewhere}")
    with Outbox(sqlite_url) as outbox:
        with Session(engine) as session:
            refused(outbox, session, r"writes to .*elsewhere\.db, but the outbox is in")
        with closing(sqlite3.connect(elsewhere)) as raw:
            refused(outbox, raw, r"writes to .*elsewhere\.db, but the outbox is in")
        with closing(sqlite3.connect(":memory:")) as raw:
            refused(outbox, raw, "writes to a database in memory")
        with closing(sqlite3.connect(elsewhere)) as raw:
            raw.execute("ATTACH ? AS orders", (file_of(sqlite_url),))
            outbox.prepare()
            raw.execute("DROP TABLE tillpost_events")
            raw.execute("DROP TABLE tillpost_orders")
            outbox.add(toy_order(), connection="cafe", session=raw)
            raw.commit()
        assert outbox.get("ord-1")
    engine.dispose()


def test_link_to_the_file_is_joined(sqlite_url: str, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    with Outbox(sqlite_url) as outbox:
        outbox.prepare()
        link.symlink_to(file_of(sqlite_url))
        with closing(sqlite3.connect(link)) as raw:
            outbox.add(toy_order(), connection="cafe", session=raw)
            raw.commit()
        assert outbox.get("ord-1")


def test_other_postgresql_database_is_refused(
    prepared_postgres_url: str, postgres: PostgresServer
) -> None:
    with database_on(postgres) as other, Outbox(prepared_postgres_url) as outbox:
        with Outbox(other) as elsewhere:
            elsewhere.prepare()
        with psycopg.connect(address(other)) as raw:
            refused(outbox, raw, "it is in the database .*, but the outbox is in")


def test_other_search_path_is_refused(prepared_postgres_url: str) -> None:
    with (
        Outbox(prepared_postgres_url) as outbox,
        psycopg.connect(address(prepared_postgres_url), autocommit=True) as raw,
    ):
        outbox.prepare()
        raw.execute("CREATE SCHEMA other")
        raw.execute("SET search_path = other")
        with raw.transaction(), pytest.raises(DatabaseError, match="leads to no table"):
            outbox.add(toy_order(), connection="cafe", session=raw)
        raw.execute("CREATE TABLE other.tillpost_orders (LIKE public.tillpost_orders)")
        with raw.transaction():
            refused(outbox, raw, "leads to another table")
        raw.execute("RESET search_path")
        with raw.transaction():
            outbox.add(toy_order(), connection="cafe", session=raw)
        assert outbox.get("ord-1")


def autocommit_by_engine(url: str) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT")


def autocommit_by_option(url: str) -> sa.Engine:
    return sa.create_engine(url).execution_options(isolation_level="AUTOCOMMIT")


@pytest.mark.parametrize("opened", [autocommit_by_engine, autocommit_by_option])
def test_autocommit_of_sqlalchemy_is_refused(url: str, opened: Callable[[str], sa.Engine]) -> None:
    engine = opened(url)
    with Outbox(url) as outbox:
        with Session(engine) as session:
            refused(outbox, session, "autocommit mode")
        with engine.begin() as connection:
            refused(outbox, connection, "autocommit mode")
    engine.dispose()


def test_autocommit_of_async_sqlalchemy_is_refused(url: str) -> None:
    async def run(outbox: Outbox) -> None:
        there = url.replace("sqlite:", "sqlite+aiosqlite:")
        engine = create_async_engine(there, isolation_level="AUTOCOMMIT")
        async with engine.begin() as connection:
            with pytest.raises(ValueError, match="autocommit mode"):
                await outbox.add(toy_order(), connection="cafe", session=connection)
        await engine.dispose()

    with Outbox(url) as outbox:
        asyncio.run(run(outbox))
        assert outbox.orders() == []


@pytest.mark.parametrize(
    ("kind", "loader"), [("float8", NumericLoader), ("float8", TextLoader), ("text", NumericLoader)]
)
def test_adapters_of_the_caller_have_no_effect(
    prepared_postgres_url: str, kind: str, loader: Any
) -> None:
    with (
        Outbox(prepared_postgres_url) as outbox,
        psycopg.connect(address(prepared_postgres_url)) as raw,
    ):
        raw.adapters.register_loader(kind, loader)
        first = outbox.add(toy_order(), connection="cafe", session=raw)
        assert outbox.add(toy_order(), connection="cafe", session=raw) == first


def test_converters_of_the_caller_have_no_effect(sqlite_url: str) -> None:
    known = dict(sqlite3.converters)
    sqlite3.register_converter("DOUBLE", lambda stored: Decimal(stored.decode()))
    sqlite3.register_converter("TEXT", lambda stored: stored.decode().upper())
    try:
        with (
            Outbox(sqlite_url) as outbox,
            closing(
                sqlite3.connect(file_of(sqlite_url), detect_types=sqlite3.PARSE_DECLTYPES)
            ) as raw,
        ):
            first = outbox.add(toy_order(), connection="cafe", session=raw)
            assert outbox.add(toy_order(), connection="cafe", session=raw) == first
    finally:
        sqlite3.converters.clear()
        sqlite3.converters.update(known)


def test_missing_tables_in_a_transaction_that_writes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    with Outbox(f"sqlite:///{file}") as outbox:
        with closing(sqlite3.connect(file)) as raw:
            raw.execute("CREATE TABLE sales (id TEXT)")
            raw.execute("INSERT INTO sales VALUES ('1')")
            began = time.monotonic()
            with pytest.raises(DatabaseError, match="run `tillpost outbox migrate`"):
                outbox.add(toy_order(), connection="cafe", session=raw)
            assert time.monotonic() - began < 5
            raw.rollback()
            outbox.add(toy_order(), connection="cafe", session=raw)
            raw.commit()
        assert outbox.get("ord-1")
