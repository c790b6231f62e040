"""A commit is on disk when it returns, whatever PostgreSQL's `synchronous_commit` says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from core.toy import toy_order
from databases import PostgresServer
from tillpost import Outbox

SHOW = sa.text("SHOW synchronous_commit")


@pytest.fixture(params=["off", "local", "remote_write", "on", "remote_apply"])
def chosen(request: pytest.FixtureRequest, postgres: PostgresServer, postgres_url: str) -> str:
    """What the administrator has chosen for the database."""
    value: str = request.param
    name = sa.make_url(postgres_url).database
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = {value}")
    return value


@pytest.fixture
def outbox(postgres_url: str) -> Iterator[Outbox]:
    with Outbox(postgres_url) as outbox:
        outbox.prepare()
        yield outbox


def raised(chosen: str) -> str:
    return "on" if chosen == "off" else chosen


def test_our_transactions_raise_off_and_nothing_else(chosen: str, outbox: Outbox) -> None:
    for transaction in (outbox.database.writing, outbox.database.reading):
        with transaction() as db:
            assert db.scalar(SHOW) == raised(chosen)


@pytest.mark.parametrize("kind", [Session, sa.Connection])
def test_caller_transaction_with_an_order_is_raised(
    chosen: str, outbox: Outbox, postgres_url: str, kind: type[Session | sa.Connection]
) -> None:
    engine = sa.create_engine(postgres_url)
    with Session(engine) if kind is Session else engine.connect() as session:
        assert session.scalar(SHOW) == chosen
        outbox.add(toy_order("ord-1"), connection="cafe", session=session)
        assert session.scalar(SHOW) == raised(chosen)
        session.commit()
        assert session.scalar(SHOW) == chosen  # the next transaction is the caller's alone
    engine.dispose()


@pytest.mark.parametrize("kind", [AsyncSession, AsyncConnection])
def test_async_transaction_with_an_order_is_raised(
    chosen: str, outbox: Outbox, postgres_url: str, kind: type[AsyncSession | AsyncConnection]
) -> None:
    async def add() -> None:
        engine = create_async_engine(postgres_url)
        opened = AsyncSession(engine) if kind is AsyncSession else engine.connect()
        async with opened as session:
            await outbox.add(toy_order("ord-1"), connection="cafe", session=session)
            assert await session.scalar(SHOW) == raised(chosen)
            await session.commit()
            assert await session.scalar(SHOW) == chosen
        await engine.dispose()

    asyncio.run(add())
