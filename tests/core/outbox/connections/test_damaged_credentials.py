"""A damaged row of credentials is the fault of its own connection; the others go on."""

from __future__ import annotations

import pytest

from core.outbox.corner_shop import lunch
from core.outbox.poison import damage, poisons_of, typed_columns
from core.outbox.stores import work_off
from tillpost import Outbox
from tillpost.outbox import OrderState, Processor
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.connections import Connections
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]


@pytest.mark.parametrize("column", [column.name for column in typed_columns(t.credentials)])
def test_damaged_credentials_stop_only_their_connection(
    shop_outbox: Outbox, shop: Shop, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    store = CredentialStore(shop_outbox.database)
    for number, value in enumerate(poisons_of(t.credentials.c[column], sqlite=True)):
        for name in ("bad", "good"):
            store.save(name, "square", shop.settings, Grant("Mia"))
        damage(shop_outbox, t.credentials, column, value, "connection")
        what = f"{column} = {value!r}"

        states = {state.name: state for state in Connections(shop_outbox).states()}
        assert states["good"].fault == "", what
        with Processor(shop_outbox) as processor:
            for name in ("bad", "good"):
                shop_outbox.add(lunch(f"{name}-{number}"), connection=name)
            work_off(processor)

        good, bad = shop_outbox.get(f"good-{number}"), shop_outbox.get(f"bad-{number}")
        assert good, what
        assert good.state is OrderState.RECEIVED, what
        assert bad, what
        assert bad.state in (OrderState.RECEIVED, OrderState.ERROR), what
        if bad.state is OrderState.ERROR:
            assert bad.error, what
            assert bad.error.kind == "SetupError", what
        store.delete("bad")


@pytest.mark.parametrize("column", [column.name for column in t.credentials.columns])
def test_damaged_row_stops_no_rotation_of_the_others(
    shop_outbox: Outbox, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    key = new_key()
    store = CredentialStore(shop_outbox.database)
    values = (b"\xff", b"a\0b") if column == "connection" else None
    for value in values or poisons_of(t.credentials.c[column], sqlite=True):
        monkeypatch.setenv("TILLPOST_KEY", key)
        for name in ("bad", "good"):
            store.save(name, "square", {"location_id": "L1", "access_token": "t"}, Grant("Mia"))
        damage(shop_outbox, t.credentials, column, value, "connection")
        fresh = new_key()
        monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
        rotation = store.rotate()
        what = f"{column} = {value!r}"
        assert rotation.encrypted + len(rotation.unreadable) == 2, what
        assert "good" not in rotation.unreadable, what
        monkeypatch.setenv("TILLPOST_KEY", fresh)
        good = store.get("good")
        assert good, what
        assert store.open(good)["access_token"].get_secret_value() == "t", what
        with shop_outbox.database.writing() as db:
            db.execute(t.credentials.delete())
