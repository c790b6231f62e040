"""A store revokes its authorisation during a rush: after the reconnection all orders arrive."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.outbox.corner_shop import lunch
from core.outbox.stores import in_thread
from tillpost import Outbox, hookimpl
from tillpost.authorization import exchange_code
from tillpost.outbox import OrderState, OutboxSettings, Processor, Worker
from tillpost.outbox.connections.credentials import Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.operations.connections import Connections
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

pytestmark = pytest.mark.slow

ORDER_IDS = [f"ord-{number:03}" for number in range(200)]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, and an encryption key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.setenv("TILLPOST_KEY", new_key())


class HookCounter:
    """Counts how often hooks are called."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    @hookimpl
    def reauthorisation_needed(self) -> None:
        self.calls["reauthorisation_needed"] += 1

    @hookimpl
    def order_failed(self) -> None:
        self.calls["order_failed"] += 1


@contextmanager
def working(outbox: Outbox, *hooks: object) -> Generator[None]:
    """Run a worker during the block."""
    with Processor(outbox, hooks=hooks) as processor, in_thread(Worker(processor)):
        yield


def new_token(shop: Running[SquareSimulator]) -> str:
    """Have another admin authorise us; return the access token."""
    code = shop.simulator.new_authorisation_code()
    app = shop.simulator.settings
    granted = exchange_code(
        "square",
        code=code,
        client_id=app.client_id,
        client_secret=app.client_secret,
        redirect_uri=app.redirect_url,
        base_url=shop.url,
    )
    return granted.access_token.get_secret_value()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_revoked_token_is_reported_once_and_no_order_is_lost(
    concurrency: int,
    shop: Running[SquareSimulator],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor is one duplicated, nor a token logged or stored in clear."""
    caplog.set_level(logging.DEBUG)
    settings = OutboxSettings(
        first_wait=0.05, longest_wait=0.2, lease=10.0, concurrency=concurrency
    )
    counter = HookCounter()

    def arrived() -> list[str]:
        return [entry.reference for entry in shop.simulator.ledger().shown]

    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}", settings=settings) as outbox:
        connections = Connections(outbox)
        connections.connect("cafe-42", "square", shop.settings, Grant("Mia Chen"))
        for order_id in ORDER_IDS:
            outbox.add(lunch(order_id), connection="cafe-42", is_new=True)
        with working(outbox, counter):
            eventually(lambda: len(arrived()) >= 20)
            shop.simulator.revoke_authorisation()
            eventually(lambda: bool(connections.states()[0].paused))
            eventually(lambda: not outbox.orders(states=[OrderState.SENDING], most=1))
            arrived_before = len(arrived())
            assert arrived_before < len(ORDER_IDS)
            (state,) = connections.states()
            assert not state.healthy
            assert state.waiting == len(ORDER_IDS) - arrived_before

            renewed = {**shop.settings, "access_token": new_token(shop)}
            assert connections.connect("cafe-42", "square", renewed, Grant("Ari"))

            eventually(lambda: len(arrived()) == len(ORDER_IDS))
            eventually(
                lambda: not outbox.orders(states=[OrderState.DUE, OrderState.SENDING], most=1)
            )
        assert sorted(arrived()) == ORDER_IDS
        if concurrency == 1:
            assert arrived() == ORDER_IDS
        assert counter.calls["reauthorisation_needed"] == 1
        # Only the orders that were claimed at that moment have failed.
        assert counter.calls["order_failed"] <= concurrency
        states = {stored.state for stored in outbox.orders(most=len(ORDER_IDS))}
        assert states == {OrderState.RECEIVED}
        assert connections.states()[0].healthy
        journals = [outbox.entries(order_id) for order_id in ORDER_IDS[::20]]
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"cafe-42" in on_disk
    for token in shop.simulator.world.tokens:
        assert token.encode() not in on_disk
        assert token not in f"{caplog.text} {journals!r}"
