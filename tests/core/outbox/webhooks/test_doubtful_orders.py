"""A webhook about an order in doubt settles nothing: the order is looked up, and that concludes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from core.outbox.hooked import Generic, Kounta, Square, Store, column, stored
from lying_server import LyingServer, names_another, names_other_id, whole, without_last_line
from tillpost.errors import Outcome
from tillpost.outbox import OrderState, Outbox, WaitsFor
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.order_monitor import OrderMonitor

pytestmark = pytest.mark.slow

LOST = whole(502, b"<html>Bad gateway</html>")
CREATES = {
    "square": "/v2/orders$",
    "kounta": "/orders.json$",
    "generic": "/orders$",
}


@pytest.fixture(params=[Square, Kounta, Generic], ids=["square", "kounta", "generic"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    store: Store = request.param()
    yield store
    store.close()


@pytest.fixture
def server(store: Store) -> Iterator[LyingServer]:
    with LyingServer(str(store.settings["base_url"])) as server:
        store.settings = {**store.settings, "base_url": server.url}
        yield server


def process_due(store: Store, outbox: Outbox) -> int:
    with store.processing(outbox) as processor:
        claims = processor.claim(9)
        for claim in claims:
            processor.handle(claim)
    return len(claims)


def give_up_in_doubt(store: Store, server: LyingServer, outbox: Outbox) -> str:
    """Have an order created whose answer is lost, and give it up; return the platform's id."""
    server.lie("POST", CREATES[store.platform_name], LOST, times=1)
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    process_due(store, outbox)
    assert stored(outbox).state is OrderState.DUE
    doubt = {"kind": "DoubtError", "detail": "given up", "outcome": "unknown"}
    given_up = {"state": "error", "due_at": None, "error": json.dumps(doubt), "waits_for": ""}
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(**given_up))
    (entry,) = store.simulator.ledger().entries
    return str(entry.order_id)


def test_webhook_about_an_order_in_doubt_has_it_looked_up(
    store: Store, server: LyingServer, outbox: Outbox
) -> None:
    pos_id = give_up_in_doubt(store, server, outbox)
    store.receiver(outbox).receive("cafe", *store.notification(pos_id))
    order = stored(outbox)
    assert order.pos_order is None
    assert order.state is OrderState.DUE
    assert order.waits_for is WaitsFor.LOOK
    process_due(store, outbox)
    order = stored(outbox)
    assert order.state is OrderState.RECEIVED, order.error
    assert order.pos_order
    assert order.pos_order.id == pos_id
    assert [entry.reference for entry in store.simulator.ledger().shown] == ["ord-1"]


def test_webhook_about_another_order_leaves_the_doubt(
    store: Store, server: LyingServer, outbox: Outbox
) -> None:
    pos_id = give_up_in_doubt(store, server, outbox)
    notification = store.notification(pos_id)
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *notification)
    for method in ("GET", "POST"):
        server.lie(method, "/orders", names_another("ord-1"))
    process_due(store, outbox)
    order = stored(outbox)
    assert order.state in (OrderState.DUE, OrderState.ERROR)
    assert order.error
    assert order.error.outcome is Outcome.UNKNOWN
    assert order.pos_order is None
    assert len(store.simulator.ledger().entries) == 1


def test_webhook_of_an_order_without_a_line_is_a_menu_error(outbox: Outbox) -> None:
    """Kounta's callback once settled it as accepted."""
    with ExitStack() as stack:
        store = Kounta()
        stack.callback(store.close)
        server = stack.enter_context(LyingServer(str(store.settings["base_url"])))
        store.settings = {**store.settings, "base_url": server.url}
        pos_id = give_up_in_doubt(store, server, outbox)
        store.simulator.staff_accept(pos_id)
        server.lie("GET", r"/orders/\d+.json", without_last_line("lines"))
        store.receiver(outbox).receive("cafe", *store.notification(pos_id))
        assert stored(outbox).state is OrderState.DUE
        process_due(store, outbox)
        order = stored(outbox)
        assert order.state is OrderState.ERROR
        assert order.error
        assert (order.error.kind, order.error.outcome) == ("MenuError", Outcome.CREATED)
        assert len(store.simulator.ledger().entries) == 1


def test_webhook_during_the_look_ups_is_kept_for_the_next_one(outbox: Outbox) -> None:
    """An order that the platform itself has named is never sent again by an empty search."""
    with ExitStack() as stack:
        store = Kounta()
        stack.callback(store.close)
        server = stack.enter_context(LyingServer(str(store.settings["base_url"])))
        store.settings = {**store.settings, "base_url": server.url}
        server.lie("POST", CREATES["kounta"], LOST, times=1)
        server.lie("GET", r"sites/\d+/orders.json", whole(200, b"[]"))
        outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
        process_due(store, outbox)
        (entry,) = store.simulator.ledger().entries
        store.receiver(outbox).receive("cafe", *store.notification(entry.order_id))
        with outbox.database.writing() as db:
            db.execute(sa.update(t.orders).values(due_at=0, suspended_until=0))
        process_due(store, outbox)
        order = stored(outbox)
        assert order.state is OrderState.RECEIVED, order.error
        assert len(store.simulator.ledger().entries) == 1


def test_poll_answered_with_another_order_changes_nothing(
    store: Store, server: LyingServer, outbox: Outbox
) -> None:
    first = store.bring(outbox)
    second = store.bring(outbox, "ord-2")
    store.simulator.staff_accept(second)
    one = r"/orders/[^/?]+$"
    server.lie("GET", one, names_other_id(first, second))
    server.lie("GET", one, names_another("ord-1", "ord-2"))
    with outbox.database.writing() as db:
        polled = sa.update(t.orders).where(t.orders.c.id == "ord-1").values(poll_at=0)
        db.execute(polled)
    with store.processing(outbox) as processor:
        OrderMonitor(processor).poll()
    assert stored(outbox).state is OrderState.RECEIVED
    assert column(outbox, "confirmed_at") is None


@pytest.mark.parametrize(
    "shown", [{"id": "another", "reference": "ord-1"}, {"id": "", "reference": "ord-2"}]
)
def test_signed_state_of_another_order_is_fetched_instead(
    shown: dict[str, Any], outbox: Outbox
) -> None:
    store = Generic()
    try:
        pos_id = store.bring(outbox)
        state = {**shown, "id": shown["id"] or pos_id, "state": "accepted", "progress": "ready"}
        event = {
            "kind": "order_changed",
            "event_id": "e1",
            "pos_id": pos_id,
            "reference": "ord-1",
            "pos_order": state,
        }
        store.receiver(outbox).receive("cafe", *store.signed(json.dumps(event).encode()))
        assert stored(outbox).state is OrderState.RECEIVED
        refused = {
            "kind": "order_refused",
            "event_id": "e2",
            "pos_id": pos_id,
            "reference": "ord-1",
            "error": {
                "kind": "OrderError",
                "detail": "no",
                "pos_order": state | {"state": "rejected"},
            },
        }
        store.receiver(outbox).receive("cafe", *store.signed(json.dumps(refused).encode()))
        assert stored(outbox).state is OrderState.RECEIVED
    finally:
        store.close()
