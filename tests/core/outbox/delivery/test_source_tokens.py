"""Tokens in a company's own table are refreshed once for all workers, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.square.shop_orders import FLAT_WHITE, TOASTIE, paid
from core.outbox.expired_kounta import expired_kounta, settings_of
from core.outbox.own_table import OwnTable
from core.outbox.stores import Heard, in_thread
from tillpost import Outbox
from tillpost.adapter.settings import Credentials
from tillpost.outbox import (
    DatabaseError,
    OrderState,
    OutboxConnection,
    OutboxSettings,
    Processor,
    Worker,
    from_mapping,
)
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.orders.claims import Claim
from tillpost.simulator import Running
from tillpost_simulators.kounta import KountaSimulator
from waiting import AGES, eventually

TOKEN = "/v1/token"


@pytest.fixture
def kounta() -> Iterator[Running[KountaSimulator]]:
    """A company whose refresh tokens are good for one use, and whose access token has expired."""
    with expired_kounta() as running:
        yield running


@pytest.fixture
def table(kounta: Running[KountaSimulator], tmp_path: Path) -> OwnTable:
    """The company's connections in a table of its own; no key of Tillpost's is set."""
    table = OwnTable(tmp_path / "company.db", "kounta")
    table.put("cafe", settings_of(kounta))
    return table


def is_received(outbox: Outbox, order_id: str) -> bool:
    stored = outbox.get(order_id)
    return stored is not None and stored.state is OrderState.RECEIVED


def claimed(processor: Processor) -> Claim:
    """Claim an order, as soon as its source has said how the store's orders are treated."""
    claims: list[Claim] = []

    def has_claimed() -> bool:
        claims.extend(processor.claim(1))
        return bool(claims)

    eventually(has_claimed)
    return claims[0]


def test_two_workers_refresh_a_token_of_a_slow_table_once(
    url: str, kounta: Running[KountaSimulator], table: OwnTable
) -> None:
    """The loser takes the winner's tokens: no order waits for the store to reconnect."""
    table.slow = 2.0
    settings = OutboxSettings(first_wait=0.05, lease=3.0)
    heard = Heard()
    with (
        Outbox(url, settings=settings) as one,
        Outbox(url, settings=settings) as two,
        Processor(one, connections=table, hooks=[heard]) as first,
        Processor(two, connections=OwnTable(table.file, "kounta"), hooks=[heard]) as second,
    ):
        one.add(paid("ord-1", [FLAT_WHITE, TOASTIE]), connection="cafe")
        one.add(paid("ord-2", [FLAT_WHITE, TOASTIE]), connection="cafe")
        claims = [(processor, claimed(processor)) for processor in (first, second)]
        threads = [
            threading.Thread(target=processor.handle, args=(claim,)) for processor, claim in claims
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(AGES)
        with in_thread(Worker(first)):
            eventually(lambda: is_received(one, "ord-1") and is_received(one, "ord-2"), within=30)
    assert kounta.simulator.count("POST", TOKEN) == 1
    assert heard.named("reauthorisation_needed") == []


def test_tokens_that_cannot_be_saved_are_saved_first(
    shop_outbox: Outbox, kounta: Running[KountaSimulator], table: OwnTable
) -> None:
    def fail() -> None:
        raise OSError("disk is full")

    table.before_saving = fail
    with Processor(shop_outbox, connections=table) as processor:
        opened = processor.connections["cafe"]
        with pytest.raises(DatabaseError, match=r"of cafe can't be saved now \(OSError\)"):
            StoreQueries(opened).check()
        table.before_saving = lambda: None
        assert StoreQueries(opened).check().ready
        assert processor.connections["cafe"] is opened
    assert kounta.simulator.count("POST", TOKEN) == 1
    assert table.saves == ["cafe", "cafe"]


def test_unsaved_tokens_are_saved_when_the_worker_ends(
    shop_outbox: Outbox, kounta: Running[KountaSimulator], table: OwnTable
) -> None:
    """Nobody else knows them, and the old ones are used up."""

    def fail() -> None:
        raise OSError("disk is full")

    table.before_saving = fail
    with Processor(shop_outbox, connections=table) as processor:
        with pytest.raises(DatabaseError):
            StoreQueries(processor.connections["cafe"]).check()
        table.before_saving = lambda: None
    assert table.saves == ["cafe", "cafe"]
    with Processor(shop_outbox, connections=table) as processor:
        assert StoreQueries(processor.connections["cafe"]).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


@pytest.mark.usefixtures("kounta")
def test_tokens_that_cannot_be_saved_at_the_end_are_logged(
    shop_outbox: Outbox, table: OwnTable, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("disk is full")

    table.before_saving = fail
    with Processor(shop_outbox, connections=table) as processor, pytest.raises(DatabaseError):
        StoreQueries(processor.connections["cafe"]).check()
    assert "tokens_lost connection=cafe" in caplog.text
    assert "reconnect" in caplog.text


def test_unsaved_tokens_survive_a_changed_connection(
    shop_outbox: Outbox,
    kounta: Running[KountaSimulator],
    table: OwnTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError("disk is full")

    monkeypatch.setattr("tillpost.outbox.delivery.open_connections.CHECK_INTERVAL", 0.0)
    table.before_saving = fail
    with Processor(shop_outbox, connections=table) as processor:
        opened = processor.connections["cafe"]
        with pytest.raises(DatabaseError):
            StoreQueries(opened).check()
        table.put("cafe", table.settings("cafe"), {"concurrency": 2})
        table.before_saving = lambda: None
        assert processor.connections["cafe"] is not opened
        assert StoreQueries(processor.connections["cafe"]).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_other_worker_waits_while_tokens_are_unsaved(
    url: str,
    kounta: Running[KountaSimulator],
    table: OwnTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the old refresh token it would be refused, and ask the store to reconnect."""

    def fail() -> None:
        raise OSError("disk is full")

    monkeypatch.setattr("tillpost.outbox.connections.token_refresh.PATIENCE", 0.3)
    table.before_saving = fail
    other_table = OwnTable(table.file, "kounta")
    with (
        Outbox(url) as one,
        Outbox(url) as two,
        Processor(one, connections=table) as first,
        Processor(two, connections=other_table) as second,
    ):
        with pytest.raises(DatabaseError):
            StoreQueries(first.connections["cafe"]).check()
        readiness = StoreQueries(second.connections["cafe"]).probe_briefly()
        assert not readiness.access_refused
        table.before_saving = lambda: None
        assert StoreQueries(first.connections["cafe"]).check().ready
        assert StoreQueries(second.connections["cafe"]).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1
    assert other_table.saves == []


def test_reconnection_during_a_refresh_wins(
    shop_outbox: Outbox, kounta: Running[KountaSimulator], table: OwnTable
) -> None:
    with Processor(shop_outbox, connections=table) as processor:
        credentials = processor.connections["cafe"].credentials

        def ask() -> Credentials:
            table.put("cafe", table.settings("cafe") | {"access_token": "by-a-person"})
            return Credentials(access_token=SecretStr("late"), refresh_token=SecretStr("late"))

        assert credentials.refresh(credentials.current, ask)
        assert credentials.current.access_token.get_secret_value() == "by-a-person"
    assert table.saves == []


def test_table_that_cannot_be_read_fails_the_refresh_alone(
    shop_outbox: Outbox, table: OwnTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Processor(shop_outbox, connections=table) as processor:
        opened = processor.connections["cafe"]
        monkeypatch.setattr(table, "file", table.file.parent / "no" / "company.db")
        with pytest.raises(DatabaseError, match=r"the tokens of cafe can't be read now"):
            StoreQueries(opened).check()


def test_lagging_copy_of_the_table_keeps_the_new_tokens(
    shop_outbox: Outbox,
    kounta: Running[KountaSimulator],
    table: OwnTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tillpost.outbox.delivery.open_connections.CHECK_INTERVAL", 0.0)
    old = table.settings("cafe")
    with Processor(shop_outbox, connections=table) as processor:
        opened = processor.connections["cafe"]
        assert StoreQueries(opened).check().ready
        table.put("cafe", old)
        assert processor.connections["cafe"] is opened
        assert StoreQueries(opened).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_mapping_keeps_refreshed_tokens_for_all_its_workers(
    shop_outbox: Outbox, kounta: Running[KountaSimulator], caplog: pytest.LogCaptureFixture
) -> None:
    source = from_mapping({"cafe": OutboxConnection.of("kounta", settings_of(kounta))})
    for _ in range(2):
        with Processor(shop_outbox, connections=source) as processor:
            assert StoreQueries(processor.connections["cafe"]).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1
    assert "tokens_unsaved connection=cafe" in caplog.text
