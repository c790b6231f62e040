"""A database that falls silent, without FIN or RST: jobs run again soon after it speaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

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
    from_mapping,
    worker_for,
)
from tillpost.outbox.db import database
from tillpost_procrastinate import jobs
from waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SILENCE_SECONDS", 1.5)
    monkeypatch.setattr(jobs, "ANSWER_TIMEOUT", 2.0)


@pytest.fixture
def server() -> Iterator[ToyServer]:
    with ToyServer() as running:
        yield running


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Relay]:
    port = sa.make_url(postgres_url).port
    assert port
    with Relay(port) as opened:
        yield opened


def test_jobs_run_again_after_a_silence(
    postgres_url: str,
    proxy: Relay,
    server: ToyServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    through = sa.make_url(postgres_url).set(port=proxy.port)
    settings = OutboxSettings(
        db=through.render_as_string(hide_password=False), engine="procrastinate", lease=3.0
    )
    source = from_mapping({"cafe": OutboxConnection(server.adapter())})
    shop_settings = OutboxSettings(db=postgres_url, engine="procrastinate")
    with Outbox(settings=shop_settings) as shop, Outbox(settings=settings) as outbox:
        shop.prepare()
        with Processor(outbox, connections=source) as processor, in_thread(worker_for(processor)):
            shop.add(toy_order("ord-1"), connection="cafe")
            eventually(lambda: count_jobs(shop) == 0)
            proxy.fall_silent()
            shop.add(toy_order("ord-2"), connection="cafe")
            eventually(lambda: "jobs_unavailable error=" in caplog.text)
            proxy.recover()
            # Only a job that runs is deleted: polling would deliver the order all the same.
            eventually(lambda: count_jobs(shop) == 0)
            eventually(lambda: is_received(shop, "ord-2"))
    assert len(server.made("ord-2")) == 1


def count_jobs(outbox: Outbox) -> int:
    with outbox.database.reading() as db:
        count: int = db.execute(sa.text("SELECT count(*) FROM procrastinate_jobs")).scalar_one()
    return count


def is_received(outbox: Outbox, order_id: str) -> bool:
    try:
        stored = outbox.get(order_id)
    except DatabaseError:
        return False
    return stored is not None and stored.state == "received"
