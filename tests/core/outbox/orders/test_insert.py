"""An added order is on disk, once, in whichever transaction it was added."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from core.outbox.stores import Opening
from core.toy import toy_order
from tillpost import Order, OrderError
from tillpost.models.order import Customer, Pickup
from tillpost.outbox import OrderState, Outbox, WaitsFor


@pytest.fixture
def url(new_url: str) -> str:
    """Return the address of a database without tables: they are made, and migrated, here."""
    return new_url


def ids(outbox: Outbox) -> set[str]:
    return {stored.id for stored in outbox.orders()}


@pytest.fixture
def engine(url: str) -> Generator[sa.Engine]:
    """An embedder's own engine, with the driver's defaults."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def async_url(url: str) -> str:
    return url.replace("sqlite:", "sqlite+aiosqlite:")


def test_added_order_is_visible_to_another_program(open_outbox: Opening) -> None:
    order = toy_order()
    stored = open_outbox().add(order, connection="cafe")

    found = open_outbox().get("ord-1")
    assert found == stored
    assert (stored.state, stored.waits_for, stored.order) == (
        OrderState.DUE,
        WaitsFor.NOTHING,
        order,
    )
    assert stored.due_at == pytest.approx(time.time(), abs=5)


def test_adding_an_order_again_returns_the_stored_one(outbox: Outbox) -> None:
    first = outbox.add(toy_order(), connection="cafe")
    assert outbox.add(toy_order(), connection="cafe") == first
    assert ids(outbox) == {"ord-1"}


def test_other_metadata_is_the_order_that_was_stored(outbox: Outbox) -> None:
    first = toy_order().model_copy(update={"metadata": {"try": "1"}})
    outbox.add(first, connection="cafe")
    other = first.model_copy(update={"metadata": {"try": "2"}})
    assert outbox.add(other, connection="cafe").order == first
    assert ids(outbox) == {"ord-1"}


def test_same_id_with_other_content_is_refused(outbox: Outbox) -> None:
    outbox.add(toy_order(), connection="cafe")
    said = "add: ord-1: the outbox has an order with this id and other content; use a new id"
    with pytest.raises(OrderError, match=f"^{said}") as refused:
        outbox.add(toy_order(quantity=2), connection="cafe")
    assert "order unknown" not in str(refused.value)


def test_same_order_for_other_connection_is_refused(outbox: Outbox) -> None:
    outbox.add(toy_order(), connection="cafe")
    with pytest.raises(OrderError, match=r"ord-1: .* for the connection 'cafe'"):
        outbox.add(toy_order(), connection="bar")


def test_unusual_customer_names_are_stored_unchanged(outbox: Outbox) -> None:
    for number, name in enumerate(
        ("Zoë 🥑", "'); DROP TABLE tillpost_orders; --", "a\x00b", "\\u0000")
    ):
        order = toy_order(f"ord-{number}").model_copy(update={"customer": Customer(name=name)})
        outbox.add(order, connection="cafe")
        stored = outbox.get(order.id)
        assert stored
        assert stored.order == order


def test_scheduled_order_is_due_by_its_lead_time(open_outbox: Opening) -> None:
    outbox = open_outbox(lead=600)
    due = datetime.now(UTC) + timedelta(hours=2)
    stored = outbox.add(
        toy_order().model_copy(update={"fulfilment": Pickup(due_at=due)}), connection="cafe"
    )
    assert stored.due_at == pytest.approx(due.timestamp() - 600, abs=0.001)
    assert stored.waits_for is WaitsFor.ITS_TIME


def test_scheduled_order_within_lead_time_is_due_now(outbox: Outbox) -> None:
    due = datetime.now(UTC) + timedelta(minutes=5)
    stored = outbox.add(
        toy_order().model_copy(update={"fulfilment": Pickup(due_at=due)}), connection="cafe"
    )
    assert stored.due_at == pytest.approx(time.time(), abs=5)
    assert stored.waits_for is WaitsFor.NOTHING


def in_session(engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool) -> None:
    with Session(engine) as session:
        outbox.add(order, connection="cafe", session=session)
        (session.commit if commit else session.rollback)()


def in_scoped_session(engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool) -> None:
    session = scoped_session(sessionmaker(engine))
    outbox.add(order, connection="cafe", session=session)
    (session.commit if commit else session.rollback)()
    session.remove()


def in_connection(engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool) -> None:
    with engine.connect() as connection:
        outbox.add(order, connection="cafe", session=connection)
        (connection.commit if commit else connection.rollback)()


def in_async_session(engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool) -> None:
    async def add() -> None:
        opened = create_async_engine(async_url(engine.url.render_as_string(hide_password=False)))
        async with AsyncSession(opened) as session:
            await outbox.add(order, connection="cafe", session=session)
            await (session.commit if commit else session.rollback)()
        await opened.dispose()

    asyncio.run(add())


def in_async_scoped_session(
    engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool
) -> None:
    async def add() -> None:
        opened = create_async_engine(async_url(engine.url.render_as_string(hide_password=False)))
        session = async_scoped_session(async_sessionmaker(opened), asyncio.current_task)
        await outbox.add(order, connection="cafe", session=session)
        await (session.commit if commit else session.rollback)()
        await session.remove()
        await opened.dispose()

    asyncio.run(add())


def in_async_connection(engine: sa.Engine, outbox: Outbox, order: Order, *, commit: bool) -> None:
    async def add() -> None:
        opened = create_async_engine(async_url(engine.url.render_as_string(hide_password=False)))
        async with opened.connect() as connection:
            await outbox.add(order, connection="cafe", session=connection)
            await (connection.commit if commit else connection.rollback)()
        await opened.dispose()

    asyncio.run(add())


@pytest.mark.parametrize("new", [True, False], ids=["new database", "known database"])
@pytest.mark.parametrize(
    "join",
    [
        in_session,
        in_scoped_session,
        in_connection,
        in_async_session,
        in_async_scoped_session,
        in_async_connection,
    ],
)
def test_order_in_callers_transaction_exists_after_commit(
    join: Callable[..., None], new: bool, outbox: Outbox, engine: sa.Engine
) -> None:
    if not new:
        outbox.prepare()
    join(engine, outbox, toy_order("rolled-back"), commit=False)
    assert ids(outbox) == set()
    join(engine, outbox, toy_order("committed"), commit=True)
    join(engine, outbox, toy_order("committed"), commit=True)
    assert ids(outbox) == {"committed"}


def test_rolled_back_savepoint_removes_only_its_order(outbox: Outbox, engine: sa.Engine) -> None:
    outbox.prepare()
    with engine.begin() as connection:
        outbox.add(toy_order("kept"), connection="cafe", session=connection)
        with connection.begin_nested() as savepoint:
            outbox.add(toy_order("taken-back"), connection="cafe", session=connection)
            savepoint.rollback()
    assert ids(outbox) == {"kept"}


def test_refusal_leaves_callers_transaction_usable(outbox: Outbox, engine: sa.Engine) -> None:
    outbox.add(toy_order(), connection="cafe")
    with engine.begin() as connection:
        with pytest.raises(OrderError):
            outbox.add(toy_order(quantity=2), connection="cafe", session=connection)
        outbox.add(toy_order("ord-2"), connection="cafe", session=connection)
    assert ids(outbox) == {"ord-1", "ord-2"}


ADDING = """
import sys
from core.toy import toy_order
from tillpost.outbox import Outbox
sys.stdin.readline()
with Outbox(sys.argv[1]) as outbox:
    for number in range(20):
        outbox.add(toy_order(f"{sys.argv[2]}-{number}"), connection="cafe")
        outbox.add(toy_order(f"shared-{number}"), connection="cafe")
"""


@pytest.mark.slow
def test_concurrent_programs_can_create_a_new_database(url: str, outbox: Outbox) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", ADDING, url, str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for number in range(4)
    ]
    for program in programs:
        assert program.stdin
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, errors = program.communicate(timeout=60)
        assert (program.returncode, errors) == (0, "")
    assert len(outbox.orders(most=1000)) == 4 * 20 + 20


class SiteOrder(Order):
    """An order of a site that adds something of its own."""

    site: str = ""


@pytest.mark.parametrize(
    "changes",
    [
        {"tip": 200},
        {"lines": ()},
        {"code": ""},
        {"id": "with a blank"},
        {"placed_at": datetime(2026, 11, 23)},
        {"payments": "garbage"},
        {"note": "\ud800"},
        {"note": object()},
    ],
    ids=lambda changes: str(next(iter(changes))),
)
def test_invalid_copy_of_an_order_is_refused(outbox: Outbox, changes: dict[str, object]) -> None:
    """A copy with changes isn't checked by pydantic; stored, no worker could read it."""
    with pytest.raises(OrderError, match="the order isn't valid") as refused:
        outbox.add(toy_order().model_copy(update=changes), connection="cafe")
    assert refused.value.__cause__ is None
    assert ids(outbox) == set()


def test_order_of_a_subclass_is_stored_as_an_order(outbox: Outbox) -> None:
    order = toy_order()
    stored = outbox.add(SiteOrder(**dict(order), site="corner"), connection="cafe")
    assert stored.order == order
    assert outbox.get("ord-1") == stored
    assert outbox.add(order, connection="cafe") == stored


def test_session_of_another_kind_is_a_type_error(outbox: Outbox) -> None:
    other: Any = object()
    with pytest.raises(TypeError, match="a connection of psycopg 3 or sqlite3, not object"):
        outbox.add(toy_order(), connection="cafe", session=other)
