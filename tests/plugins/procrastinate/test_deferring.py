"""A job exists exactly if its order does, in whichever transaction it was added."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from adapters.square.shop_orders import TOASTIE, paid
from tillpost import Order
from tillpost.errors import ConfigError
from tillpost.models.order import Pickup
from tillpost.outbox import DatabaseError, Outbox
from tillpost.outbox.engine import engines


def jobs(outbox: Outbox) -> Sequence[tuple[str, bool]]:
    """Return the order of each job, and whether the job is scheduled for later."""
    wanted = text(
        "SELECT args->>'order_id', scheduled_at > now() FROM procrastinate_jobs ORDER BY id"
    )
    with outbox.database.reading() as db:
        return [(row[0], bool(row[1])) for row in db.execute(wanted)]


def an_order(order_id: str = "A-1") -> Order:
    return paid(order_id, [TOASTIE])


def test_engine_is_found_by_name() -> None:
    assert set(engines()) == {"embedded", "procrastinate"}


def test_one_job_is_deferred_with_the_order(postgres_url: str) -> None:
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        for _ in range(2):
            outbox.add(an_order(), connection="cafe")

        assert jobs(outbox) == [("A-1", False)]


def test_scheduled_order_gets_a_scheduled_job(postgres_url: str) -> None:
    tomorrow = datetime.now(ZoneInfo("Australia/Sydney")) + timedelta(days=1)
    order = paid("A-1", [TOASTIE], fulfilment=Pickup(due_at=tomorrow))
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        stored = outbox.add(order, connection="cafe")

        assert jobs(outbox) == [("A-1", True)]
        with outbox.database.reading() as db:
            at = db.scalar(text("SELECT extract(epoch FROM scheduled_at) FROM procrastinate_jobs"))
        assert float(at or 0) == pytest.approx(stored.due_at)


def test_rolled_back_session_leaves_no_order_and_no_job(postgres_url: str) -> None:
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        engine = create_engine(postgres_url)
        with Session(engine) as session:
            outbox.add(an_order("A-1"), connection="cafe", session=session)
            session.rollback()
            outbox.add(an_order("A-2"), connection="cafe", session=session)
            session.commit()
        engine.dispose()

        assert [stored.id for stored in outbox.orders()] == ["A-2"]
        assert jobs(outbox) == [("A-2", False)]


@pytest.mark.anyio
async def test_rolled_back_async_session_leaves_no_order_or_job(
    postgres_url: str,
) -> None:
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        engine = create_async_engine(postgres_url)
        async with AsyncSession(engine) as session:
            await outbox.add(an_order("A-1"), connection="cafe", session=session)
            await session.rollback()
            await outbox.add(an_order("A-2"), connection="cafe", session=session)
            await session.commit()
        await engine.dispose()

        assert [stored.id for stored in outbox.orders()] == ["A-2"]
        assert jobs(outbox) == [("A-2", False)]


def test_rolled_back_driver_connection_leaves_no_order_and_no_job(postgres_url: str) -> None:
    with (
        Outbox(postgres_url, engine="procrastinate") as outbox,
        psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as raw,
    ):
        with raw.transaction(force_rollback=True):
            outbox.add(an_order("A-1"), connection="cafe", session=raw)
        with raw.transaction():
            outbox.add(an_order("A-2"), connection="cafe", session=raw)

        assert [stored.id for stored in outbox.orders()] == ["A-2"]
        assert jobs(outbox) == [("A-2", False)]


def test_tables_are_created_in_an_embedded_database(postgres_url: str) -> None:
    with Outbox(postgres_url) as embedded:
        embedded.add(an_order("A-1"), connection="cafe")

    engine = create_engine(postgres_url)
    with Outbox(postgres_url, engine="procrastinate") as outbox, Session(engine) as session:
        outbox.add(an_order("A-2"), connection="cafe", session=session)
        session.commit()
        assert jobs(outbox) == [("A-2", False)]
    engine.dispose()


def test_concurrent_programs_create_the_tables_once(postgres_url: str) -> None:
    failures: list[Exception] = []

    def add(number: int) -> None:
        try:
            with Outbox(postgres_url, engine="procrastinate") as outbox:
                outbox.add(an_order(f"A-{number}"), connection="cafe")
        except Exception as failure:  # noqa: BLE001  shown by the assertion
            failures.append(failure)

    programs = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for program in programs:
        program.start()
    for program in programs:
        program.join(60)

    assert failures == []
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        assert len(jobs(outbox)) == 4


def test_sqlite_is_refused_and_nothing_is_created(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    with (
        Outbox(url, engine="procrastinate") as outbox,
        pytest.raises(
            ConfigError,
            match=r"^the engine procrastinate needs a PostgreSQL database, .* is sqlite$",
        ),
    ):
        outbox.add(an_order(), connection="cafe")

    with Outbox(url) as embedded:
        assert embedded.orders() == []


def test_too_old_procrastinate_tables_are_refused(postgres_url: str) -> None:
    with Outbox(postgres_url) as outbox, outbox.database.writing() as db:
        db.execute(text("CREATE TABLE procrastinate_jobs (id bigint)"))

    with (
        Outbox(postgres_url, engine="procrastinate") as outbox,
        pytest.raises(ConfigError, match=r"migrations$"),
    ):
        outbox.add(an_order(), connection="cafe")


def test_resumed_connection_defers_jobs_for_its_orders(postgres_url: str) -> None:
    with Outbox(postgres_url, engine="procrastinate") as outbox:
        outbox.add(an_order(), connection="cafe")
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, "cafe")
            outbox.connection_rows.update(db, "cafe", {"paused": "authorisation"})

        assert outbox.resume("cafe")

        assert jobs(outbox) == [("A-1", False)] * 2


def test_missing_database_raises_database_error(postgres_url: str) -> None:
    url = postgres_url.replace("/test_", "/none_")
    with Outbox(url, engine="procrastinate") as outbox, pytest.raises(DatabaseError):
        outbox.add(an_order(), connection="cafe")
