"""Webhooks move orders on, once each; what is forged, stale, repeated, huge or out of order changes nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.outbox.hooked import HOOK, Generic, Heard, Kounta, Square, Store
from core.outbox.stores import Clock, Opening
from tillpost.errors import ConfigError, OutageError, Outcome
from tillpost.order import Progress
from tillpost.outbox import OrderState, Outbox, Processor, StoredOrder, StoreError, WaitsFor, from_mapping
from tillpost.outbox import schema as t
from tillpost.outbox.acting import Desk
from tillpost.outbox.credentials import Grant, Vault
from tillpost.outbox.keyring import new_key
from tillpost.outbox.receiving import APART, KEPT_FOR, SETTLES, forget_old
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.webhooks import LARGEST, MenuChanged, OrderChanged, OrderRefused, WebhookError, WebhookFault


@pytest.fixture(params=[Square, Kounta], ids=["square", "kounta"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store = request.param()
    yield made
    made.close()


@pytest.fixture
def square() -> Iterator[Square]:
    made = Square()
    yield made
    made.close()


@pytest.fixture
def generic() -> Iterator[Generic]:
    made = Generic()
    yield made
    made.close()


def stored(outbox: Outbox, order_id: str = "ord-1") -> StoredOrder:
    found = outbox.get(order_id)
    assert found
    return found


def remembered(outbox: Outbox) -> int:
    with outbox.database.reading() as db:
        return int(db.scalar(sa.select(sa.func.count()).select_from(t.webhooks)) or 0)


def column(outbox: Outbox, name: str, order_id: str = "ord-1") -> object:
    with outbox.database.reading() as db:
        return db.scalar(sa.select(t.orders.c[name]).where(t.orders.c.id == order_id))


def of_place(outbox: Outbox, name: str) -> object:
    with outbox.database.reading() as db:
        return db.scalar(sa.select(t.connections.c[name]).where(t.connections.c.name == "cafe"))


# ---------------------------------------------------------------------- what staff do


def test_staff_who_take_an_order_on_are_its_proof_and_the_customer_may_be_told(outbox: Outbox, store: Store) -> None:
    heard, pos_id = Heard(), store.bring(outbox)
    assert column(outbox, "proved_at") is None
    store.simulator.staff_accept("ord-1")
    receiver = store.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *store.told(pos_id))
    assert isinstance(event, OrderChanged)
    assert event.pos_order
    now = stored(outbox)
    assert now.state is OrderState.ACCEPTED
    assert now.progress in (Progress.ACCEPTED, Progress.PREPARING)
    assert column(outbox, "proved_at") is not None
    assert column(outbox, "expect_at") is None
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


def test_an_order_that_is_cancelled_at_the_register_is_told_too(outbox: Outbox, store: Store) -> None:
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


def test_a_webhook_that_was_recorded_at_a_platform_that_signs_no_time_isnt_believed(outbox: Outbox) -> None:
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


def test_of_many_who_receive_the_same_webhook_at_once_one_acts(open_outbox: Opening, store: Store) -> None:
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


def test_another_connections_webhook_moves_no_order_of_this_one(outbox: Outbox, store: Store) -> None:
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


def test_a_webhook_whose_order_cant_be_looked_up_is_taken_when_it_comes_again(outbox: Outbox, store: Store) -> None:
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
        patched.setattr("tillpost.outbox.noticing.observed", dies)
        with pytest.raises(KeyboardInterrupt):
            receiver.receive("cafe", *told)
    assert remembered(outbox) == 0
    receiver.receive("cafe", *told)
    assert remembered(outbox) == 1
    assert stored(outbox).state is OrderState.ACCEPTED


def test_an_order_in_hand_isnt_written_over_and_is_looked_at_right_after(outbox: Outbox, store: Store) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    with store.processing(outbox) as processor:
        claim = processor.take("ord-1")
        assert claim
        store.receiver(outbox).receive("cafe", *store.told(pos_id))
        assert column(outbox, "state") == "received"
        processor.store.free(claim, time.time(), rest=3600.0, deaths=0)
    watch_at = column(outbox, "watch_at")
    assert isinstance(watch_at, float)
    assert watch_at <= time.time()


def test_a_late_refusal_of_an_order_in_hand_is_to_be_sent_again(outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    told = generic.refused(pos_id, "TaxError")
    receiver = generic.receiver(outbox)
    with generic.processing(outbox) as processor:
        claim = processor.take("ord-1")
        assert claim
        with pytest.raises(StoreError, match="in hand") as caught:
            receiver.receive("cafe", *told)
        assert caught.value.passing
        with processor.store.keeping(claim, (), time.time(), worker=None):
            pass
    assert remembered(outbox) == 0
    receiver.receive("cafe", *told)
    assert stored(outbox).state is OrderState.ERROR


# ---------------------------------------------------------------------- refusals that come late


def test_a_menu_error_that_comes_late_is_mended_as_one_in_the_answer(outbox: Outbox, generic: Generic) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[pos_id]
    (event,) = generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, "MenuError"))
    assert isinstance(event, OrderRefused)
    now = stored(outbox)
    assert (now.state, now.waits_for, now.pos_order) == (OrderState.DUE, WaitsFor.NOTHING, None)
    assert heard.names == ["menu_error", "order_status_changed"]
    with generic.processing(outbox, heard) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    now = stored(outbox)
    assert now.state is OrderState.RECEIVED, now.error
    assert [entry.reference for entry in generic.simulator.ledger().shown] == ["ord-1"]
    assert heard.names[2:] == ["menu_imported", "order_submitted"]


def test_a_menu_error_that_an_import_cant_mend_ends_as_a_persons(outbox: Outbox, generic: Generic) -> None:
    """The order goes once more at most, however often it is refused late."""
    pos_id = generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(pos_id, "MenuError"))
    made = generic.simulator.count("POST", "/orders")
    with generic.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.error
    assert (now.error.kind, now.error.detail) == ("MenuError", "no longer sold")
    assert generic.simulator.count("POST", "/orders") == made


def test_an_order_is_mended_late_once(outbox: Outbox, generic: Generic) -> None:
    pos_id = generic.bring(outbox)
    receiver = generic.receiver(outbox)
    for number in range(2):
        generic.simulator.recreate_variation("5312" + "-NEW" * number)
        del generic.simulator.world.orders[pos_id]
        receiver.receive("cafe", *generic.refused(pos_id, "MenuError", event_id=f"e{number}"))
        with generic.processing(outbox) as processor:
            for claim in processor.claim(9):
                processor.handle(claim)
        again = stored(outbox)
        if again.pos_order:
            pos_id = again.pos_order.id
    assert stored(outbox).state is OrderState.ERROR


@pytest.mark.parametrize("kind", ["MenuError", "TaxError"])
def test_an_order_that_is_refused_in_words_only_and_is_there_is_never_sent_again(
    kind: str, outbox: Outbox, generic: Generic
) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, kind))
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.error
    assert now.error.outcome is Outcome.CREATED
    assert heard.names == ["order_failed", "order_status_changed"]
    with generic.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert len(generic.simulator.ledger().shown) == 1


@pytest.mark.parametrize("kind", ["TaxError", "OutageError", "OrderError", "StoreClosedError", "Strange"])
def test_any_other_refusal_that_comes_late_is_a_persons(kind: str, outbox: Outbox, generic: Generic) -> None:
    heard, pos_id = Heard(), generic.bring(outbox)
    del generic.simulator.world.orders[pos_id]
    generic.receiver(outbox, heard).receive("cafe", *generic.refused(pos_id, kind))
    now = stored(outbox)
    assert now.state is OrderState.ERROR
    assert now.remedy
    assert now.due_at is None
    assert heard.names == ["order_failed", "order_status_changed"]


def test_what_is_said_of_an_older_copy_doesnt_touch_the_new_one(outbox: Outbox, generic: Generic) -> None:
    old = generic.bring(outbox)
    generic.simulator.recreate_variation("5312")
    del generic.simulator.world.orders[old]
    receiver = generic.receiver(outbox)
    receiver.receive("cafe", *generic.refused(old, "MenuError"))
    with generic.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    there = {"id": old, "reference": "ord-1", "state": "rejected", "progress": "cancelled"}
    told = {"kind": "order_changed", "event_id": "e9", "pos_id": old, "reference": "ord-1", "pos_order": there}
    receiver.receive("cafe", *generic.signed(json.dumps(told).encode()))
    assert stored(outbox).state is OrderState.RECEIVED


# ---------------------------------------------------------------------- what people settled


def test_an_order_that_was_taken_over_stays_so_and_a_copy_that_appears_is_noted(outbox: Outbox) -> None:
    store = Kounta()
    lost = FaultRule(method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None)
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    with store.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    known = from_mapping({"cafe": store.connected()})
    Desk(outbox, "mia", connections=known).manual("ord-1", even_in_doubt=True)
    assert stored(outbox).pos_order is None
    (made,) = store.simulator.world.orders
    store.receiver(outbox).receive("cafe", *store.told(str(made)))
    now = stored(outbox)
    assert now.state is OrderState.MANUAL
    assert now.pos_order
    assert now.pos_order.id == str(made)
    store.close()


def test_an_order_that_was_given_up_in_doubt_and_turns_up_has_arrived(outbox: Outbox) -> None:
    store, heard = Kounta(), Heard()
    lost = FaultRule(method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=None)
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    with store.processing(outbox) as processor:
        for claim in processor.claim(9):
            processor.handle(claim)
    doubt = {"kind": "DoubtError", "detail": "given up", "outcome": "unknown"}
    with outbox.database.writing() as db:
        given_up = {"state": "error", "due_at": None, "error": json.dumps(doubt), "waits_for": ""}
        db.execute(sa.update(t.orders).values(**given_up))
    (made,) = store.simulator.world.orders
    store.receiver(outbox, heard).receive("cafe", *store.told(str(made)))
    now = stored(outbox)
    assert (now.state, now.error) == (OrderState.RECEIVED, None)
    assert heard.names == ["order_submitted", "order_status_changed"]
    Desk(outbox, "mia").accept("ord-1")
    with store.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert len(store.simulator.world.orders) == 1
    store.close()


def test_an_order_that_a_person_moved_on_isnt_taken_back_when_it_arrives(outbox: Outbox, square: Square) -> None:
    square.simulator.remove_variation("5312")
    outbox.add(square.order("ord-1"), connection="cafe")
    known, desk = from_mapping({"cafe": square.connected()}), Desk(outbox, "mia")
    with Processor(outbox, connections=known) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
        desk.accept("ord-1")
        desk.advance("ord-1", Progress.READY)
        square.simulator.reset()
        desk.resubmit("ord-1")
        for claim in processor.claim(1):
            processor.handle(claim)
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.RECEIVED, Progress.READY)
    assert now.pos_order
    square.simulator.staff_accept("ord-1")
    square.receiver(outbox).receive("cafe", *square.told(now.pos_order.id))
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.ACCEPTED, Progress.READY)


def test_an_order_that_staff_turned_down_before_it_was_known_to_be_there_is_told(outbox: Outbox) -> None:
    """Its answer was lost, staff were faster than the look."""
    store, heard = Kounta(), Heard()
    lost = FaultRule(method="POST", path="/orders.json$", fault=Fault(kind=FaultKind.LOST_ANSWER), times=1)
    store.simulator.set_faults(FaultPlan(rules=(lost,)))
    outbox.add(store.order("ord-1"), connection="cafe", is_new=True)
    clock = Clock()
    with store.processing(outbox, heard, clock) as processor:
        for claim in processor.claim(1):
            processor.handle(claim)
        store.simulator.staff_reject("ord-1")
        for _ in range(4):
            clock.ahead += 5
            for claim in processor.claim(1):
                processor.handle(claim)
    now = stored(outbox)
    assert (now.state, now.progress) == (OrderState.REJECTED, Progress.CANCELLED)
    assert now.remedy
    assert now.remedy.action == "refund"
    assert "order_rejected" in heard.names
    assert column(outbox, "problem_at") is not None
    store.close()


# ---------------------------------------------------------------------- what is told of the store


def test_a_changed_menu_is_imported_a_little_later_once_for_a_burst(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    receiver = square.receiver(outbox, clock=clock)
    (event,) = receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e1"))
    assert isinstance(event, MenuChanged)
    first = of_place(outbox, "import_at")
    assert first == pytest.approx(clock() + SETTLES, abs=2)
    clock.ahead += 5
    receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e2"))
    assert of_place(outbox, "import_at") == first


def test_a_menu_that_was_just_imported_is_imported_again_a_minute_later(outbox: Outbox, square: Square) -> None:
    square.bring(outbox)
    with square.processing(outbox) as processor:
        processor.import_now("cafe")
    square.receiver(outbox).receive("cafe", *square.event("catalog.version.updated"))
    assert of_place(outbox, "import_at") == pytest.approx(time.time() + APART, abs=5)


def test_a_store_that_takes_its_authorisation_back_is_paused_and_told_once(outbox: Outbox, square: Square) -> None:
    heard = Heard()
    receiver = square.receiver(outbox, heard)
    for number in range(2):
        receiver.receive("cafe", *square.event("oauth.authorization.revoked", event_id=f"e{number}"))
    assert heard.names == ["reauthorisation_needed"]
    error = heard.all[0][1]["error"]
    assert (error.remedy.action, error.platform) == ("reconnect", "square")
    assert of_place(outbox, "paused") == "authorisation"
    outbox.add(square.order("ord-1"), connection="cafe")
    with square.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert outbox.resume("cafe")


def test_a_revocation_from_before_the_store_was_connected_again_pauses_nothing(
    outbox: Outbox, square: Square, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    outbox.prepare()
    Vault(outbox.database).keep("cafe", "square", dict(square.settings), Grant("Mia Chen"))
    heard = Heard()
    late = square.event("oauth.authorization.revoked", at=time.time() - 600)
    square.receiver(outbox, heard).receive("cafe", *late)
    assert heard.names == []
    assert not of_place(outbox, "paused")


def test_a_store_that_opens_or_closes_is_checked_soon(outbox: Outbox, store: Store) -> None:
    if isinstance(store, Square):
        told = store.event("location.updated")
    else:
        told = store.signed(json.dumps({"id": 2301, "name": "Café"}).encode())
    store.receiver(outbox).receive("cafe", *told)
    assert of_place(outbox, "check_at") == pytest.approx(time.time(), abs=5)


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
        Vault(outbox.database).keep("cafe", "square", renewable, Grant("Mia Chen"))
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
        assert list(db.execute(sa.select(t.workers.c.id))) == [], "whoever renewed the token has retired"


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
