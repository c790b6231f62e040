"""Webhooks about the store itself: its menu, its authorisation, its availability."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.outbox.hooked import Heard, Square, Store, connection_column
from core.outbox.stores import Clock
from tillpost.adapter.webhooks import AvailabilityChanged, MenuChanged
from tillpost.outbox import Outbox
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.webhooks.effects import LEAST_BETWEEN_IMPORTS, MENU_SETTLES_IN
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule


def test_burst_of_menu_changes_schedules_one_import(outbox: Outbox, square: Square) -> None:
    clock = Clock()
    square.bring(outbox)
    receiver = square.receiver(outbox, clock=clock)
    (event,) = receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e1"))
    assert isinstance(event, MenuChanged)
    first = connection_column(outbox, "import_at")
    assert first == pytest.approx(clock() + MENU_SETTLES_IN, abs=2)
    clock.ahead += 5
    receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e2"))
    assert connection_column(outbox, "import_at") == first


def test_import_after_recent_import_is_scheduled_a_minute_later(
    outbox: Outbox, square: Square
) -> None:
    square.bring(outbox)
    with square.processing(outbox) as processor:
        processor.import_now("cafe")
    square.receiver(outbox).receive("cafe", *square.event("catalog.version.updated"))
    assert connection_column(outbox, "import_at") == pytest.approx(
        time.time() + LEAST_BETWEEN_IMPORTS, abs=5
    )


def test_revocation_pauses_connection_and_is_reported_once(outbox: Outbox, square: Square) -> None:
    heard = Heard()
    square.simulator.revoke_authorisation()
    receiver = square.receiver(outbox, heard)
    for number in range(2):
        receiver.receive(
            "cafe", *square.event("oauth.authorization.revoked", event_id=f"e{number}")
        )
    assert heard.names == ["reauthorisation_needed"]
    error = heard.all[0][1]["error"]
    assert (error.remedy.action, error.platform) == ("reconnect", "square")
    assert connection_column(outbox, "paused") == "authorisation"
    outbox.add(square.order("ord-1"), connection="cafe")
    with square.processing(outbox) as processor:
        assert processor.claim(9) == []
    assert outbox.resume("cafe")


def test_revocation_by_another_store_pauses_nothing(outbox: Outbox, square: Square) -> None:
    """One application has one subscription: a signature doesn't prove whose revocation it is."""
    heard = Heard()
    receiver = square.receiver(outbox, heard)
    (event,) = receiver.receive("cafe", *square.event("oauth.authorization.revoked"))
    assert isinstance(event, AvailabilityChanged)
    assert heard.names == []
    assert not connection_column(outbox, "paused")
    assert connection_column(outbox, "check_at") == pytest.approx(time.time(), abs=5)


def test_revocation_that_cannot_be_confirmed_now_is_checked_soon(
    outbox: Outbox, square: Square
) -> None:
    fault = Fault(kind=FaultKind.SERVER_ERROR)
    square.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=fault, times=None),)))
    square.receiver(outbox).receive("cafe", *square.event("oauth.authorization.revoked"))
    assert not connection_column(outbox, "paused")
    assert connection_column(outbox, "check_at") == pytest.approx(time.time(), abs=5)


def test_revocation_from_before_reconnection_is_ignored(
    outbox: Outbox, square: Square, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    outbox.prepare()
    CredentialStore(outbox.database).save(
        "cafe", "square", dict(square.settings), Grant("Mia Chen")
    )
    heard = Heard()
    square.simulator.revoke_authorisation()
    webhook = square.event("oauth.authorization.revoked", at=time.time() - 600)
    square.receiver(outbox, heard).receive("cafe", *webhook)
    assert heard.names == []
    assert not connection_column(outbox, "paused")


def test_store_change_schedules_a_check(outbox: Outbox, store: Store) -> None:
    if isinstance(store, Square):
        webhook = store.event("location.updated")
    else:
        webhook = store.signed(json.dumps({"id": 2301, "name": "Café"}).encode())
    store.receiver(outbox).receive("cafe", *webhook)
    assert connection_column(outbox, "check_at") == pytest.approx(time.time(), abs=5)
