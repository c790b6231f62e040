"""Connections that a plugin gives are known to workers and to every command."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.outbox.corner_shop import lunch
from core.outbox.own_table import OwnTable
from core.outbox.stores import work_off
from core.plugins.installing import Install
from tillpost import ConfigError, Outbox
from tillpost.cli.app import build
from tillpost.errors import UnreadableConfigError
from tillpost.models.availability import Reason
from tillpost.models.order import Pickup
from tillpost.outbox import OrderState, Processor
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.operations.connections import Connections
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

PLUGIN = """
from pathlib import Path
import tillpost
from core.outbox.own_table import OwnTable

@tillpost.hookimpl
def tillpost_connections():
    {body}
    return OwnTable(Path({file!r}))
"""
"""A plugin that gives the connections of a table, as a company would write it."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnTable:
    """A company's table, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    for variable in ("TILLPOST_CONFIG", "TILLPOST_DB", "TILLPOST_KEY"):
        monkeypatch.delenv(variable, raising=False)
    return OwnTable(tmp_path / "company.db")


@pytest.fixture
def plug(install: Install, table: OwnTable) -> Callable[..., None]:
    """Install a plugin that gives the table's connections."""

    def plug_in(name: str = "cafes", body: str = "pass", file: Path | None = None) -> None:
        install(name, PLUGIN.format(body=body, file=str(file or table.file)))

    return plug_in


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(), list(arguments))


def test_worker_delivers_an_order_of_a_plugins_connection(
    plug: Callable[..., None],
    table: OwnTable,
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
) -> None:
    table.put("cafe", shop.settings)
    plug()
    with Processor(shop_outbox) as processor:
        assert list(processor.connections.names()) == ["cafe"]
        shop_outbox.add(lunch("ord-1"), connection="cafe")
        work_off(processor)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.state is OrderState.RECEIVED
    assert diagnose_order(shop_outbox, "ord-1").hop


def test_commands_know_a_plugins_connection(
    plug: Callable[..., None],
    table: OwnTable,
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    tmp_path: Path,
) -> None:
    table.put("cafe", shop.settings)
    plug()
    shop_outbox.prepare()
    db = ("--db", shop_outbox.database.engine.url.render_as_string())
    order = tmp_path / "order.json"
    order.write_text(lunch("ord-9").model_dump_json())

    for place in ((), db):
        checked = run("check", "--connection", "cafe", "--json", *place)
        assert json.loads(checked.stdout)["ok"], checked.output
    assert run("submit", str(order), "--connection", "cafe").exit_code == 0
    listed = json.loads(run("connections", "--json", *db).stdout)["connections"]
    assert [(c["name"], c["platform"], c["defined_in"], c["plugin"]) for c in listed] == [
        ("cafe", "square", "plugin", "cafes")
    ]
    assert "the plugin cafes" in " ".join(run("connections", *db).stdout.split())
    assert "cafe" in run("status", *db).stdout
    assert run("order", "check", str(order), "--connection", "cafe").exit_code in (0, 1)
    unknown = run("check", "--connection", "bar")
    assert unknown.exit_code == 2
    assert "the plugin cafes has: cafe" in " ".join(unknown.output.split())


@pytest.mark.parametrize("command", ["reconnect", "disconnect"])
def test_plugins_connection_is_changed_there(
    plug: Callable[..., None], table: OwnTable, shop_outbox: Outbox, command: str
) -> None:
    table.put("cafe", {"location_id": "L1", "access_token": "t"})
    plug()
    shop_outbox.prepare()
    db = shop_outbox.database.engine.url.render_as_string()
    result = run(command, "cafe", "--db", db)
    assert result.exit_code == 2
    text = " ".join(result.output.split())
    assert "the connection 'cafe' is of the plugin cafes: change it there" in text


def test_file_counts_before_a_plugin_and_says_so(
    plug: Callable[..., None],
    table: OwnTable,
    shop_outbox: Outbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("cafe", "bar"):
        table.put(name, {"location_id": "L-table", "access_token": "t"})
    (tmp_path / "tillpost.toml").write_text(
        '[connections.cafe]\nplatform = "square"\nlocation_id = "L-file"\naccess_token = "t"\n'
    )
    plug()
    shop_outbox.prepare()
    source = default_source(CredentialStore(shop_outbox.database), None)
    with caplog.at_level(logging.WARNING):
        assert sorted(source.names()) == ["bar", "cafe"]
        assert sorted(source.names()) == ["bar", "cafe"]
    assert source.get("cafe").adapter.config.location_id == "L-file"
    assert source.get("bar").adapter.config.location_id == "L-table"
    warnings = [line for line in caplog.messages if line.startswith("connection_defined_twice ")]
    assert len(warnings) == 1
    assert "connections=cafe" in warnings[0]
    states = {state.name: state for state in Connections(shop_outbox).states()}
    assert (states["cafe"].defined_in, states["cafe"].plugin) == ("file", "cafes")
    assert (states["bar"].defined_in, states["bar"].plugin) == ("plugin", "cafes")


def test_first_plugin_counts_and_an_error_names_all(
    plug: Callable[..., None], table: OwnTable, shop_outbox: Outbox, tmp_path: Path
) -> None:
    other = OwnTable(tmp_path / "other.db")
    table.put("cafe", {"location_id": "L-first", "access_token": "t"})
    other.put("cafe", {"location_id": "L-second", "access_token": "t"})
    other.put("wrong", {"location_id": "L-second", "access_token": "t", "what": "is this"})
    plug("a_first")
    plug("b_second", file=other.file)
    shop_outbox.prepare()
    source = default_source(CredentialStore(shop_outbox.database), None)
    assert source.get("cafe").adapter.config.location_id == "L-first"
    with pytest.raises(ConfigError, match=r"^square: what: "):
        source.get("wrong")
    with pytest.raises(ConfigError) as caught:
        source.get("nowhere")
    assert str(caught.value).endswith(
        "the database has: none; the plugin a_first has: cafe; the plugin b_second has: cafe, wrong"
    )


def test_plugin_that_fails_is_asked_again(
    plug: Callable[..., None],
    table: OwnTable,
    shop: Running[SquareSimulator],
    shop_outbox: Outbox,
    tmp_path: Path,
) -> None:
    """Its orders wait; those of others go on."""
    table.put("cafe", shop.settings)
    plug(body="Path('there').read_text()")
    shop_outbox.prepare()
    source = default_source(CredentialStore(shop_outbox.database), None)
    assert list(source.names()) == []
    with pytest.raises(
        UnreadableConfigError, match=r"tillpost_connections fails now: FileNotFound"
    ):
        source.get("cafe")
    with Processor(shop_outbox) as processor:
        shop_outbox.add(lunch("ord-1"), connection="cafe")
        work_off(processor)
        stored = shop_outbox.get("ord-1")
        assert stored
        assert stored.state is OrderState.DUE
        (tmp_path / "there").touch()
        eventually(lambda: work_off(processor) and is_received(shop_outbox), within=30)


def is_received(outbox: Outbox) -> bool:
    stored = outbox.get("ord-1")
    return stored is not None and stored.state is OrderState.RECEIVED


def test_plugin_without_a_source_is_told_in_one_line(
    install: Install, table: OwnTable, shop_outbox: Outbox
) -> None:
    install(
        "bad", "import tillpost\n@tillpost.hookimpl\ndef tillpost_connections():\n    return {}\n"
    )
    shop_outbox.prepare()
    source = default_source(CredentialStore(shop_outbox.database), None)
    with pytest.raises(
        ConfigError, match="isn't a ConnectionSource: it has no names and no save"
    ) as caught:
        source.get("cafe")
    assert "\n" not in str(caught.value)


def test_outbox_knows_a_plugins_connection_and_its_lead(
    plug: Callable[..., None], table: OwnTable, sqlite_url: str
) -> None:
    table.put("cafe", {"location_id": "L1", "access_token": "t"}, {"lead": 0})
    plug()
    with Outbox.from_config(url=sqlite_url) as outbox:
        assert outbox.availability("cafe").reason is not Reason.UNCONNECTED
        assert outbox.availability("bar").reason is Reason.UNCONNECTED
        due = datetime(2030, 1, 1, 12, tzinfo=UTC)
        later = lunch("ord-1", fulfilment=Pickup(due_at=due))
        stored = outbox.add(later, connection="cafe")
        assert stored.due_at == due.timestamp()
