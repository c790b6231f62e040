"""A TOML file that can't be read for a moment stops no order permanently."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.outbox.corner_shop import lunch
from tillpost import Outbox
from tillpost.outbox import OrderState, OutboxSettings, Processor
from tillpost.outbox.connections.credentials import Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.operations.connections import Connections
from tillpost.outbox.orders.models import WaitsFor
from tillpost.outbox.webhooks.asgi import webhooks_app
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

UNREADABLE = "the file can't be read now"

BROKEN = {
    "half saved": "[connections.ki",
    "duplicate key of another store": '[connections.kiosk]\nplatform = "a"\nplatform = "b"\n',
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    return tmp_path / "tillpost.toml"


@pytest.fixture
def outbox(file: Path, sqlite_url: str) -> Iterator[Outbox]:
    with Outbox(sqlite_url, settings=OutboxSettings(first_wait=0.05)) as outbox:
        outbox.config = file
        yield outbox


def table(name: str, settings: Mapping[str, str]) -> str:
    """Return a connection at Square as a table of the file."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join([f"[connections.{name}]", 'platform = "square"', *lines, ""])


def handle_due(processor: Processor) -> None:
    for claim in processor.claim(5):
        processor.handle(claim)


async def answer_to_webhook(app: Any, name: str) -> int:
    """Post an empty webhook to an ASGI application; return the status that it answers."""
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, object] = {"type": "http", "method": "POST", "path": f"/{name}"}
    await app({**scope, "headers": [], "query_string": b""}, receive, send)
    status: int = sent[0]["status"]
    return status


def state(outbox: Outbox, order_id: str) -> OrderState:
    found = outbox.get(order_id)
    assert found is not None
    return found.state


@pytest.fixture(params=[*BROKEN, "empty", "gone"])
def broken(request: pytest.FixtureRequest, file: Path) -> Callable[[], None]:
    """Breaks the file, which had been read before."""

    def damage() -> None:
        if request.param == "gone":
            file.unlink()
        elif request.param == "empty":
            file.write_text("")
        else:
            file.write_text(file.read_text() + BROKEN[request.param])

    return damage


def test_open_connection_is_kept_while_the_file_is_broken(
    outbox: Outbox,
    file: Path,
    shop: Running[SquareSimulator],
    broken: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file.write_text(table("cafe", shop.settings))
    with Processor(outbox) as processor:
        before = processor.connections["cafe"]
        broken()
        outbox.add(lunch("ord-1"), connection="cafe")
        handle_due(processor)
        assert state(outbox, "ord-1") is OrderState.RECEIVED
        assert processor.connections["cafe"] is before
        assert list(processor.connections.names()) == ["cafe"]
        warnings = [
            line for line in caplog.messages if line.startswith("connections_file_unreadable ")
        ]
        assert len(warnings) == 1
        assert str(file) in warnings[0]

        file.write_text(table("cafe", {**shop.settings, "location_id": "L-BAR"}))
        assert processor.connections["cafe"].adapter.config.location_id == "L-BAR"


def test_order_without_open_connection_waits_for_the_file(
    outbox: Outbox, file: Path, shop: Running[SquareSimulator], broken: Callable[[], None]
) -> None:
    file.write_text(table("cafe", shop.settings) + table("bar", shop.settings))
    with Processor(outbox) as processor:
        processor.connections["bar"]
        broken()
        outbox.add(lunch("ord-1"), connection="cafe")
        handle_due(processor)
        found = outbox.get("ord-1")
        assert found is not None
        assert (found.state, found.waits_for) == (OrderState.DUE, WaitsFor.RETRY)
        assert found.error is not None
        assert UNREADABLE in found.error.detail

        file.write_text(table("cafe", shop.settings))
        with outbox.database.writing() as db:
            db.exec_driver_sql("UPDATE tillpost_orders SET due_at = 1")
        handle_due(processor)
        assert state(outbox, "ord-1") is OrderState.RECEIVED


def test_order_is_left_to_a_person_if_the_file_stays_broken(
    outbox: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillpost.outbox.delivery.open_connections.FILE_PATIENCE", 0.0)
    file.write_text("[connections.ca")
    outbox.add(lunch("ord-1"), connection="cafe")
    with Processor(outbox) as processor:
        handle_due(processor)
    assert state(outbox, "ord-1") is OrderState.ERROR


def test_store_of_the_database_does_not_wait_for_the_file(
    outbox: Outbox, file: Path, shop: Running[SquareSimulator], broken: Callable[[], None]
) -> None:
    Connections(outbox).connect("kiosk", "square", shop.settings, Grant("Mia Chen"))
    file.write_text(table("cafe", shop.settings))
    with Processor(outbox) as processor:
        assert set(processor.connections.names()) == {"cafe", "kiosk"}
        broken()
        outbox.add(lunch("ord-1"), connection="kiosk")
        handle_due(processor)
        assert set(processor.connections.names()) == {"cafe", "kiosk"}
    assert state(outbox, "ord-1") is OrderState.RECEIVED


@pytest.mark.parametrize("wrong", ["[connections]\nkiosk = 3\n", "connections.kiosk = 'x'\n"])
def test_wrong_table_concerns_its_own_store_alone(
    outbox: Outbox, file: Path, shop: Running[SquareSimulator], wrong: str
) -> None:
    file.write_text(wrong + table("cafe", shop.settings))
    outbox.add(lunch("ord-1"), connection="cafe")
    outbox.add(lunch("ord-2"), connection="kiosk")
    with Processor(outbox) as processor:
        handle_due(processor)
    assert state(outbox, "ord-1") is OrderState.RECEIVED
    refused = outbox.get("ord-2")
    assert refused is not None
    assert refused.error is not None
    assert "connections.kiosk must be a table" in refused.error.detail
    faults = {known.name: known.fault for known in Connections(outbox).states()}
    assert faults["cafe"] == ""
    assert "connections.kiosk must be a table" in faults["kiosk"]


def test_webhook_is_asked_for_again_while_the_file_is_broken(outbox: Outbox, file: Path) -> None:
    file.write_text("[connections.ca")
    app = webhooks_app(outbox, base_url="https://shop.example/hooks")
    assert asyncio.run(answer_to_webhook(app, "cafe")) == 503
    file.write_text("[connections.bar]\n")
    assert asyncio.run(answer_to_webhook(app, "cafe")) == 404
