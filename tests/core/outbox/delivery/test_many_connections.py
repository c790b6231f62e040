"""Connections share clients, are let go when unused, and are asked for cheaply."""

from __future__ import annotations

import gc
import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.outbox.own_table import OwnTable
from tillpost import ConfigError, Outbox
from tillpost.config import SETTLED_AFTER
from tillpost.outbox import FromFile, OutboxConnection, OutboxSettings, from_mapping
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.delivery import open_connections
from tillpost.outbox.delivery.kept import Kept
from tillpost.outbox.delivery.open_connections import OpenConnections
from tillpost.outbox.delivery.sources import FromFileAndDatabase

SQUARE = {"location_id": "L1", "access_token": "t"}


@pytest.fixture
def table(tmp_path: Path) -> OwnTable:
    """A table with two stores at Square, and one at another address."""
    table = OwnTable(tmp_path / "company.db")
    table.put("cafe", SQUARE)
    table.put("kiosk", SQUARE | {"location_id": "L2"})
    table.put("bar", SQUARE | {"base_url": "https://proxy.example"})
    return table


@pytest.fixture
def connections(table: OwnTable) -> Iterator[OpenConnections]:
    """The connections of the table as a worker has them, checked at every use."""
    known = OpenConnections(table, OutboxSettings(), time.time)
    yield known
    known.close()


@pytest.fixture
def checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a source without marks again at every use."""
    monkeypatch.setattr(open_connections, "CHECK_INTERVAL", 0.0)


def client_of(connections: OpenConnections, name: str) -> object:
    return getattr(connections[name], "_client")  # noqa: B009


# ---------------------------------------------------------------------- asked again


def test_source_without_marks_is_asked_once_a_second(
    connections: OpenConnections, table: OwnTable
) -> None:
    for _ in range(100):
        assert connections["cafe"] is connections["cafe"]
    assert table.gets.count("cafe") <= 2


@pytest.mark.usefixtures("checked_at_once")
def test_equal_connection_stays_open(connections: OpenConnections, table: OwnTable) -> None:
    opened = connections["cafe"]
    assert connections["cafe"] is opened
    assert table.gets.count("cafe") >= 2


@pytest.mark.usefixtures("checked_at_once")
@pytest.mark.parametrize(
    ("settings", "options"),
    [({"location_id": "L9"}, {}), ({"access_token": "new"}, {}), ({}, {"concurrency": 2})],
    ids=["setting", "token", "option"],
)
def test_changed_connection_is_opened_again(
    connections: OpenConnections,
    table: OwnTable,
    settings: dict[str, object],
    options: dict[str, object],
) -> None:
    opened = connections["cafe"]
    table.put("cafe", SQUARE | settings, options)
    assert connections["cafe"] is not opened
    assert connections.options("cafe").concurrency == options.get("concurrency", 4)


@pytest.mark.usefixtures("checked_at_once")
def test_open_connection_is_kept_while_the_table_fails(
    connections: OpenConnections, table: OwnTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = connections["cafe"]
    monkeypatch.setattr(table, "file", table.file.parent / "no" / "company.db")
    assert connections["cafe"] is opened
    with pytest.raises(ConfigError, match=r"kiosk can't be opened \(OperationalError\)"):
        connections["kiosk"]
    assert list(connections.names()) == []


@pytest.mark.usefixtures("checked_at_once")
def test_connection_that_is_gone_is_no_longer_open(
    connections: OpenConnections, table: OwnTable
) -> None:
    assert connections["cafe"]
    table.remove("cafe")
    with pytest.raises(ConfigError, match="no store 'cafe'"):
        connections["cafe"]


# ---------------------------------------------------------------------- one client an origin


def test_stores_of_an_origin_share_a_client(connections: OpenConnections) -> None:
    shared = client_of(connections, "cafe")
    assert client_of(connections, "kiosk") is shared
    assert client_of(connections, "bar") is not shared


def test_client_is_closed_when_its_last_user_is_gone(
    connections: OpenConnections, table: OwnTable
) -> None:
    gc.disable()
    try:
        clients = getattr(connections, "_clients")  # noqa: B009
        in_use, client = connections["bar"], client_of(connections, "bar")
        table.remove("bar")
        getattr(connections, "_kept").remove("bar")  # noqa: B009
        assert clients.count() == 1
        assert not client.is_closed  # type: ignore[attr-defined]
        del in_use
        assert clients.count() == 0
        assert client.is_closed  # type: ignore[attr-defined]
    finally:
        gc.enable()


def test_closing_closes_clients_in_use(connections: OpenConnections) -> None:
    opened = connections["cafe"]
    connections.close()
    with pytest.raises(RuntimeError, match="the connection cafe is closed"):
        opened.run(opened.flows.check())


# ---------------------------------------------------------------------- kept


class Item:
    large = False


def kept(**limits: float) -> Kept[Item]:
    most, idle = int(limits.get("most", 10)), limits.get("idle", 60.0)
    return Kept(most, idle, lambda item: item.large, int(limits.get("most_large", 10)))


def test_least_recently_used_is_let_go() -> None:
    some = kept(most=2)
    for name in ("a", "b"):
        some.put(name, Item())
    assert some.use("a")
    some.put("c", Item())
    assert some.use("b") is None
    assert some.use("a")
    assert len(some) == 2


def test_item_in_use_is_found_again_after_it_was_let_go() -> None:
    some, used = kept(most=1), Item()
    some.put("a", used)
    some.put("b", Item())
    assert some.use("a") is used
    assert some.use("b") is None


def test_idle_item_is_let_go() -> None:
    some = kept(idle=0.02)
    some.put("a", Item())
    time.sleep(0.05)
    some.put("b", Item())
    assert some.use("a") is None


def test_few_large_items_are_kept() -> None:
    some = kept(most_large=1)
    for name in ("a", "b", "c"):
        some.put(name, Item())
    for name in ("a", "b"):
        item = some.use(name)
        assert item
        item.large = True
        some.use(name)
    del item
    assert some.use("a") is None
    assert some.use("b")
    assert some.use("c")


# ---------------------------------------------------------------------- outlines


def test_outlines_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an adapter nor a client is made, and no secret is decrypted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    Path("tillpost.toml").write_text(
        '[connections.cafe]\nplatform = "square"\naccess_token = "env:NOT_SET"\n'
        "[connections.cafe.outbox]\nconcurrency = 2\n"
    )
    with Outbox("sqlite:///orders.db") as outbox:
        outbox.prepare()
        store = CredentialStore(outbox.database)
        elsewhere = SQUARE | {"base_url": "https://pos.example:8443/v2"}
        store.save("bar", "square", elsewhere, Grant())
        monkeypatch.delenv("TILLPOST_KEY")
        known = OpenConnections(
            FromFileAndDatabase(store), OutboxSettings(concurrency=9), time.time
        )
        assert known.host("cafe") == "connect.squareup.com"
        assert known.options("cafe").concurrency == 2
        assert known.host("bar") == "pos.example:8443"
        assert known.options("bar").concurrency == 9
        assert (known.host("nowhere"), known.options("nowhere").concurrency) == ("", 9)


def test_outlines_of_a_table_are_asked_for_once(
    connections: OpenConnections, table: OwnTable
) -> None:
    for _ in range(5):
        assert connections.host("cafe") == "connect.squareup.com"
        assert connections.options("cafe").concurrency == 4
        assert connections.host("nowhere") == ""
    assert table.gets == ["cafe", "nowhere"]


# ---------------------------------------------------------------------- the file


def test_file_is_parsed_once_for_a_change_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "many.toml"

    def write(token: str) -> None:
        stores = (
            f'[connections.store-{number}]\nplatform = "square"\nlocation_id = "L{number}"\n'
            f"access_token = {json.dumps(token)}\n"
            for number in range(50)
        )
        file.write_text("".join(stores))
        time.sleep(2 * SETTLED_AFTER)

    parsed: list[str] = []
    loads = tomllib.loads

    def counting(text: str) -> object:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counting)
    known = OpenConnections(FromFile(file), OutboxSettings(), time.time)
    for round_number in (1, 2):
        write(f"token-{round_number}")
        for name in known.names():
            token = known[name].adapter.config.access_token.get_secret_value()
            assert token == f"token-{round_number}"
        assert len(known.names()) == 50
        assert len(parsed) == round_number
    known.close()


def test_change_of_one_table_keeps_the_others_open(tmp_path: Path) -> None:
    file = tmp_path / "two.toml"
    table = '[connections.{0}]\nplatform = "square"\nlocation_id = "{1}"\naccess_token = "t"\n'
    file.write_text(table.format("cafe", "L1") + table.format("bar", "L1"))
    known = OpenConnections(FromFile(file), OutboxSettings(), time.time)
    cafe, bar = known["cafe"], known["bar"]
    file.write_text(table.format("cafe", "L1") + table.format("bar", "L2"))
    assert known["cafe"] is cafe
    assert known["bar"] is not bar
    known.close()


def test_settings_of_an_outbox_connection_are_checked() -> None:
    given = OutboxConnection.of("square", SQUARE, policy={"prices": "keep_paid"})
    assert given.policy.prices == "keep_paid"
    assert from_mapping({"cafe": given}).get("cafe") is given
    with pytest.raises(ConfigError, match=r"^square: concurrency: "):
        OutboxConnection.of("square", SQUARE, outbox={"concurrency": 0})
    with pytest.raises(ConfigError, match=r"^no adapter for 'sqaure'"):
        OutboxConnection.of("sqaure", SQUARE)
