"""Square's webhooks as they come: repeated, in bursts, out of order, among counter sales."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from core.outbox.hooked import Heard, Square, Store, connection_column, stored
from tillpost.adapter.webhooks import WebhookError, WebhookFault
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.webhooks.receiver import Receiver
from tillpost_simulators.square import SquareSimulator, WebhookSettings, WorldSettings

DELIVERIES = 3
COUNTER_SALES = 2
MORE_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6)]


class NoisyStore(Square):
    """A store at Square whose webhooks come badly."""

    def __init__(self, seed: int) -> None:
        webhooks = WebhookSettings(
            deliveries=DELIVERIES, burst=9, shuffled=True, counter_sales=COUNTER_SALES, seed=seed
        )
        simulator = SquareSimulator(WorldSettings(webhooks=webhooks))
        Store.__init__(self, simulator, "square", webhook_secret=webhooks.secret)

    def count_fetches(self, order_ids: Sequence[str]) -> int:
        """Return how often these orders were fetched, by the platform's ids."""
        counts: dict[str, int] = self.simulator.counts()
        return sum(counts.get(f"GET /v2/orders/{order_id}", 0) for order_id in order_ids)


@contextmanager
def listening(receiver: Receiver) -> Generator[str]:
    """Hand every webhook to a receiver; yield the address for them."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(received(receiver, dict(self.headers.items()), body, address))
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        address = f"http://127.0.0.1:{server.server_port}/hooks/cafe"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


def received(receiver: Receiver, headers: dict[str, str], body: bytes, address: str) -> int:
    """Handle a webhook, and return the status to answer with."""
    try:
        receiver.receive("cafe", headers, body, address)
    except WebhookError as error:
        return 200 if error.fault is WebhookFault.REPEATED else 400
    except Exception:  # noqa: BLE001 - whatever it is, the platform sends it again
        return 503
    return 200


@pytest.mark.parametrize("seed", [0, *MORE_SEEDS])
def test_outbox_behind_bad_deliveries_ends_right(outbox: Outbox, seed: int) -> None:
    heard = Heard()
    with closing(NoisyStore(seed)) as store:
        simulator = store.simulator
        with listening(store.receiver(outbox, heard)) as address:
            simulator.send_webhooks_to(address)
            for number in range(1, 5):
                store.bring(outbox, f"ord-{number}")
            simulator.staff_accept("ord-1")
            simulator.staff_accept("ord-2")
            simulator.staff_reject("ord-3")
            simulator.change_price("6105", 600)
            simulator.staff_prepare("ord-1")
            simulator.staff_complete("ord-1")
            simulator.deliver_webhooks()
        sent = [json.loads(webhook.body) for webhook in simulator.sent]

    assert states(outbox) == {
        "ord-1": (OrderState.ACCEPTED, Progress.COMPLETED),
        "ord-2": (OrderState.ACCEPTED, Progress.PREPARING),
        "ord-3": (OrderState.REJECTED, Progress.CANCELLED),
        "ord-4": (OrderState.RECEIVED, Progress.NEW),
    }
    assert_told_once_and_forwards(heard)
    assert connection_column(outbox, "import_at") is not None
    assert len(simulator.world.webhooks.counter_sales) == 4 * COUNTER_SALES
    assert_bad(sent)


def test_counter_sales_after_known_orders_are_not_fetched(outbox: Outbox) -> None:
    """While an order of ours is on its way, a sale that nobody knows may be that order."""
    with closing(NoisyStore(seed=0)) as store:
        simulator = store.simulator
        ours = store.bring(outbox)
        with listening(store.receiver(outbox)) as address:
            simulator.send_webhooks_to(address)
            sales = [simulator.sell_at_counter() for _ in range(3)]
            simulator.staff_accept("ord-1")
            simulator.deliver_webhooks()
        assert store.count_fetches(sales) == 0
        assert store.count_fetches([ours]) > 0
    assert stored(outbox).state is OrderState.ACCEPTED


def states(outbox: Outbox) -> dict[str, tuple[OrderState, Progress | None]]:
    orders = [stored(outbox, f"ord-{number}") for number in range(1, 5)]
    return {order.id: (order.state, order.progress) for order in orders}


def assert_told_once_and_forwards(heard: Heard) -> None:
    """Check that no change of an order was told twice, nor an earlier one after a later one."""
    (rejected,) = heard.named("order_rejected")
    assert rejected["order"].id == "ord-3"
    sequence = list(Progress)
    for order_id in ("ord-1", "ord-2"):
        told = [
            sequence.index(Progress(change["progress"]))
            for change in heard.named("order_status_changed")
            if change["order"].id == order_id
        ]
        assert told == sorted(set(told))
        assert told


def assert_bad(bodies: Sequence[dict[str, str]]) -> None:
    """Check that the webhooks were of all types, repeated, and out of their order."""
    assert {body["type"] for body in bodies} == {
        "order.created",
        "order.updated",
        "order.fulfillment.updated",
        "catalog.version.updated",
    }
    assert len(bodies) >= DELIVERIES * len({body["event_id"] for body in bodies})
    created = [body["created_at"] for body in bodies]
    assert created != sorted(created)
