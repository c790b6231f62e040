"""An order joins the transaction of a driver's own connection, and leaves that as it was."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row

from core.toy import toy_order
from tillpost import Order, OrderError
from tillpost.outbox import DatabaseError, Outbox, StoredOrder

Connect = Callable[..., Any]


def ids(outbox: Outbox) -> set[str]:
    return {stored.id for stored in outbox.orders()}


def address(url: str) -> str:
    return url.replace("+psycopg", "")


def file_of(url: str) -> str:
    return sa.make_url(url).database or ""


@pytest.fixture
def raw(url: str) -> Generator[Any]:
    """A connection as its driver opens it, to a database that also has the site's own table."""
    opened: Any = sqlite3.connect(file_of(url)) if is_sqlite(url) else psycopg.connect(address(url))
    with closing(opened):
        opened.execute("CREATE TABLE sales (id TEXT)")
        opened.commit()
        yield opened


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def add(outbox: Outbox, order: Order, raw: sqlite3.Connection) -> StoredOrder:
    return outbox.add(order, connection="cafe", session=raw)


def sales(raw: Any) -> int:
    (count,) = raw.execute("SELECT count(*) FROM sales").fetchone()
    return int(count)


def test_commit_saves_order_and_sale(outbox: Outbox, raw: Any) -> None:
    raw.execute("INSERT INTO sales VALUES ('1')")
    stored = add(outbox, toy_order(), raw)
    assert ids(outbox) == set()
    raw.commit()
    assert outbox.get("ord-1") == stored
    assert sales(raw) == 1


def test_rollback_removes_order_and_sale(outbox: Outbox, raw: Any) -> None:
    raw.execute("INSERT INTO sales VALUES ('1')")
    outbox.add(toy_order(), connection="cafe", session=raw)
    raw.rollback()
    assert ids(outbox) == set()
    assert sales(raw) == 0


def test_earlier_statements_survive_adding(outbox: Outbox, raw: Any) -> None:
    """A wrapper that rolled back when it was set up or closed would undo the sale silently."""
    raw.execute("INSERT INTO sales VALUES ('before')")
    outbox.add(toy_order(), connection="cafe", session=raw)
    raw.execute("INSERT INTO sales VALUES ('after')")
    raw.commit()
    assert sales(raw) == 2
    assert ids(outbox) == {"ord-1"}


def test_order_alone_begins_the_transaction(outbox: Outbox, raw: Any) -> None:
    outbox.add(toy_order("lost"), connection="cafe", session=raw)
    raw.rollback()
    outbox.add(toy_order("kept"), connection="cafe", session=raw)
    raw.commit()
    assert ids(outbox) == {"kept"}


def test_savepoint_that_is_rolled_back_removes_only_its_order(outbox: Outbox, raw: Any) -> None:
    raw.execute("INSERT INTO sales VALUES ('1')")
    outbox.add(toy_order("kept"), connection="cafe", session=raw)
    raw.execute("SAVEPOINT inner_one")
    outbox.add(toy_order("taken-back"), connection="cafe", session=raw)
    raw.execute("ROLLBACK TO SAVEPOINT inner_one")
    raw.execute("RELEASE SAVEPOINT inner_one")
    raw.commit()
    assert ids(outbox) == {"kept"}
    assert sales(raw) == 1


def test_adding_again_returns_the_stored_order(outbox: Outbox, raw: Any) -> None:
    first = add(outbox, toy_order(), raw)
    assert outbox.add(toy_order(), connection="cafe", session=raw) == first
    raw.commit()
    assert outbox.add(toy_order(), connection="cafe", session=raw) == first
    raw.rollback()
    assert ids(outbox) == {"ord-1"}


def test_refusal_leaves_the_transaction_usable(outbox: Outbox, raw: Any) -> None:
    outbox.add(toy_order(), connection="cafe")
    raw.execute("INSERT INTO sales VALUES ('1')")
    with pytest.raises(OrderError, match="other content"):
        outbox.add(toy_order(quantity=2), connection="cafe", session=raw)
    outbox.add(toy_order("ord-2"), connection="cafe", session=raw)
    raw.commit()
    assert ids(outbox) == {"ord-1", "ord-2"}
    assert sales(raw) == 1


def test_new_database_is_prepared_apart(new_url: str) -> None:
    connect: Connect = sqlite3.connect if is_sqlite(new_url) else psycopg.connect
    target = file_of(new_url) if is_sqlite(new_url) else address(new_url)
    with Outbox(new_url) as outbox, closing(connect(target)) as raw:
        outbox.add(toy_order("lost"), connection="cafe", session=raw)
        raw.rollback()
        assert ids(outbox) == set()
        outbox.add(toy_order("kept"), connection="cafe", session=raw)
        raw.commit()
        assert ids(outbox) == {"kept"}


def test_database_failure_is_one_error_and_closes_nothing(outbox: Outbox, raw: Any) -> None:
    outbox.prepare()
    raw.execute("BEGIN")
    raw.execute("ALTER TABLE tillpost_orders RENAME TO elsewhere")
    with pytest.raises(DatabaseError, match=r"the database failed: .*tillpost_orders") as failed:
        outbox.add(toy_order(), connection="cafe", session=raw)
    assert failed.value.__cause__ is None
    raw.rollback()
    outbox.add(toy_order(), connection="cafe", session=raw)
    raw.commit()
    assert ids(outbox) == {"ord-1"}


def test_closed_connection_is_a_database_error(outbox: Outbox, raw: Any) -> None:
    raw.close()
    with pytest.raises(DatabaseError, match="closed"):
        outbox.add(toy_order(), connection="cafe", session=raw)


def test_sqlite_row_and_text_factories_have_no_effect(sqlite_url: str) -> None:
    with Outbox(sqlite_url) as outbox, closing(sqlite3.connect(file_of(sqlite_url))) as raw:
        raw.row_factory = sqlite3.Row
        raw.text_factory = bytes
        first = outbox.add(toy_order(), connection="cafe", session=raw)
        assert outbox.add(toy_order(), connection="cafe", session=raw) == first
        raw.commit()
        assert raw.row_factory is sqlite3.Row
        assert raw.text_factory is bytes
        assert raw.execute("SELECT id FROM tillpost_orders").fetchone()["id"] == b"ord-1"


@pytest.mark.parametrize("level", ["DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
def test_sqlite_isolation_levels_are_joined(sqlite_url: str, level: Any) -> None:
    with Outbox(sqlite_url) as outbox:
        raw = sqlite3.connect(file_of(sqlite_url), isolation_level=level)
        with closing(raw):
            outbox.add(toy_order("lost"), connection="cafe", session=raw)
            assert raw.in_transaction
            raw.rollback()
            with raw:
                outbox.add(toy_order("kept"), connection="cafe", session=raw)
            assert raw.isolation_level == level
        assert ids(outbox) == {"kept"}


def test_sqlite_in_autocommit_mode_needs_a_transaction(sqlite_url: str) -> None:
    with Outbox(sqlite_url) as outbox:
        raw = sqlite3.connect(file_of(sqlite_url), isolation_level=None)
        with closing(raw):
            with pytest.raises(ValueError, match="autocommit mode and has no open transaction"):
                outbox.add(toy_order(), connection="cafe", session=raw)
            for order_id, end in (("lost", "ROLLBACK"), ("kept", "COMMIT")):
                raw.execute("BEGIN")
                outbox.add(toy_order(order_id), connection="cafe", session=raw)
                raw.execute(end)
        assert ids(outbox) == {"kept"}


@pytest.mark.needs("sqlite3.autocommit")
def test_sqlite_autocommit_attribute_decides(sqlite_url: str) -> None:
    connect: Connect = sqlite3.connect
    with Outbox(sqlite_url) as outbox:
        with closing(connect(file_of(sqlite_url), autocommit=False)) as raw:
            outbox.add(toy_order("lost"), connection="cafe", session=raw)
            raw.rollback()
            outbox.add(toy_order("kept"), connection="cafe", session=raw)
            raw.commit()
        with (
            closing(connect(file_of(sqlite_url), autocommit=True)) as raw,
            pytest.raises(ValueError, match="autocommit mode"),
        ):
            outbox.add(toy_order(), connection="cafe", session=raw)
        assert ids(outbox) == {"kept"}


@pytest.mark.parametrize("autocommit", [True, False])
def test_psycopg_transaction_blocks_are_joined(
    prepared_postgres_url: str, autocommit: bool
) -> None:
    with (
        Outbox(prepared_postgres_url) as outbox,
        psycopg.connect(address(prepared_postgres_url), autocommit=autocommit) as raw,
    ):
        with raw.transaction():
            outbox.add(toy_order("kept"), connection="cafe", session=raw)
            with raw.transaction(force_rollback=True):
                outbox.add(toy_order("taken-back"), connection="cafe", session=raw)
        with raw.transaction(force_rollback=True):
            outbox.add(toy_order("lost"), connection="cafe", session=raw)
        assert raw.autocommit is autocommit
        assert raw.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert ids(outbox) == {"kept"}


def test_psycopg_autocommit_without_transaction_is_refused(prepared_postgres_url: str) -> None:
    url = prepared_postgres_url
    with Outbox(url) as outbox, psycopg.connect(address(url), autocommit=True) as raw:
        with pytest.raises(ValueError, match="autocommit mode and has no open transaction"):
            outbox.add(toy_order(), connection="cafe", session=raw)
        assert ids(outbox) == set()


def test_psycopg_pipeline_is_refused(prepared_postgres_url: str) -> None:
    url = prepared_postgres_url
    with (
        Outbox(url) as outbox,
        psycopg.connect(address(url)) as raw,
        raw.pipeline(),
        pytest.raises(ValueError, match="pipeline mode"),
    ):
        outbox.add(toy_order(), connection="cafe", session=raw)


@pytest.mark.parametrize("factory", [psycopg.ClientCursor, psycopg.RawCursor])
def test_psycopg_factories_have_no_effect(prepared_postgres_url: str, factory: Any) -> None:
    url = prepared_postgres_url
    options: dict[str, Any] = {"row_factory": dict_row, "cursor_factory": factory}
    with Outbox(url) as outbox, psycopg.connect(address(url), **options) as raw:
        first = outbox.add(toy_order(), connection="cafe", session=raw)
        assert outbox.add(toy_order(), connection="cafe", session=raw) == first
        assert raw.row_factory is dict_row
        assert raw.cursor_factory is factory
        raw.commit()
        assert ids(outbox) == {"ord-1"}


def test_lost_psycopg_connection_is_a_transient_error(prepared_postgres_url: str) -> None:
    url = prepared_postgres_url
    with (
        Outbox(url) as outbox,
        psycopg.connect(address(url)) as raw,
        psycopg.connect(address(url), autocommit=True) as other,
    ):
        outbox.prepare()
        other.execute("SELECT pg_terminate_backend(%s)", [raw.info.backend_pid])
        with pytest.raises(DatabaseError) as failed:
            outbox.add(toy_order(), connection="cafe", session=raw)
        assert failed.value.transient


def test_synchronous_commit_is_raised_for_the_transaction(prepared_postgres_url: str) -> None:
    url = prepared_postgres_url
    show = "SHOW synchronous_commit"
    options = "-c synchronous_commit=off"
    with Outbox(url) as outbox, psycopg.connect(address(url), options=options) as raw:
        outbox.add(toy_order(), connection="cafe", session=raw)
        assert raw.execute(show).fetchone() == ("on",)
        raw.commit()
        assert raw.execute(show).fetchone() == ("off",)


async def _add(outbox: Outbox, order: Order, raw: psycopg.AsyncConnection[Any]) -> None:
    stored = await outbox.add(order, connection="cafe", session=raw)
    assert await outbox.add(order, connection="cafe", session=raw) == stored


def test_async_psycopg_connection_is_joined(prepared_postgres_url: str) -> None:
    url = prepared_postgres_url

    async def run(outbox: Outbox) -> None:
        options: dict[str, Any] = {"row_factory": dict_row}
        async with await psycopg.AsyncConnection.connect(address(url), **options) as raw:
            await _add(outbox, toy_order("lost"), raw)
            await raw.rollback()
            async with raw.transaction():
                await _add(outbox, toy_order("kept"), raw)
                async with raw.transaction(force_rollback=True):
                    await _add(outbox, toy_order("taken-back"), raw)
            with pytest.raises(OrderError):
                await _add(outbox, toy_order("kept", quantity=2), raw)
            await raw.rollback()
            await raw.set_autocommit(True)
            with pytest.raises(ValueError, match="autocommit mode"):
                await _add(outbox, toy_order("alone"), raw)

    with Outbox(url) as outbox:
        asyncio.run(run(outbox))
        assert ids(outbox) == {"kept"}
