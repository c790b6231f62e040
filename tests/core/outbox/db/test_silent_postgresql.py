"""A PostgreSQL that falls silent is given up in bounded time; afterwards everything goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from core.outbox.stores import in_thread
from core.toy import toy_order
from core.toy_server import ToyServer
from relay import Relay
from tillpost.outbox import (
    DatabaseError,
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.db import database, schema
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.worker import processor as processing
from waiting import AGES, eventually


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    monkeypatch.setitem(database.NETWORK, "connect_timeout", 2)


@pytest.fixture
def proxy(prepared_postgres_url: str) -> Iterator[Relay]:
    port = sa.make_url(prepared_postgres_url).port
    assert port
    with Relay(port) as opened:
        yield opened


@pytest.fixture
def url_through(prepared_postgres_url: str, proxy: Relay) -> str:
    address = sa.make_url(prepared_postgres_url).set(port=proxy.port)
    return address.render_as_string(hide_password=False)


@pytest.mark.slow
def test_adding_an_order_fails_in_bounded_time(url_through: str, proxy: Relay) -> None:
    """With an idle connection, within a transaction, and without a connection."""
    with Outbox(url_through) as outbox:
        outbox.add(toy_order("ord-1"), connection="cafe")
        with outbox.database.reading() as db:
            proxy.fall_silent()
            began = time.monotonic()
            with pytest.raises(OperationalError, match="silent"):
                db.execute(sa.select(schema.orders.c.id))
        for number in range(2):
            with pytest.raises(DatabaseError) as caught:
                outbox.add(toy_order(f"lost-{number}"), connection="cafe")
            assert caught.value.transient
        assert time.monotonic() - began < AGES
        proxy.recover()
        outbox.add(toy_order("ord-2"), connection="cafe")
        assert {stored.id for stored in outbox.orders()} == {"ord-1", "ord-2"}


@pytest.mark.slow
def test_worker_gets_on_by_itself_after_the_silence(
    url_through: str, prepared_postgres_url: str, proxy: Relay, server: ToyServer
) -> None:
    source = from_mapping({"cafe": OutboxConnection(server.adapter())})
    settings = OutboxSettings(lease=3.0)
    with (
        Outbox(prepared_postgres_url) as shop,
        Outbox(url_through, settings=settings) as outbox,
        Processor(outbox, connections=source) as processor,
    ):
        with in_thread(Worker(processor)):
            shop.add(toy_order("ord-1"), connection="cafe")
            eventually(lambda: received(shop, "ord-1"))
            proxy.fall_silent()
            shop.add(toy_order("ord-2"), connection="cafe")
            # It gives up what it had, and new connections, for longer than a lease.
            known, fell_silent = proxy.connections, time.monotonic()
            eventually(lambda: proxy.connections >= known + 5)
            eventually(lambda: time.monotonic() - fell_silent > 2 * settings.lease)
            assert not received(shop, "ord-2")
            proxy.recover()
            spoke = time.monotonic()
            eventually(lambda: received(shop, "ord-2"))
            assert time.monotonic() - spoke < AGES
        assert len(server.made("ord-2")) == 1


def received(outbox: Outbox, order_id: str) -> bool:
    stored = outbox.get(order_id)
    return stored is not None and stored.state == "received"


def test_command_that_works_for_long_is_ended(
    prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 1.0)
    with Outbox(prepared_postgres_url) as outbox:
        with (
            pytest.raises(DatabaseError, match="statement timeout") as caught,
            outbox.database.reading() as db,
        ):
            db.execute(sa.text("SELECT pg_sleep(60)"))
        assert caught.value.transient
        with outbox.database.writing() as db:
            database.give_time(db)
            db.execute(sa.text("SELECT pg_sleep(2)"))
        with outbox.database.reading() as db:
            assert db.scalar(sa.text("SHOW statement_timeout")) == "1s"


def test_lock_is_waited_for_in_bounded_time(
    prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.2)
    with Outbox(prepared_postgres_url) as outbox, outbox.database.writing() as holder:
        outbox.connection_rows.lock(holder, "cafe")
        with (
            pytest.raises(DatabaseError, match="lock timeout") as caught,
            outbox.database.writing() as waiting,
        ):
            outbox.connection_rows.lock(waiting, "cafe")
        assert caught.value.transient


def test_heartbeat_of_a_worker_that_is_stuck_stops(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker takes its orders over; once it gets on, it goes on under a new id."""
    monkeypatch.setattr(processing, "STUCK_AFTER", 0.3)
    settings = OutboxSettings(lease=0.5)
    with (
        Outbox(sqlite_url, settings=settings) as outbox,
        Processor(outbox, connections=from_mapping({})) as processor,
    ):
        registry = WorkerRegistry(outbox.database)
        (stuck,) = registry.beats()
        processor.progress()
        with Heartbeat(registry, settings.lease):
            eventually(lambda: stuck not in registry.beats())
            processor.progress(ended=True)
            eventually(lambda: len(registry.beats()) == 2)
