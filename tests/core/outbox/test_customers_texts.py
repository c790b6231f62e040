"""What a platform says about an order shows nothing of its customer, by whichever way it comes."""

from __future__ import annotations

import sqlalchemy as sa

from core.outbox.hooked import Generic, Heard, stored
from core.outbox.stores import processing, work_off
from core.toy import toy_order
from core.toy_server import ToyServer, refuse
from tillpost.adapter.webhooks import OrderRefused
from tillpost.models.order import Customer
from tillpost.outbox import Outbox
from tillpost.outbox.db import schema as t

ECHO = "no order for Mia Chen, 0400 111 222"


def everything_stored(outbox: Outbox) -> str:
    """Return the text of all errors and journals."""
    with outbox.database.reading() as db:
        rows = db.execute(sa.select(t.orders.c.error, t.orders.c.pos_order)).all()
        events = db.execute(sa.select(t.events.c.body, t.events.c.exchange)).all()
    return str([*map(tuple, rows), *map(tuple, events)])


def test_refusal_by_webhook_shows_nothing_of_the_customer(outbox: Outbox, generic: Generic) -> None:
    heard = Heard()
    pos_id = generic.bring(outbox)
    receiver = generic.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *generic.refused(pos_id, "SetupError", ECHO))
    assert isinstance(event, OrderRefused)
    order = stored(outbox)
    assert order.error
    assert order.error.detail == event.error.detail == "no order for ***, ***"
    (failed,) = heard.named("order_failed")
    for text in (everything_stored(outbox), repr(failed["error"].args), repr(failed["error"])):
        assert "Mia" not in text
        assert "111222" not in text.replace(" ", "")


def test_refusal_of_an_erased_order_keeps_no_text(outbox: Outbox, generic: Generic) -> None:
    """Nothing is left by which the customer's texts could be recognised."""
    pos_id = generic.bring(outbox)
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(content=None, customer="", code=""))
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(pos_id, "SetupError", ECHO))
    order = stored(outbox)
    assert order.error
    assert (order.error.kind, order.error.detail) == ("SetupError", "***")
    assert "Mia" not in everything_stored(outbox)


def test_journal_shows_nothing_of_the_customer_in_an_exchange(outbox: Outbox) -> None:
    order = toy_order("ord-1").model_copy(
        update={"customer": Customer(name="Mia Chen", phone="+61400111222")}
    )
    with ToyServer() as server:
        server.on("POST /orders", refuse("BAD", ECHO))
        outbox.add(order, connection="cafe", is_new=True)
        with processing(outbox, server) as processor:
            work_off(processor)
    text = everything_stored(outbox)
    assert "no order for ***" in text
    assert "Mia" not in text
