"""An attacker who writes to the database without the key gets no secret, on any platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.canaries import leaks
from core.canary_worlds import world as world  # a fixture
from core.cli.conftest import write_config
from core.outbox.corner_shop import QUICK, lunch
from core.toy_server import ToyServer
from tillpost import ConfigError, Outbox
from tillpost.outbox import OrderState, Processor, Worker
from tillpost.outbox.connections.credentials import Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.operations.connections import Connections
from tillpost.testing.world import World

OF_THE_KIOSK = "SELECT encrypted_secrets FROM tillpost_credentials WHERE connection = 'kiosk'"
CHANGED = "were changed by something else than Tillpost"


@pytest.fixture
def connections(
    world: World[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connections]:
    """An outbox with two stores, connected with all the secrets that the platform has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    renewal = world.renewal() if "refresh" in world.adapter.capabilities() else {}
    settings = {**world.settings, **renewal, **world.webhook_settings()}
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}", settings=QUICK) as outbox:
        connections = Connections(outbox)
        for name in ("cafe", "kiosk"):
            connections.connect(name, world.adapter.platform, settings, Grant("Mia Chen"))
        yield connections


def write(connections: Connections, statement: str, *values: object) -> None:
    """Change a row as a thief would."""
    with connections.outbox.database.writing() as db:
        db.exec_driver_sql(f"UPDATE tillpost_credentials SET {statement}", values)


def deliver(outbox: Outbox, order_id: str) -> str:
    """Process an order of the cafe, and return what its record says of an error."""
    outbox.add(lunch(order_id), connection="cafe")
    with Processor(outbox) as processor:
        Worker(processor).run(until_idle=True)
    found = outbox.get(order_id)
    assert found is not None
    assert found.state is not OrderState.RECEIVED
    return str(found.error)


def test_changed_address_gets_no_token(
    connections: Connections, world: World[Any], server: ToyServer
) -> None:
    stored = connections.credentials.get("cafe")
    assert stored is not None
    moved = json.dumps({**stored.settings, "base_url": server.url})
    write(connections, "settings = ?, version = version + 1 WHERE connection = 'cafe'", moved)
    assert CHANGED in deliver(connections.outbox, "ord-1")
    (state,) = [state for state in connections.states() if state.name == "cafe"]
    assert CHANGED in state.fault
    assert server.seen == []
    assert world.running.simulator.ledger().shown == ()


@pytest.mark.parametrize(
    "change",
    [
        f"encrypted_secrets = ({OF_THE_KIOSK})",
        "connection = 'stolen'",
        "platform = 'square', settings = '{\"location_id\": \"L1\"}'",
        "file_tokens_fingerprint = 'another'",
        "settings = '{}'",
    ],
)
def test_changed_row_is_not_decrypted(connections: Connections, change: str) -> None:
    write(connections, f"{change} WHERE connection = 'cafe'")
    name = "stolen" if "stolen" in change else "cafe"
    stored = connections.credentials.get(name)
    assert stored is not None
    with pytest.raises(ConfigError, match=f"connection '{name}': its settings .*") as caught:
        connections.credentials.open(stored)
    assert CHANGED in str(caught.value)
    assert leaks(caught.value) == []


def test_new_access_is_not_written_over_a_changed_row(
    connections: Connections, world: World[Any]
) -> None:
    if "refresh" not in world.adapter.capabilities():
        return
    world.expire_token()
    outbox = connections.outbox
    outbox.add(lunch("ord-1"), connection="cafe")
    with Processor(outbox) as processor:
        processor.connections["cafe"]  # opened before the change
        write(connections, "settings = '{}' WHERE connection = 'cafe'")
        Worker(processor).run(until_idle=True)
    found = outbox.get("ord-1")
    assert found is not None
    assert CHANGED in str(found.error)


PLANTED_ROWS = {
    "no secrets": ("", ""),
    "secrets of older tokens": ("gAAAAA-of-another-time", "an outdated fingerprint"),
}


@pytest.mark.parametrize("planted", PLANTED_ROWS)
def test_refreshed_tokens_are_bound_to_no_planted_setting(
    connections: Connections, world: World[Any], server: ToyServer, planted: str
) -> None:
    if "refresh" not in world.adapter.capabilities():
        return
    platform = world.adapter.platform
    settings = {**world.running.settings, **world.renewal()}
    if "import_pace" in world.settings:
        settings["import_pace"] = world.settings["import_pace"]  # an import needs no pauses here
    write_config(bar={"platform": platform, **settings})
    encrypted, follows = PLANTED_ROWS[planted]
    moved = json.dumps({"base_url": server.url})
    with connections.outbox.database.writing() as db:
        db.exec_driver_sql(
            "INSERT INTO tillpost_credentials VALUES"
            " ('bar', ?, ?, ?, '', 'a thief', 'ALL', NULL, 0, 3, ?, NULL)",
            (platform, moved, encrypted, follows),
        )
    world.expire_token()
    outbox = connections.outbox
    outbox.add(lunch("ord-1"), connection="bar")
    with Processor(outbox) as processor:
        assert processor.connections["bar"].connection.granted_by == ""
        Worker(processor).run(until_idle=True)
    stored = connections.credentials.get("bar")
    assert stored is not None
    assert connections.credentials.open(stored)["access_token"]
    assert (stored.platform, stored.settings) == (platform, {})
    assert (stored.grant.granted_by, stored.grant.scopes) == ("", ())
    assert stored.version > 3
    assert server.seen == []


def test_refreshed_tokens_are_not_written_over_another_row(
    connections: Connections, world: World[Any], server: ToyServer
) -> None:
    """Marked as refreshed from a file's, the row of a store in the database doesn't count."""
    if "refresh" not in world.adapter.capabilities():
        return
    before = connections.credentials.get("cafe")
    assert before is not None
    world.expire_token()
    outbox = connections.outbox
    outbox.add(lunch("ord-1"), connection="cafe")
    moved = json.dumps({**before.settings, "base_url": server.url})
    with Processor(outbox) as processor:
        processor.connections["cafe"]  # opened before the change
        change = "settings = ?, file_tokens_fingerprint = 'another' WHERE connection = 'cafe'"
        write(connections, change, moved)
        Worker(processor).run(until_idle=True)
    after = connections.credentials.get("cafe")
    assert after is not None
    assert after.encrypted_secrets == before.encrypted_secrets
    assert server.seen == []


def test_settings_changed_through_our_own_doors_are_sealed_anew(
    connections: Connections, world: World[Any]
) -> None:
    stored = connections.credentials.get("cafe")
    assert stored is not None
    secrets = connections.credentials.open(stored)
    settings = {**stored.settings, **secrets, "look_after": [1.0]}
    connections.connect("cafe", stored.platform, settings, Grant("Mia Chen"))
    assert connections.credentials.rotate() == (2, ())
    connections.outbox.add(lunch("ord-1"), connection="cafe")
    with Processor(connections.outbox) as processor:
        Worker(processor).run(until_idle=True)
    found = connections.outbox.get("ord-1")
    assert found is not None
    assert found.state is OrderState.RECEIVED
