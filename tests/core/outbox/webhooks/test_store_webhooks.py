"""What webhooks tell of the store itself: its menu, its authorisation, whether it takes orders."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.outbox.hooked import Heard, Square, Store, connection_column
from core.outbox.stores import Clock
from tillpost.adapter.webhooks import MenuChanged
from tillpost.outbox import Outbox
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.webhooks.receiver import APART, SETTLES

# ---------------------------------------------------------------------- what is told of the store


def test_a_changed_menu_is_imported_a_little_later_once_for_a_burst(
    outbox: Outbox, square: Square
) -> None:
    clock = Clock()
    square.bring(outbox)
    receiver = square.receiver(outbox, clock=clock)
    (event,) = receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e1"))
    assert isinstance(event, MenuChanged)
    first = connection_column(outbox, "import_at")
    assert first == pytest.approx(clock() + SETTLES, abs=2)
    clock.ahead += 5
    receiver.receive("cafe", *square.event("catalog.version.updated", event_id="e2"))
    assert connection_column(outbox, "import_at") == first


def test_a_menu_that_was_just_imported_is_imported_again_a_minute_later(
    outbox: Outbox, square: Square
) -> None:
    square.bring(outbox)
    with square.processing(outbox) as processor:
        processor.import_now("cafe")
    square.receiver(outbox).receive("cafe", *square.event("catalog.version.updated"))
    assert connection_column(outbox, "import_at") == pytest.approx(time.time() + APART, abs=5)


def test_a_store_that_takes_its_authorisation_back_is_paused_and_told_once(
    outbox: Outbox, square: Square
) -> None:
    heard = Heard()
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


def test_a_revocation_from_before_the_store_was_connected_again_pauses_nothing(
    outbox: Outbox, square: Square, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    outbox.prepare()
    CredentialStore(outbox.database).keep(
        "cafe", "square", dict(square.settings), Grant("Mia Chen")
    )
    heard = Heard()
    late = square.event("oauth.authorization.revoked", at=time.time() - 600)
    square.receiver(outbox, heard).receive("cafe", *late)
    assert heard.names == []
    assert not connection_column(outbox, "paused")


def test_a_store_that_opens_or_closes_is_checked_soon(outbox: Outbox, store: Store) -> None:
    if isinstance(store, Square):
        told = store.event("location.updated")
    else:
        told = store.signed(json.dumps({"id": 2301, "name": "Café"}).encode())
    store.receiver(outbox).receive("cafe", *told)
    assert connection_column(outbox, "check_at") == pytest.approx(time.time(), abs=5)
