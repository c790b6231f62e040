"""Webhooks move orders on, once each; what is forged, stale, repeated, huge or out of order changes nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.outbox.hooked import (
    HOOK,
    Generic,
    Heard,
    Kounta,
    Square,
    Store,
    column,
    remembered,
    stored,
)
from core.outbox.stores import Opening
from tillpost.adapter.webhooks import (
    LARGEST,
    OrderChanged,
    OrderRefused,
    WebhookError,
    WebhookFault,
)
from tillpost.errors import ConfigError, OutageError, Outcome
from tillpost.models.order import Progress
from tillpost.outbox import DatabaseError, OrderState, Outbox, Processor, from_mapping
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.db import schema as t
from tillpost.outbox.webhooks.receiver import KEPT_FOR, forget_old

# ---------------------------------------------------------------------- what staff do


def test_staff_who_take_an_order_on_are_its_proof_and_the_customer_may_be_told(
    outbox: Outbox, store: Store
) -> None:
    heard, pos_id = Heard(), store.bring(outbox)
    assert column(outbox, "confirmed_at") is None
    store.simulator.staff_accept("ord-1")
    receiver = store.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *store.told(pos_id))
    assert isinstance(event, OrderChanged)
    assert event.pos_order
    now = stored(outbox)
    assert now.state is OrderState.ACCEPTED
    assert now.progress in (Progress.ACCEPTED, Progress.PREPARING)
    assert column(outbox, "confirmed_at") is not None
    assert column(outbox, "expected_at") is None
    assert heard.names == ["order_status_changed"]
    assert heard.all[0][1]["state"] == "accepted"
    receiver.close()


def test_an_order_that_staff_turn_down_is_told_at_once_and_the_money_has_to_go_back(
    outbox: Outbox, store: Store
) -> None:
    heard, pos_id = Heard(), store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    receiver = store.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *store.told(pos_id))
    assert isinstance(event, OrderRefused)
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.REJECTED, Progress.CANCELLED)
    assert now.remedy
    assert now.remedy.action == "refund"
    assert now.error
    assert now.error.outcome is Outcome.CREATED
    assert heard.names == ["order_status_changed", "order_rejected"]
    assert outbox.orders(problem=True)
    receiver.close()


def test_an_order_that_is_cancelled_at_the_register_is_told_too(
    outbox: Outbox, store: Store
) -> None:
    heard, pos_id = Heard(), store.bring(outbox)
    if isinstance(store, Kounta):
        store.simulator.staff_delete("ord-1")
    else:
        store.simulator.staff_reject("ord-1", "CANCELED")
    with store.processing(outbox) as processor:
        there = processor.tills["cafe"].fetch(pos_id)
    store.receiver(outbox, heard).receive("cafe", *store.told(pos_id))
    now = stored(outbox)
    assert now.state.value == there.state.value
    assert now.remedy
    assert now.remedy.action == "refund"
    assert heard.names == ["order_status_changed", "order_rejected"]
    assert column(outbox, "problem_at") is not None


def test_what_is_told_out_of_order_changes_nothing_back(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    early = store.told(pos_id, event_id="early")
    store.simulator.staff_accept("ord-1")
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.told(pos_id, event_id="later"))
    receiver.receive("cafe", *early)
    assert stored(outbox).state is OrderState.ACCEPTED
    store.simulator.staff_reject("ord-1")
    receiver.receive("cafe", *store.told(pos_id, event_id="last"))
    assert stored(outbox).state is OrderState.REJECTED


# ---------------------------------------------------------------------- what isn't the platform's


def test_what_is_forged_unsigned_huge_or_unreadable_is_refused_and_changes_nothing(
    outbox: Outbox, store: Store
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    headers, body, url = store.told(pos_id)
    receiver = store.receiver(outbox)
    cases: list[tuple[Mapping[str, str], bytes, WebhookFault]] = [
        (headers, body + b" ", WebhookFault.FORGED),
        ({}, body, WebhookFault.UNSIGNED),
        (headers, b"x" * (LARGEST + 1), WebhookFault.TOO_LARGE),
        (store.signed(b"[1]")[0], b"[1]", WebhookFault.UNREADABLE),
    ]
    before = stored(outbox)
    for sent_headers, sent, fault in cases:
        with pytest.raises(WebhookError) as caught:
            receiver.receive("cafe", sent_headers, sent, url)
        assert caught.value.fault is fault
    assert stored(outbox) == before
    assert remembered(outbox) == 0


def test_a_signed_webhook_that_is_stale_is_refused(outbox: Outbox, square: Square) -> None:
    pos_id = square.bring(outbox)
    square.simulator.staff_accept("ord-1")
    with pytest.raises(WebhookError) as caught:
        square.receiver(outbox).receive(
            "cafe", *square.event("order.updated", pos_id=pos_id, at=time.time() - 30 * 3600)
        )
    assert caught.value.fault is WebhookFault.STALE
    assert stored(outbox).state is OrderState.RECEIVED


def test_a_webhook_that_was_recorded_at_a_platform_that_signs_no_time_isnt_believed(
    outbox: Outbox,
) -> None:
    """Kounta's signature proves no time: what an old one claims is looked up, and then known to have come before."""
    store = Kounta()
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    old = store.told(pos_id)
    body = json.dumps({**json.loads(old[1]), "status": "REJECTED"}).encode()
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.signed(body))
    assert stored(outbox).state is OrderState.ACCEPTED
    asked = len(store.simulator.requests)
    for _ in range(3):
        with pytest.raises(WebhookError):
            receiver.receive("cafe", *store.signed(body))
    assert len(store.simulator.requests) == asked, "what has come before isn't looked up again"
    store.close()


def test_a_repeated_webhook_counts_once(outbox: Outbox, store: Store) -> None:
    heard, pos_id = Heard(), store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id)
    receiver = store.receiver(outbox, heard)
    receiver.receive("cafe", *told)
    for _ in range(2):
        with pytest.raises(WebhookError) as caught:
            receiver.receive("cafe", *told)
        assert caught.value.fault is WebhookFault.REPEATED
    assert heard.names == ["order_status_changed"]


def test_of_many_who_receive_the_same_webhook_at_once_one_acts(
    open_outbox: Opening, store: Store
) -> None:
    first, second = open_outbox(), open_outbox()
    heard, pos_id = Heard(), store.bring(first)
    store.simulator.staff_reject("ord-1")
    told = store.told(pos_id)
    receivers = [store.receiver(outbox, heard) for outbox in (first, second) for _ in range(3)]
    together = threading.Barrier(len(receivers))

    def receive(number: int) -> str:
        together.wait()
        try:
            receivers[number].receive("cafe", *told)
        except WebhookError as refused:
            return refused.fault.value
        return "taken"

    with ThreadPoolExecutor(len(receivers)) as pool:
        answers = sorted(pool.map(receive, range(len(receivers))))
    assert answers == ["repeated"] * 5 + ["taken"]
    assert heard.names == ["order_status_changed", "order_rejected"]
    for receiver in receivers:
        receiver.close()


def test_another_connections_webhook_moves_no_order_of_this_one(
    outbox: Outbox, store: Store
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    known = {"cafe": store.connected(), "other": store.connected()}
    receiver = outbox.receiver(connections=from_mapping(known))
    receiver.receive("other", *store.told(pos_id))
    assert stored(outbox).state is OrderState.RECEIVED
    receiver.receive("cafe", *store.told(pos_id))
    assert stored(outbox).state is OrderState.ACCEPTED


def test_orders_of_others_are_not_looked_up(outbox: Outbox, store: Store) -> None:
    store.bring(outbox)
    asked = len(store.simulator.requests)
    strange = store.signed(json.dumps({"id": 77, "site_id": 2301}).encode())
    told = strange if isinstance(store, Kounta) else store.told("NOT-OURS")
    (event,) = store.receiver(outbox).receive("cafe", *told)
    assert isinstance(event, OrderChanged)
    assert event.pos_order is None
    assert len(store.simulator.requests) == asked


def test_a_connection_that_nobody_knows_is_said_so(outbox: Outbox, square: Square) -> None:
    with pytest.raises(ConfigError):
        square.receiver(outbox).receive("nowhere", *square.told("x"))


# ---------------------------------------------------------------------- what can't be done now


def test_a_webhook_whose_order_cant_be_looked_up_is_taken_when_it_comes_again(
    outbox: Outbox, store: Store
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id)
    receiver = store.receiver(outbox)
    store.simulator.set_outage()
    with pytest.raises(OutageError):
        receiver.receive("cafe", *told)
    assert remembered(outbox) == 0
    store.simulator.set_outage(down=False)
    receiver.receive("cafe", *told)
    assert stored(outbox).state is OrderState.ACCEPTED


def test_an_event_is_remembered_together_with_its_effect_or_not_at_all(
    outbox: Outbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id)
    receiver = store.receiver(outbox)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tillpost.outbox.orders.updates.observed", dies)
        with pytest.raises(KeyboardInterrupt):
            receiver.receive("cafe", *told)
    assert remembered(outbox) == 0
    receiver.receive("cafe", *told)
    assert remembered(outbox) == 1
    assert stored(outbox).state is OrderState.ACCEPTED


def test_an_order_in_hand_isnt_written_over_and_is_looked_at_right_after(
    outbox: Outbox, store: Store
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    with store.processing(outbox) as processor:
        claim = processor.take("ord-1")
        assert claim
        store.receiver(outbox).receive("cafe", *store.told(pos_id))
        assert column(outbox, "state") == "received"
        processor.claims.release(claim, time.time(), due_in=3600.0, crashes=0)
    poll_at = column(outbox, "poll_at")
    assert isinstance(poll_at, float)
    assert poll_at <= time.time()


def test_a_late_refusal_of_an_order_in_hand_is_to_be_sent_again(
    outbox: Outbox, generic: Generic
) -> None:
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    told = generic.refused(pos_id, "TaxError")
    receiver = generic.receiver(outbox)
    with generic.processing(outbox) as processor:
        claim = processor.take("ord-1")
        assert claim
        with pytest.raises(DatabaseError, match="in hand") as caught:
            receiver.receive("cafe", *told)
        assert caught.value.passing
        with processor.claims.recording(claim, (), time.time(), worker=None):
            pass
    assert remembered(outbox) == 0
    receiver.receive("cafe", *told)
    assert stored(outbox).state is OrderState.ERROR


# ---------------------------------------------------------------------- the outbox's own way in


def test_the_outbox_receives_for_the_connections_that_it_has(
    url: str, square: Square, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    with Outbox(url) as outbox:
        outbox.prepare()
        app = square.simulator.settings
        names = ("refresh_token", "client_id", "client_secret")
        renewable = {**square.settings, **{name: getattr(app, name) for name in names}}
        CredentialStore(outbox.database).keep("cafe", "square", renewable, Grant("Mia Chen"))
        outbox.add(square.order("ord-1"), connection="cafe")
        with Processor(outbox) as processor:
            for claim in processor.claim(1):
                processor.handle(claim)
        square.simulator.staff_accept("ord-1")
        pos_order = stored(outbox).pos_order
        assert pos_order
        square.simulator.expire_token()
        outbox.receive("cafe", *square.told(pos_order.id))
        assert stored(outbox).state is OrderState.ACCEPTED
        with pytest.raises(WebhookError):
            outbox.receive("cafe", {}, b"{}", HOOK)
        with pytest.raises(ConfigError):
            outbox.receive("nowhere", {}, b"{}", HOOK)
    with Outbox(url) as outbox, outbox.database.reading() as db:
        assert list(db.execute(sa.select(t.workers.c.id))) == [], (
            "whoever renewed the token has retired"
        )


def test_old_events_are_forgotten(outbox: Outbox, square: Square) -> None:
    pos_id = square.bring(outbox)
    square.receiver(outbox).receive("cafe", *square.told(pos_id))
    with outbox.database.writing() as db:
        assert forget_old(db, time.time()) == 0
        assert forget_old(db, time.time() + KEPT_FOR + 60) == 1


@pytest.mark.parametrize("event_id", ["x" * 5000, "nul \0 in it", "🥑" * 90])
def test_an_events_id_may_be_anything(event_id: str, outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    generic.simulator.staff_accept("ord-1")
    told = generic.told(pos_id, event_id=event_id)
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *told)
    with pytest.raises(WebhookError) as caught:
        receiver.receive("cafe", *told)
    assert caught.value.fault is WebhookFault.REPEATED
    assert stored(outbox).state is OrderState.ACCEPTED
