"""Webhooks advance orders, once each; invalid, stale and repeated ones change nothing."""

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
    count_webhooks,
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
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.webhooks.received_events import RETENTION, delete_old_events

# ---------------------------------------------------------------------- acts of staff


def test_acceptance_by_staff_confirms_the_order(outbox: Outbox, store: Store) -> None:
    heard = Heard()
    pos_id = store.bring(outbox)
    assert column(outbox, "confirmed_at") is None
    store.simulator.staff_accept("ord-1")
    receiver = store.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *store.notification(pos_id))
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


def test_rejection_by_staff_is_reported_with_a_refund_due(outbox: Outbox, store: Store) -> None:
    heard = Heard()
    pos_id = store.bring(outbox)
    store.simulator.staff_reject("ord-1")
    receiver = store.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *store.notification(pos_id))
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


def test_cancellation_at_the_register_is_reported(outbox: Outbox, store: Store) -> None:
    heard = Heard()
    pos_id = store.bring(outbox)
    if isinstance(store, Kounta):
        store.simulator.staff_delete("ord-1")
    else:
        store.simulator.staff_reject("ord-1", "CANCELED")
    with store.processing(outbox) as processor:
        pos_order = StoreQueries(processor.connections["cafe"]).fetch(pos_id)
    store.receiver(outbox, heard).receive("cafe", *store.notification(pos_id))
    now = stored(outbox)
    assert now.state.value == pos_order.state.value
    assert now.remedy
    assert now.remedy.action == "refund"
    assert heard.names == ["order_status_changed", "order_rejected"]
    assert column(outbox, "problem_at") is not None


def test_late_webhook_does_not_undo_a_later_state(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    early = store.notification(pos_id, event_id="early")
    store.simulator.staff_accept("ord-1")
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.notification(pos_id, event_id="later"))
    receiver.receive("cafe", *early)
    assert stored(outbox).state is OrderState.ACCEPTED
    store.simulator.staff_reject("ord-1")
    receiver.receive("cafe", *store.notification(pos_id, event_id="last"))
    assert stored(outbox).state is OrderState.REJECTED


# ---------------------------------------------------------------------- invalid webhooks


def test_invalid_webhook_is_refused_and_changes_nothing(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    headers, body, url = store.notification(pos_id)
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
    assert count_webhooks(outbox) == 0


def test_stale_webhook_is_refused(outbox: Outbox, square: Square) -> None:
    pos_id = square.bring(outbox)
    square.simulator.staff_accept("ord-1")
    with pytest.raises(WebhookError) as caught:
        square.receiver(outbox).receive(
            "cafe", *square.event("order.updated", pos_id=pos_id, at=time.time() - 30 * 3600)
        )
    assert caught.value.fault is WebhookFault.STALE
    assert stored(outbox).state is OrderState.RECEIVED


def test_replayed_webhook_without_signed_time_is_looked_up_once(
    outbox: Outbox,
) -> None:
    """Kounta's signature proves no time: the claim is looked up, and repetitions are refused."""
    store = Kounta()
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    old = store.notification(pos_id)
    body = json.dumps({**json.loads(old[1]), "status": "REJECTED"}).encode()
    receiver = store.receiver(outbox)
    receiver.receive("cafe", *store.signed(body))
    assert stored(outbox).state is OrderState.ACCEPTED
    asked = len(store.simulator.requests)
    for _ in range(3):
        with pytest.raises(WebhookError):
            receiver.receive("cafe", *store.signed(body))
    assert len(store.simulator.requests) == asked, "a repetition isn't looked up again"
    store.close()


def test_repeated_webhook_takes_effect_once(outbox: Outbox, store: Store) -> None:
    heard = Heard()
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.notification(pos_id)
    receiver = store.receiver(outbox, heard)
    receiver.receive("cafe", *webhook)
    for _ in range(2):
        with pytest.raises(WebhookError) as caught:
            receiver.receive("cafe", *webhook)
        assert caught.value.fault is WebhookFault.REPEATED
    assert heard.names == ["order_status_changed"]


def test_concurrent_repetitions_take_effect_once(open_outbox: Opening, store: Store) -> None:
    first = open_outbox()
    second = open_outbox()
    heard = Heard()
    pos_id = store.bring(first)
    store.simulator.staff_reject("ord-1")
    webhook = store.notification(pos_id)
    receivers = [store.receiver(outbox, heard) for outbox in (first, second) for _ in range(3)]
    together = threading.Barrier(len(receivers))

    def receive(number: int) -> str:
        together.wait()
        try:
            receivers[number].receive("cafe", *webhook)
        except WebhookError as refused:
            return refused.fault.value
        return "taken"

    with ThreadPoolExecutor(len(receivers)) as pool:
        answers = sorted(pool.map(receive, range(len(receivers))))
    assert answers == ["repeated"] * 5 + ["taken"]
    assert heard.names == ["order_status_changed", "order_rejected"]
    for receiver in receivers:
        receiver.close()


def test_webhook_changes_no_order_of_another_connection(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    known = {"cafe": store.connected(), "other": store.connected()}
    receiver = outbox.receiver(connections=from_mapping(known))
    receiver.receive("other", *store.notification(pos_id))
    assert stored(outbox).state is OrderState.RECEIVED
    receiver.receive("cafe", *store.notification(pos_id))
    assert stored(outbox).state is OrderState.ACCEPTED


def test_foreign_orders_are_not_looked_up(outbox: Outbox, store: Store) -> None:
    store.bring(outbox)
    asked = len(store.simulator.requests)
    strange = store.signed(json.dumps({"id": 77, "site_id": 2301}).encode())
    webhook = strange if isinstance(store, Kounta) else store.notification("NOT-OURS")
    (event,) = store.receiver(outbox).receive("cafe", *webhook)
    assert isinstance(event, OrderChanged)
    assert event.pos_order is None
    assert len(store.simulator.requests) == asked


def test_unknown_connection_raises_config_error(outbox: Outbox, square: Square) -> None:
    with pytest.raises(ConfigError):
        square.receiver(outbox).receive("nowhere", *square.notification("x"))


# ---------------------------------------------------------------------- postponed webhooks


def test_webhook_during_outage_takes_effect_when_repeated(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.notification(pos_id)
    receiver = store.receiver(outbox)
    store.simulator.set_outage()
    with pytest.raises(OutageError):
        receiver.receive("cafe", *webhook)
    assert count_webhooks(outbox) == 0
    store.simulator.set_outage(down=False)
    receiver.receive("cafe", *webhook)
    assert stored(outbox).state is OrderState.ACCEPTED


def test_event_is_recorded_together_with_its_effect(
    outbox: Outbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.notification(pos_id)
    receiver = store.receiver(outbox)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tillpost.outbox.orders.updates.apply_status", dies)
        with pytest.raises(KeyboardInterrupt):
            receiver.receive("cafe", *webhook)
    assert count_webhooks(outbox) == 0
    receiver.receive("cafe", *webhook)
    assert count_webhooks(outbox) == 1
    assert stored(outbox).state is OrderState.ACCEPTED


def test_claimed_order_is_polled_right_after_its_release(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    with store.processing(outbox) as processor:
        claim = processor.claim_order("ord-1")
        assert claim
        store.receiver(outbox).receive("cafe", *store.notification(pos_id))
        assert column(outbox, "state") == "received"
        processor.claims.release(claim, time.time(), due_in=3600.0, crashes=0)
    poll_at = column(outbox, "poll_at")
    assert isinstance(poll_at, float)
    assert poll_at <= time.time()


def test_late_refusal_of_claimed_order_must_be_repeated(outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    webhook = generic.refused(pos_id, "TaxError")
    receiver = generic.receiver(outbox)
    with generic.processing(outbox) as processor:
        claim = processor.claim_order("ord-1")
        assert claim
        with pytest.raises(DatabaseError, match="is being processed") as caught:
            receiver.receive("cafe", *webhook)
        assert caught.value.transient
        with processor.claims.recording(claim, (), time.time(), worker=None):
            pass
    assert count_webhooks(outbox) == 0
    receiver.receive("cafe", *webhook)
    assert stored(outbox).state is OrderState.ERROR


# ---------------------------------------------------------------------- Outbox.receive


def test_outbox_receives_webhooks_for_its_connections(
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
        CredentialStore(outbox.database).save("cafe", "square", renewable, Grant("Mia Chen"))
        outbox.add(square.order("ord-1"), connection="cafe")
        with Processor(outbox) as processor:
            for claim in processor.claim(1):
                processor.handle(claim)
        square.simulator.staff_accept("ord-1")
        pos_order = stored(outbox).pos_order
        assert pos_order
        square.simulator.expire_token()
        outbox.receive("cafe", *square.notification(pos_order.id))
        assert stored(outbox).state is OrderState.ACCEPTED
        with pytest.raises(WebhookError):
            outbox.receive("cafe", {}, b"{}", HOOK)
        with pytest.raises(ConfigError):
            outbox.receive("nowhere", {}, b"{}", HOOK)
    with Outbox(url) as outbox, outbox.database.reading() as db:
        assert list(db.execute(sa.select(t.workers.c.id))) == [], (
            "the receiver, which refreshed the token, has retired"
        )


def test_old_events_are_deleted(outbox: Outbox, square: Square) -> None:
    pos_id = square.bring(outbox)
    square.receiver(outbox).receive("cafe", *square.notification(pos_id))
    with outbox.database.writing() as db:
        assert delete_old_events(db, time.time()) == 0
        assert delete_old_events(db, time.time() + RETENTION + 60) == 1


@pytest.mark.parametrize("event_id", ["x" * 5000, "nul \0 in it", "🥑" * 90])
def test_event_id_may_be_any_text(event_id: str, outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    generic.simulator.staff_accept("ord-1")
    webhook = generic.notification(pos_id, event_id=event_id)
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *webhook)
    with pytest.raises(WebhookError) as caught:
        receiver.receive("cafe", *webhook)
    assert caught.value.fault is WebhookFault.REPEATED
    assert stored(outbox).state is OrderState.ACCEPTED
