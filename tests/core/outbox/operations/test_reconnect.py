"""A store takes its permission back during a rush: one call for help, and after the reconnection all orders arrive."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.outbox.corner_shop import lunch
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

MANY = 200


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.setenv("TILLPOST_KEY", new_key())


class Heard:
    """Counts what plugins are told of the connection."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    @hookimpl
    def reauthorisation_needed(self) -> None:
        """The platform doesn't let us in."""
        self.told["reauthorisation_needed"] += 1

    @hookimpl
    def order_failed(self) -> None:
        """An order stopped."""
        self.told["order_failed"] += 1


@contextmanager
def working(outbox: Outbox, *hooks: object) -> Generator[None]:
    """Run a worker beside the block."""
    with Processor(outbox, hooks=hooks) as processor:
        worker = Worker(processor)
        running = threading.Thread(target=worker.run)
        running.start()
        try:
            yield
        finally:
            worker.stop()
            running.join()


def new_token(shop: Running[SquareSimulator]) -> str:
    """Let another admin grant access, and return the token."""
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
def test_a_token_revoked_in_a_rush_is_told_once_and_no_order_is_lost_or_doubled(
    concurrency: int,
    shop: Running[SquareSimulator],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = OutboxSettings(first_wait=0.05, longest_wait=0.2, lease=10.0, concurrency=concurrency)
    heard = Heard()
    ids = [f"ord-{number:03}" for number in range(MANY)]
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}", settings=settings) as outbox:
        known = Connections(outbox)
        known.keep("cafe-42", "square", shop.settings, Grant("Mia Chen"))
        for order_id in ids:
            outbox.add(lunch(order_id), connection="cafe-42", is_new=True)
        with working(outbox, heard):
            eventually(lambda: len(shop.simulator.ledger().shown) >= 20, 60)
            shop.simulator.revoke_authorisation()
            eventually(lambda: known.states()[0].paused, 60)
            eventually(lambda: not outbox.orders(states=[OrderState.SENDING], most=1), 60)
            before = len(shop.simulator.ledger().shown)
            assert before < MANY
            (state,) = known.states()
            assert (state.healthy, state.waiting) == (False, MANY - before)

            assert known.keep(
                "cafe-42",
                "square",
                {**shop.settings, "access_token": new_token(shop)},
                Grant("Ari"),
            )

            eventually(lambda: len(shop.simulator.ledger().shown) == MANY, 60)
            unfinished = [OrderState.DUE, OrderState.SENDING]
            eventually(lambda: not outbox.orders(states=unfinished, most=1), 60)
        arrived = [entry.reference for entry in shop.simulator.ledger().shown]
        assert sorted(arrived) == ids
        if concurrency == 1:
            assert arrived == ids
        assert heard.told["reauthorisation_needed"] == 1
        assert (
            heard.told["order_failed"] <= concurrency
        )  # those that were in hand; the others don't try
        assert {outbox.get(order_id).state for order_id in ids} == {OrderState.RECEIVED}  # type: ignore[union-attr]
        assert known.states()[0].healthy
        told = [repr(entry) for order_id in ids[::20] for entry in outbox.entries(order_id)]
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"cafe-42" in on_disk
    for token in shop.simulator.world.tokens:
        assert token.encode() not in on_disk
        assert token not in f"{caplog.text} {told}"
